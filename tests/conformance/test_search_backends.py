"""Every back end of web search against a fake of its service: results, or the right error."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from pathlib import Path

import msgspec
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.parsers import create_parser
from botocore.session import Session
from botocore.validate import ParamValidator
from fake_search import HITS, KINDS, MODES, TOOL, FakeSearch, recorded

from anthropic_bedrock_proxy.app.bedrock import make_resolver, make_wiring
from anthropic_bedrock_proxy.app.search import make_backends
from anthropic_bedrock_proxy.app.search_plan import plan_search
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.search import base
from anthropic_bedrock_proxy.search.base import (
    SearchBackend,
    SearchError,
    SearchHit,
    SearchLocation,
    SearchQuery,
)

SECRET = "s3cr3t-k3y-of-ours"
QUERY = SearchQuery("a very private question")
FOUND = [
    SearchHit(url, title, text, f"November {day}, 2026" if day else None)
    for url, title, text, day in HITS
]
SIGNED = ("agentcore-api", "agentcore")
OPERATION = Session().get_service_model("bedrock-agentcore").operation_model("InvokeWebSearch")


def loaded(kind, url, **given):
    environ = {
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "WEB_SEARCH_PROVIDER": kind,
        "WEB_SEARCH_URL": url,
        "WEB_SEARCH_TIMEOUT": "5",
    }
    if kind not in (*SIGNED, "searxng"):
        environ["WEB_SEARCH_API_KEY"] = SECRET
    return load_settings(environ=environ | given, env_file=None)


def search(kind, url, query=QUERY, *, times=1, **given):
    """Searches so many times with a back end as the settings make it; returns the last hits."""

    async def main():
        settings = loaded(kind, url, **given)
        wiring = make_wiring(settings, make_resolver(settings))
        [backend] = make_backends(settings, plan_search(settings), wiring)
        assert backend.name == kind
        try:
            for _ in range(times):
                hits = await backend.search(query)
        finally:
            await backend.close()
        return hits

    return asyncio.run(main())


def failure(kind, url, query=QUERY, **given):
    with pytest.raises(SearchError) as caught:
        search(kind, url, query, **given)
    error = caught.value
    assert error.reason
    for private in (SECRET, QUERY.text, "127.0.0.1", url.rpartition(":")[2]):
        assert private not in error.reason
    return error


@pytest.fixture(params=KINDS)
def fake(request):
    with FakeSearch(request.param) as service:
        yield service


def test_results(fake):
    assert search(fake.kind, fake.url) == FOUND
    assert all(
        one.headers["user-agent"].startswith("anthropic-bedrock-proxy/") for one in fake.asked
    )


def test_nothing_found_is_an_empty_list(fake):
    fake.hits = ()
    assert search(fake.kind, fake.url) == []


def test_at_most_so_many_results_and_each_once(fake):
    fake.hits = [HITS[0], HITS[0], *[(f"https://x.example/{n}", "t", "x", None) for n in range(40)]]
    hits = search(fake.kind, fake.url, SearchQuery("q", max_results=3))
    assert [hit.url for hit in hits] == [HITS[0][0], "https://x.example/0", "https://x.example/1"]
    assert len(search(fake.kind, fake.url, SearchQuery("q", max_results=100))) == 41


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/x",
        "javascript:alert(1)",
        "//a.example/x",
        "/x",
        "",
        "https://",
        "https://a.example/\nx",
        "https://a b.example/",
        "https://user:pw@a.example/",
        "https://[::1",
        f"https://a.example/{'x' * 3000}",
    ],
)
def test_entries_that_lead_to_no_page_are_dropped(fake, url):
    fake.hits = [(url, "Odd", "x", None), HITS[1]]
    assert search(fake.kind, fake.url) == [FOUND[1]]


def test_texts_are_bounded_and_without_control_characters(fake):
    fake.hits = [("https://a.example/", "a\n\tb\x00" + "t" * 999, "\x1b[31m" + "x" * 50_000, None)]
    [hit] = search(fake.kind, fake.url)
    assert hit.title.startswith("a bttt")
    assert len(hit.title) == 300
    assert hit.text.startswith("[31mx")
    assert len(hit.text) == 10_000


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (301, "unavailable"),
        (400, "unavailable"),
        (401, "unavailable"),
        (402, "unavailable"),
        (403, "unavailable"),
        (404, "unavailable"),
        (413, "query_too_long"),
        (422, "unavailable"),
        (429, "too_many_requests"),
        (432, "unavailable"),
        (500, "unavailable"),
        (502, "unavailable"),
        (503, "unavailable"),
    ],
)
def test_a_status_becomes_a_code(fake, status, code):
    fake.mode = status
    error = failure(fake.kind, fake.url)
    assert error.code == code
    assert f"HTTP {status}" in error.reason
    assert len(fake.asked) == 1, "nothing is sent twice, no redirect is followed"


def test_who_is_refused_is_told_what_to_correct(fake):
    fake.mode = 403
    reason = failure(fake.kind, fake.url).reason
    mends = {
        "agentcore-api": "bedrock-agentcore:InvokeWebSearch",
        "agentcore": "bedrock-agentcore:InvokeGateway",
        "searxng": "json to search.formats",
    }
    assert mends.get(fake.kind, "WEB_SEARCH_API_KEY") in reason


@pytest.mark.parametrize("mode", MODES)
def test_what_is_no_answer_is_an_error_and_never_a_result(fake, mode):
    fake.mode = mode
    timeout = "0.2" if mode == "hang" else "5"
    error = failure(fake.kind, fake.url, WEB_SEARCH_TIMEOUT=timeout)
    assert error.code == "unavailable"
    words = {
        "hang": "no answer in 0.2 s",
        "cut": "cut before",
        "huge": "over 2097152 bytes",
        "wrong": "form",
    }
    assert words.get(mode, "not JSON") in error.reason


WRONG = {
    "agentcore-api": [{}, [], {"results": None}, {"results": [{"url": "https://a.example"}]}],
    "agentcore": [
        {},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "result": {"content": []}},
        {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "none"}]}},
        {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "{}"}]}},
        {"jsonrpc": "2.0", "id": 1, "result": {"isError": True, "content": []}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "a secret"}},
    ],
    "tavily": [{}, [], {"results": "none"}, {"results": [{"url": 5}]}, {"detail": {"error": "x"}}],
    "brave": [{}, [], {"type": "ErrorResponse"}, {"type": "search", "web": {}}, {"type": "news"}],
    "exa": [{}, [], {"results": {}}, {"error": "x"}],
    "searxng": [{}, [], {"results": [[]]}, {"results": [], "unresponsive_engines": [["x", "y"]]}],
}


@pytest.mark.parametrize(("kind", "document"), [(k, d) for k in KINDS for d in WRONG[k]])
def test_answers_of_another_form_are_errors(kind, document):
    with FakeSearch(kind) as fake:
        if kind == "agentcore":
            first = {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": TOOL}]}}
            fake.replies = [first, document]
        else:
            fake.replies = [(200, document)]
        assert failure(kind, fake.url).code == "unavailable"
        assert not fake.replies


def test_nobody_listens(fake):
    url = fake.url
    fake.__exit__()
    error = failure(fake.kind, url)
    assert (error.code, "Connection refused" in error.reason) == ("unavailable", True)


DOMAINS = SearchQuery("q", allowed_domains=("Docs.example", "b.example/blog/*", "docs.example/x"))
BLOCKED = SearchQuery("q", blocked_domains=("ads.example", "b.example/spam", "münchen.example"))


def asked_for(kind, query):
    with FakeSearch(kind) as fake:
        search(kind, fake.url, query)
        return fake.asked[-1]


@pytest.mark.parametrize(
    ("kind", "include", "exclude"),
    [
        ("tavily", "include_domains", "exclude_domains"),
        ("exa", "includeDomains", "excludeDomains"),
    ],
)
def test_domains_are_passed_as_lists(kind, include, exclude):
    document = asked_for(kind, DOMAINS).document
    assert document[include] == ["docs.example", "b.example"]
    assert exclude not in document
    document = asked_for(kind, BLOCKED).document
    assert document[exclude] == ["ads.example", "xn--mnchen-3ya.example"], "no more than was said"
    assert include not in document


@pytest.mark.parametrize("kind", ["brave", "searxng"])
def test_domains_are_passed_as_words_of_the_query(kind):
    words = asked_for(kind, DOMAINS).query["q"]
    assert words == "q (site:docs.example OR site:b.example/blog OR site:docs.example/x)"
    one = SearchQuery("q", allowed_domains=("a.example",), blocked_domains=("a.example/x",))
    assert asked_for(kind, one).query["q"] == "q site:a.example -site:a.example/x"
    words = asked_for(kind, BLOCKED).query["q"]
    assert words == "q -site:ads.example -site:b.example/spam -site:xn--mnchen-3ya.example"
    many = SearchQuery("q", allowed_domains=tuple(f"{n}-domain.example" for n in range(60)))
    assert asked_for(kind, many).query["q"] == "q", "all, or none: else some were never found"
    odd = SearchQuery("q", allowed_domains=("a.example", "not a host"))
    assert asked_for(kind, odd).query["q"] == "q"


def test_domains_for_aws_are_as_its_service_model_has_them():
    document = asked_for("agentcore-api", DOMAINS).document
    assert document["filters"] == {"domainFilter": {"include": ["docs.example", "b.example"]}}
    many = tuple(f"d{n}.example" for n in range(300))
    odd = ("under_score.example", "a..b", "x" * 64 + ".example", "*.example", "")
    for query in (DOMAINS, BLOCKED, SearchQuery("q" * 900, 99, (*odd, *many), (*odd, *many))):
        document = asked_for("agentcore-api", query).document
        sent = document | {"webSearchId": "web-search.v1"}
        assert not ParamValidator().validate(sent, OPERATION.input_shape).has_errors()
        assert sent.keys() <= OPERATION.input_shape.members.keys()
    empty = asked_for("agentcore-api", SearchQuery("q", allowed_domains=odd[:1])).document
    assert "filters" not in empty


def test_the_fake_of_aws_answers_as_its_service_model_says():
    body = msgspec.json.encode(recorded("agentcore-api"))
    answer = {"status_code": 200, "headers": {}, "body": body}
    parsed = create_parser("rest-json").parse(answer, OPERATION.output_shape)
    assert [one["url"] for one in parsed["results"]] == [hit.url for hit in FOUND]
    members = OPERATION.output_shape.members["results"].member.members.keys()
    assert all(one.keys() <= members for one in recorded("agentcore-api")["results"])


@pytest.mark.parametrize("kind", SIGNED)
def test_the_signature_is_that_of_botocore(kind):
    with FakeSearch(kind) as fake:
        search(kind, fake.url, AWS_SESSION_TOKEN="t")
        for asked in fake.asked:
            own = {
                name: value
                for name, value in asked.headers.items()
                if name in {"host", "content-type", "x-amz-date", "x-amz-security-token"}
            }
            request = AWSRequest("POST", fake.url[:21] + asked.path, own, asked.body)
            request.context["timestamp"] = asked.headers["x-amz-date"]
            keys = Credentials("AKIAIOSFODNN7EXAMPLE", SECRET, "t")
            auth = SigV4Auth(keys, "bedrock-agentcore", "eu-west-1")
            to_sign = auth.string_to_sign(request, auth.canonical_request(request))
            assert asked.headers["authorization"].endswith(auth.signature(to_sign, request))
            assert "/eu-west-1/bedrock-agentcore/aws4_request" in asked.headers["authorization"]


@pytest.mark.parametrize(
    ("kind", "header", "value"),
    [
        ("tavily", "authorization", f"Bearer {SECRET}"),
        ("brave", "x-subscription-token", SECRET),
        ("exa", "x-api-key", SECRET),
    ],
)
def test_the_key_goes_where_the_service_wants_it(kind, header, value):
    asked = asked_for(kind, QUERY)
    assert asked.headers[header] == value
    assert SECRET not in asked.path + str(asked.query) + asked.body.decode()


PLACE = SearchLocation(
    city="Bern\r\nx-evil: 1", region="Bern", country="ch", timezone="Europe/Bern"
)


def test_the_place_of_the_user_is_passed_where_it_can_be():
    query = msgspec.structs.replace(QUERY, location=PLACE)
    assert asked_for("tavily", query).document["country"] == "switzerland"
    assert asked_for("exa", query).document["userLocation"] == "CH"
    asked = asked_for("brave", query)
    assert asked.query["country"] == "CH"
    assert asked.headers["x-loc-timezone"] == "Europe/Bern"
    assert asked.headers["x-loc-state-name"] == "Bern"
    assert "x-loc-city" not in asked.headers, "no header is made of what has a line break"
    assert "x-evil" not in asked.headers
    odd = msgspec.structs.replace(QUERY, location=SearchLocation(country="KP", city="São Paulo"))
    assert "country" not in asked_for("tavily", odd).document
    assert "country" not in asked_for("brave", odd).query
    for kind in ("agentcore-api", "agentcore", "searxng"):
        assert search_with_place(kind) == FOUND


def search_with_place(kind):
    with FakeSearch(kind) as fake:
        return search(kind, fake.url, msgspec.structs.replace(QUERY, location=PLACE))


@pytest.mark.parametrize(
    ("kind", "most", "words"),
    [
        ("agentcore-api", 200, 200),
        ("agentcore", 200, 200),
        ("tavily", 400, 400),
        ("brave", 400, 50),
    ],
)
def test_a_long_query_is_cut_at_a_blank(kind, most, words):
    asked = asked_for(kind, SearchQuery("two words " * 300))
    text = {
        "agentcore-api": lambda: asked.document["searchQuery"],
        "agentcore": lambda: asked.document["params"]["arguments"]["query"],
        "tavily": lambda: asked.document["query"],
        "brave": lambda: asked.query["q"],
    }[kind]()
    assert len(text) <= most
    assert len(text) > most - 10 or len(text.split()) == words
    assert text.split()[-1] in {"two", "words"}


def test_marks_and_entities_of_brave_become_plain_text():
    with FakeSearch("brave") as fake:
        result = {
            "url": "https://a.example/",
            "title": "<strong>AT&amp;T</strong> &lt;b&gt;",
            "description": "x &lt;script&gt; <strong>y</strong> 1 < 2 &#x27;",
            "extra_snippets": ["more &amp; more", "more &amp; more"],
            "age": "2 days ago",
        }
        fake.replies = [(200, {"type": "search", "web": {"results": [result]}})]
        [hit] = search("brave", fake.url)
    assert hit == SearchHit(
        "https://a.example/", "AT&T <b>", "x <script> y 1 < 2 '\nmore & more", "2 days ago"
    )


@pytest.mark.parametrize(("framed", "structured"), [(True, False), (False, True), (True, True)])
def test_a_gateway_may_answer_in_several_ways(framed, structured):
    with FakeSearch("agentcore") as fake:
        fake.framed, fake.structured = framed, structured
        assert search("agentcore", fake.url, times=3) == FOUND
        methods = [one.document["method"] for one in fake.asked]
        assert methods == ["tools/list", *["tools/call"] * 3], "its tools are listed once"
        assert fake.asked[1].document["params"]["name"] == TOOL


def test_a_gateway_s_tool_is_looked_for_on_every_page_and_again_when_it_is_gone():
    def reply(**parts):
        return {"jsonrpc": "2.0", "id": 1, **parts}

    with FakeSearch("agentcore") as fake:
        fake.replies = [
            reply(result={"tools": [{"name": "other"}], "nextCursor": "2"}),
            reply(result={"tools": [{"name": "new___WebSearch"}]}),
            reply(error={"code": -32602, "message": "Unknown tool"}),
        ]

        async def main():
            settings = loaded("agentcore", fake.url)
            wiring = make_wiring(settings, make_resolver(settings))
            [backend] = make_backends(settings, plan_search(settings), wiring)
            with pytest.raises(SearchError):
                await backend.search(QUERY)
            assert await backend.search(QUERY) == FOUND
            await backend.close()

        asyncio.run(main())
        assert fake.asked[1].document["params"] == {"cursor": "2"}
        assert fake.asked[2].document["params"]["name"] == "new___WebSearch"
        assert fake.asked[4].document["params"]["name"] == TOOL


def test_a_gateway_without_the_tool_or_that_is_throttled():
    with FakeSearch("agentcore") as fake:
        fake.replies = [{"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "other"}]}}]
        assert "web-search target" in failure("agentcore", fake.url).reason
        text = {"type": "text", "text": "ThrottlingException: Rate exceeded"}
        listed = {"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": TOOL}]}}
        failed = {"jsonrpc": "2.0", "id": 2, "result": {"isError": True, "content": [text]}}
        fake.replies = [listed, failed]
        assert failure("agentcore", fake.url).code == "too_many_requests"


def test_a_gateway_whose_tool_knows_filters_gets_them():
    schema = {"properties": {"query": {}, "filters": {"type": "object"}}}
    with FakeSearch("agentcore") as fake:
        tool = {"name": TOOL, "inputSchema": schema}
        fake.replies = [{"jsonrpc": "2.0", "id": 1, "result": {"tools": [tool]}}]
        search("agentcore", fake.url, DOMAINS)
        arguments = fake.asked[1].document["params"]["arguments"]
        assert arguments["filters"]["domainFilter"]["include"] == ["docs.example", "b.example"]
    assert "filters" not in asked_for("agentcore", DOMAINS).document["params"]["arguments"]


def test_a_gateway_with_a_token_is_shown_it_and_nothing_is_signed():
    with FakeSearch("agentcore") as fake:
        assert search("agentcore", fake.url, WEB_SEARCH_API_KEY=SECRET) == FOUND
        assert {one.headers["authorization"] for one in fake.asked} == {f"Bearer {SECRET}"}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("ThrottlingException", ("too_many_requests", "AWS throttles")),
        ("ResourceNotFoundException", ("unavailable", "WEB_SEARCH_REGION")),
        ("ExpiredTokenException", ("unavailable", "refuses the keys")),
    ],
)
@pytest.mark.parametrize("place", ["header", "body"])
def test_refusals_of_aws_are_told_by_their_code(kind, words, place):
    with FakeSearch("agentcore-api") as fake:
        if place == "header":
            fake.headers = {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/"}
        refusal = {"__type": f"com.amazon#{kind}"} if place == "body" else {}
        fake.replies = [(400, refusal)] * 2
        error = failure("agentcore-api", fake.url)
        assert (error.code, words[1] in error.reason) == (words[0], True)
        assert len(fake.asked) == (2 if "Expired" in kind else 1), "fresh keys are worth a try"


def test_a_clock_that_is_wrong_signs_by_that_of_aws():
    with FakeSearch("agentcore-api") as fake:
        fake.headers = {
            "x-amzn-errortype": "InvalidSignatureException",
            "date": "Mon, 01 Jan 2024 00:00:00 GMT",
        }
        fake.replies = [(403, {})]

        async def main():
            settings = loaded("agentcore-api", fake.url)
            wiring = make_wiring(settings, make_resolver(settings))
            [backend] = make_backends(settings, plan_search(settings), wiring)
            with pytest.raises(SearchError):  # the fake goes on to say so
                await backend.search(QUERY)
            await backend.close()

        asyncio.run(main())
        first, second = [one.headers["x-amz-date"][:4] for one in fake.asked]
        assert (first > "2024", second) == (True, "2024")


def test_a_bad_answer_is_no_bad_luck_for_the_next(fake):
    """The connection of a half-read answer is not used again."""

    async def main():
        settings = loaded(fake.kind, fake.url)
        wiring = make_wiring(settings, make_resolver(settings))
        [backend] = make_backends(settings, plan_search(settings), wiring)
        for mode in ("huge", "cut", "garbage", 500):
            fake.mode = mode
            with pytest.raises(SearchError):
                await backend.search(QUERY)
        fake.mode = None
        assert await backend.search(QUERY) == FOUND
        await backend.close()

    asyncio.run(main())


def test_the_suite_has_every_back_end():
    """By the methods of the port: whoever has them is one."""
    folder = Path(base.__file__).parent
    wanted = {name for name, _ in inspect.getmembers(SearchBackend) if not name.startswith("_")}
    found = {}
    for path in folder.glob("*.py"):
        module = importlib.import_module(f"{base.__package__}.{path.stem}")
        for cls in vars(module).values():
            if inspect.isclass(cls) and cls.__module__ == module.__name__ and wanted <= {*dir(cls)}:
                found[path.stem] = getattr(module, "NAME", "")
    assert found.pop("base") == ""  # the port itself
    assert set(found.values()) == {*KINDS}
