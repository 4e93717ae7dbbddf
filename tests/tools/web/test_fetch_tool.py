"""Web fetch in a turn: what the model sees, what the client is told, what is fetched.

The client's blocks are held against files in golden/: UPDATE_GOLDEN=1 writes them anew.
"""

from __future__ import annotations

import json
import os
import re
from itertools import pairwise
from pathlib import Path
from time import process_time

import msgspec
import pytest
from anthropic.types.beta import BetaWebFetchToolResultBlock
from conversation import KEY
from fake_sandbox import printed, waiting
from turn_support import assistant, call, capabilities, converse, rules, text, user
from web_fetches import (
    FIRST,
    LATEST,
    MOMENT,
    PDF,
    PYTHON,
    SECOND,
    THIRD,
    URL,
    Fetching,
    fetching,
    tool,
)
from web_searches import RUST, ScriptedSearcher, searching

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.fetch.base import (
    BusyError,
    FetchError,
    NotAccessibleError,
    NotAllowedError,
    Page,
    StatusError,
    TooLargeError,
    UnreadableError,
    WrongTypeError,
)
from anthropic_bedrock_proxy.tools.calls import RequestContext
from anthropic_bedrock_proxy.tools.kinds import web_search
from anthropic_bedrock_proxy.tools.web.fetch_options import WebFetchOptions
from anthropic_bedrock_proxy.tools.web.fetch_results import fetched, to_tool_result
from anthropic_bedrock_proxy.tools.web.fetch_tool import MAX_FETCHED
from anthropic_bedrock_proxy.tools.web.seal import Seals
from anthropic_bedrock_proxy.tools.web.search_options import WebSearchOptions

GOLDEN = Path(__file__).parent / "golden"
PLAIN = {"name": "plain", "input_schema": {"type": "object"}}
CITING = {"citations": {"enabled": True}}


def golden(name, found):
    """Holds a value against its file."""
    path = GOLDEN / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    assert json.loads(path.read_text()) == found


def result_of(talk, number=1):
    """What the model was shown of the first fetch, in a later call."""
    [block] = talk.seen(number)[0][-1]["content"]
    return block


def codes(message):
    return [
        each["content"].get("error_code", each["content"]["type"])
        for each in message["content"]
        if each["type"] == "web_fetch_tool_result"
    ]


def requests(message):
    return message["usage"]["server_tool_use"]["web_fetch_requests"]


@pytest.mark.parametrize("kind", [FIRST, SECOND, THIRD, LATEST])
def test_a_page_is_told_to_both_sides(kind):
    talk = Fetching(PYTHON, tools=[tool(kind)])
    message = talk.ask([text("a"), fetching()], [text("b")])
    a, made, found, b = message["content"]
    assert (a, b) == (text("a"), text("b"))
    identifier = made.pop("id")
    assert re.fullmatch(r"srvtoolu_[0-9a-f]{24}", identifier)
    assert found.pop("tool_use_id") == identifier
    golden("fetch_call", made)
    golden("fetch_text", found)
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["server_tool_use"] == {
        "web_search_requests": 0,
        "web_fetch_requests": 1,
    }
    assert talk.pages.asked == [(URL, KEY, False)]
    shown = result_of(talk)
    assert shown["tool_use_id"] == identifier.replace("srvtoolu_", "toolu_")
    assert shown["content"] == (
        f'<page url="{URL}" title="What\'s new" retrieved_at="2026-11-30T00:53:20Z">\n'
        f"{PYTHON.text}\n</page>"
    )
    # And again in the next turn.
    talk.say(text("more"))
    talk.ask([text("c")])
    assert talk.seen()[0][2]["content"] == [shown]


def test_a_page_without_title_or_text():
    talk = Fetching(Page(URL, MOMENT, text=" "))
    message = talk.ask([fetching()], [text("b")])
    assert "title" not in message["content"][1]["content"]["content"]
    assert "(The page has no text.)" in result_of(talk)["content"]


def test_the_model_sees_an_ordinary_tool():
    talk = Fetching(tools=[tool(cache_control={"type": "ephemeral"}, future=1)])
    talk.ask([text("b")])
    (_, [seen]) = talk.seen()
    assert seen["name"] == "web_fetch"
    assert seen["input_schema"]["required"] == ["url"]
    assert seen["cache_control"] == {"type": "ephemeral"}
    assert not {"type", "future"} & seen.keys()
    assert "<cited" not in seen["description"]


def test_a_pdf_is_a_document():
    talk = Fetching(PDF, said="https://docs.example/a.pdf")
    message = talk.ask([fetching(PDF.url)], [text("b")])
    found = message["content"][1]
    del found["tool_use_id"]
    golden("fetch_pdf", found)
    words, document = result_of(talk)["content"]
    assert words["text"].startswith(f'<page url="{PDF.url}"')
    assert document == {"type": "document", "source": found["content"]["content"]["source"]}


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "This model cannot be shown PDFs."), (5, "This model cannot be shown PDFs of its size.")],
)
def test_a_model_that_takes_no_pdf_gets_words(size, words):
    talk = Fetching(PDF, said=PDF.url)
    talk.toolset.document_bytes = size
    message = talk.ask([fetching(PDF.url)], [text("b")])
    assert codes(message) == ["web_fetch_result"]
    shown = result_of(talk)["content"]
    assert f"(It is a PDF of {len(PDF.pdf)} bytes. {words})" in shown


@pytest.mark.parametrize(("family", "limit"), [("amazon.nova-", 4_500_000), ("qwen.", 0)])
def test_what_the_model_is_shown_of_a_pdf_is_what_bedrock_takes(family, limit):
    able = capabilities(family)
    talk = Fetching(PDF, said=PDF.url)
    talk.toolset = talk.toolset.needed(talk.request(), able, rules())
    assert talk.toolset.document_bytes == limit
    talk.ask([fetching(PDF.url)], [text("b")])
    body = converse(talk.calls.requests[1], family)
    [block] = body["messages"][-1]["content"]
    shown = block["toolResult"]["content"]
    assert ("document" in shown[-1]) is bool(limit)
    assert "PDF" in shown[0]["text"]


# Citations


def indexes(shown):
    return re.findall(r"\[([a-z0-9]{5}-\d+)\]", shown)


def test_passages_have_indexes_and_the_text_stays_as_it_is():
    talk = Fetching(PYTHON, tools=[tool(**CITING)])
    message = talk.ask([fetching()], [text("-")])
    assert message["content"][1]["content"]["content"]["citations"] == {"enabled": True}
    shown = result_of(talk)["content"]
    assert len(indexes(shown)) == 2
    assert re.sub(r"\[[a-z0-9]{5}-\d+\] ", "", shown).splitlines()[1:-1] == PYTHON.text.split("\n")
    assert "<cited" in talk.seen()[1][0]["description"]


def test_what_is_cited_stands_there():
    talk = Fetching(PYTHON, tools=[tool(**CITING)])
    talk.ask([fetching()], [text("-")])
    index = indexes(result_of(talk)["content"])[1]
    talk = Fetching(PYTHON, tools=[tool(**CITING)])
    said = f'Look: <cited index="{index}">it is fast</cited>, <cited index="zzzzz-1">maybe</cited>.'
    message = talk.ask([fetching()], [text(said)])
    plain, quoted, rest = message["content"][2:]
    assert (plain, rest) == (text("Look: "), text(", maybe."))
    [citation] = quoted["citations"]
    data = message["content"][1]["content"]["content"]["source"]["data"]
    start, end = citation["start_char_index"], citation["end_char_index"]
    assert data[start:end] == citation["cited_text"]
    golden("fetch_citation", quoted)
    # The next turn shows the model its own marker, and the page before it.
    talk.say(text("more"))
    talk.ask([text("c")])
    (messages, _) = talk.seen()
    told = "".join(block["text"] for block in messages[3]["content"])
    assert told == f'Look: <cited index="{index}">it is fast</cited>, maybe.'


def test_documents_are_counted_over_the_conversation():
    other = msgspec.structs.replace(PYTHON, url="https://b.example/", text="Rust is a language.")
    talk = Fetching(PYTHON, other, tools=[tool(**CITING)], said=f"{URL} https://b.example/")
    talk.ask([fetching(URL, "1"), fetching(other.url, "2")], [text("-")])
    [_, second] = talk.seen(1)[0][-1]["content"]
    [index] = indexes(second["content"])
    talk.say(text("more"))
    message = talk.ask([text(f'<cited index="{index}">x</cited>')])
    [citation] = message["content"][0]["citations"]
    assert (citation["document_index"], citation["cited_text"]) == (1, "Rust is a language.")


def test_documents_of_the_client_are_counted_too():
    mine = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}}
    asked = [user(mine, text(f"See {URL}.")), user(mine)]
    said = []

    def ask(*answers):
        talk = Fetching(PYTHON, tools=[tool(**CITING)])
        talk.messages = list(asked)
        said.append(talk.ask([fetching()], *answers))
        return talk

    index = indexes(result_of(ask([text("-")]))["content"])[1]
    marked = f'<cited index="{index}">so</cited>'
    talk = ask([text(marked)])
    [citation] = said[-1]["content"][-1]["citations"]
    assert citation["document_index"] == 2
    # It leads back to the page; that of a document of the client's stays as it is.
    own = citation | {"document_index": 0, "cited_text": "a", "document_title": None}
    talk.messages[-1]["content"].append(text("b") | {"citations": [own]})
    talk.say(mine, text("more"))
    message = talk.ask([text(marked)])
    assert message["content"][0]["citations"] == [citation]
    shown = talk.seen()[0][-2]["content"]
    assert shown == [text(marked), text("b") | {"citations": [own]}]


def test_long_sentences_are_cited_in_pieces():
    page = msgspec.structs.replace(PYTHON, text="word " * 500 + "x" * 2000)
    talk = Fetching(page, tools=[tool(**CITING)])
    talk.ask([fetching()], [text("-")])
    found = indexes(result_of(talk)["content"])
    starts = [int(index.split("-")[1]) for index in found]
    assert starts[0] == 0
    assert all(0 < after - before <= 601 for before, after in pairwise(starts))


def test_a_line_of_any_length_is_cited_in_pieces_as_fast_as_others():
    line = "x" * 12_000_000  # a client may send it back as what a page said
    page = fetched(msgspec.structs.replace(PYTHON, text=line), max_tokens=len(line), cites=True)
    context = RequestContext(KEY, {})
    began = process_time()
    to_tool_result(page, context)
    assert process_time() - began < 3, "the rest of the line is copied for every piece"
    assert context.passages.cite(f"{context.passages.source(0)}-600") is not None


def test_citations_of_the_clients_own_documents_are_not_ours():
    own = {
        "type": "char_location",
        "cited_text": "something else",
        "document_index": 0,
        "document_title": None,
        "start_char_index": 0,
        "end_char_index": 14,
    }
    talk = Fetching(PYTHON, tools=[tool(**CITING)])
    talk.ask([fetching()], [text("-")])
    talk.say(text("more"))
    for citation in (own, own | {"document_index": 7}, own | {"type": "page_location"}):
        talk.messages[1]["content"][2] = text("so") | {"citations": [citation]}
        talk.ask([text("c")])
        assert talk.seen()[0][3]["content"] == [text("so") | {"citations": [citation]}]
        del talk.messages[-1]


# What is not fetched


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "invalid_tool_input"),
        ({"url": 7}, "invalid_tool_input"),
        ({"url": " "}, "invalid_tool_input"),
        ({"url": "docs.example/3.14"}, "invalid_tool_input"),
        ({"url": "ftp://docs.example/3.14"}, "invalid_tool_input"),
        ({"url": "https://u:p@docs.example/3.14"}, "invalid_tool_input"),
        ({"url": URL + "x" * 250}, "url_too_long"),
        ({"url": "https://docs.example/3.14?secret=1"}, "url_not_in_prior_context"),
        ({"url": "https://evil.example/"}, "url_not_in_prior_context"),
    ],
)
def test_calls_that_are_refused_before_anything_is_fetched(given, code):
    talk = Fetching()
    message = talk.ask([call("web_fetch", "t", **given)], [text("b")])
    assert codes(message) == [code]
    assert requests(message) == 0
    assert not talk.pages.asked
    shown = result_of(talk)
    assert shown["is_error"] is True
    assert shown["content"].startswith(f"{code}: ")


def test_the_block_of_an_error():
    talk = Fetching()
    message = talk.ask([fetching("https://evil.example/")], [text("b")])
    found = message["content"][1]
    del found["tool_use_id"]
    golden("fetch_error", found)


@pytest.mark.parametrize("name", ["fetch_text", "fetch_pdf", "fetch_error"])
def test_the_official_sdk_knows_the_blocks(name):
    block = json.loads((GOLDEN / f"{name}.json").read_text()) | {"tool_use_id": "srvtoolu_1"}
    read = BetaWebFetchToolResultBlock.model_validate(block)
    assert read.to_dict() == block
    assert not read.model_extra


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotAllowedError("x"), "url_not_allowed"),
        (NotAccessibleError("x"), "url_not_accessible"),
        (StatusError("x", status=404), "url_not_accessible"),
        (FetchError("x"), "url_not_accessible"),
        (WrongTypeError("x"), "unsupported_content_type"),
        (TooLargeError("x"), "content_too_large"),
        (BusyError("x"), "too_many_requests"),
        (UnreadableError("x"), "unavailable"),
    ],
)
def test_a_failure_is_a_result_and_is_not_counted(error, code):
    talk = Fetching(error, PYTHON)
    message = talk.ask([fetching()], [fetching(URL, "t2")], [text("b")])
    assert codes(message) == [code, "web_fetch_result"]
    assert requests(message) == 1
    assert [(run.code, run.reason) for run in talk.ran] == [(code, "x"), ("", "")]


def test_the_reason_that_is_noted_names_no_host():
    said = "its certificate is not accepted: it is not valid for 'docs.example'"
    talk = Fetching(NotAccessibleError(said))
    talk.ask([fetching()], [text("b")])
    assert [run.reason for run in talk.ran] == ["its certificate is not accepted"]


def test_the_pages_of_an_answer_are_bounded_together():
    paper = msgspec.structs.replace(PDF, pdf=b"%PDF-1.7" + b"x" * (MAX_FETCHED * 3 // 8))
    talk = Fetching(paper, paper, PYTHON, said=f"{PDF.url} {URL}")
    calling = [fetching(PDF.url, "1"), fetching(PDF.url, "2"), fetching(URL, "3")]
    message = talk.ask(calling, [text("b")])
    one, two, three = [each["content"] for each in message["content"] if "content" in each]
    assert one["content"]["source"]["media_type"] == "application/pdf"
    assert two["error_code"] == "content_too_large", "both would be over half of it"
    assert three["content"]["source"]["data"] == PYTHON.text, "there is room for this one"
    assert requests(message) == 2


def test_no_more_pages_than_allowed():
    talk = Fetching(PYTHON, StatusError("x", status=500), tools=[tool(max_uses=2)])
    message = talk.ask([fetching(URL, str(number)) for number in range(3)], [text("b")])
    assert codes(message) == ["web_fetch_result", "url_not_accessible", "max_uses_exceeded"]
    talk = Fetching(PYTHON, options=WebFetchOptions(default_max_uses=1))
    message = talk.ask([fetching(URL, "1"), fetching(URL, "2")], [text("b")])
    assert codes(message) == ["web_fetch_result", "max_uses_exceeded"]


@pytest.mark.parametrize(
    ("domains", "last", "code"),
    [
        ({"allowed_domains": ["docs.example"]}, URL, "web_fetch_result"),
        ({"allowed_domains": ["b.example"]}, URL, "url_not_allowed"),
        ({"blocked_domains": ["docs.example"]}, URL, "url_not_allowed"),
        ({"allowed_domains": ["docs.example"]}, "https://b.example/", "url_not_allowed"),
        ({"blocked_domains": ["b.example"]}, "https://b.example/", "url_not_allowed"),
        ({}, "https://b.example/", "web_fetch_result"),
    ],
)
def test_domains_hold_for_the_url_and_for_where_it_leads(domains, last, code):
    talk = Fetching(msgspec.structs.replace(PYTHON, url=last), tools=[tool(**domains)])
    message = talk.ask([fetching()], [text("b")])
    assert codes(message) == [code]
    if code != "web_fetch_result":
        assert PYTHON.text not in json.dumps(talk.seen(1))


@pytest.mark.parametrize(
    ("kind", "given", "fresh"),
    [
        (FIRST, {}, False),
        (THIRD, {"use_cache": True}, False),
        (THIRD, {"use_cache": None}, False),
        (LATEST, {"use_cache": False}, True),
    ],
)
def test_a_cache_may_be_passed_by(kind, given, fresh):
    talk = Fetching(PYTHON, tools=[tool(kind, **given)])
    talk.ask([fetching()], [text("b")])
    assert talk.pages.asked == [(URL, KEY, fresh)]


@pytest.mark.parametrize("default", [True, False])
def test_long_pages_are_cut(default):
    page = msgspec.structs.replace(PYTHON, text="é" * 1000)
    options = WebFetchOptions(default_max_tokens=100 if default else 1000)
    talk = Fetching(
        page, tools=[tool(**({} if default else {"max_content_tokens": 100}))], options=options
    )
    message = talk.ask([fetching()], [text("b")])
    data = message["content"][1]["content"]["content"]["source"]["data"]
    assert data == (
        "é" * 200 + "\n\n[The page is longer: it was cut here, after about 100 tokens.]"
    )
    assert data in result_of(talk)["content"]


# URLs that become known


def test_links_of_a_fetched_page_may_be_fetched():
    more = msgspec.structs.replace(
        PYTHON, url="https://more.example/a_(b)", text="https://n.example/"
    )
    talk = Fetching(PYTHON, more, PYTHON)
    message = talk.ask(
        [fetching(more.url, "0")],
        [fetching(URL, "1")],
        [fetching(more.url, "2")],
        [text("b")],
    )
    assert codes(message) == ["url_not_in_prior_context", "web_fetch_result", "web_fetch_result"]
    talk.say(text("go on"))
    message = talk.ask([fetching("https://n.example/", "3")], [text("b")])
    assert codes(message) == ["web_fetch_result"]


def test_links_of_a_page_count_only_if_its_results_do():
    talk = Fetching(PYTHON, tools=[tool(url_sources={"server_tool_results": {"type": "none"}})])
    message = talk.ask([fetching(URL, "1")], [fetching("https://more.example/a_(b)")], [text("b")])
    assert codes(message) == ["web_fetch_result", "url_not_in_prior_context"]


def test_what_the_user_has_named_may_count_for_nothing():
    talk = Fetching(tools=[tool(url_sources={"user_input": {"type": "none"}})])
    assert codes(talk.ask([fetching()], [text("b")])) == ["url_not_in_prior_context"]


def search_kind(*outcomes):
    async def load():
        return Seals([b"k" * 32], lambda: MOMENT, 30)

    return web_search(ScriptedSearcher(*outcomes), load, WebSearchOptions())


SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def test_what_a_search_has_found_may_be_fetched_in_the_same_turn_and_in_the_next():
    page = msgspec.structs.replace(PYTHON, url=RUST.url)
    talk = Fetching(page, page, tools=[tool(), SEARCH], kinds=[search_kind([RUST])], said="hi")
    message = talk.ask(
        [fetching(RUST.url, "0")], [searching()], [fetching(RUST.url, "1")], [text("b")]
    )
    assert codes(message) == ["url_not_in_prior_context", "web_fetch_result"]
    assert message["usage"]["server_tool_use"] == {
        "web_search_requests": 1,
        "web_fetch_requests": 1,
    }
    talk.say(text("again"))
    assert codes(talk.ask([fetching(RUST.url, "2")], [text("b")])) == ["web_fetch_result"]


def test_results_of_the_clients_tools_may_be_fetched():
    talk = Fetching(PYTHON, tools=[tool(), PLAIN], said="hi")
    talk.ask([call("plain", "p")])
    talk.say({"type": "tool_result", "tool_use_id": "p", "content": [text(f"see {URL}")]})
    assert codes(talk.ask([fetching()], [text("b")])) == ["web_fetch_result"]


def test_a_pending_fetch_is_made_first():
    made = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_fetch"}
    talk = Fetching(PYTHON)
    talk.messages = [user(text(URL)), assistant(made | {"input": {"url": URL}})]
    message = talk.ask([text("b")])
    assert codes(message) == ["web_fetch_result"]
    assert PYTHON.text in talk.seen()[0][-1]["content"][0]["content"]


# Definitions and histories


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"type": "web_fetch_20990101"}, "tools.1.type: expected one of web_fetch_20250910"),
        ({"name": "fetch"}, "tools.1.name: Input should be 'web_fetch'"),
        (
            {"allowed_domains": ["a.example"], "blocked_domains": ["b.example"]},
            "tools.1: only one of allowed_domains and blocked_domains",
        ),
        ({"max_uses": 0}, "tools.1.max_uses: "),
        ({"max_content_tokens": 0}, "tools.1.max_content_tokens: "),
        ({"citations": True}, "tools.1.citations: "),
        ({"citations": {"enabled": 1}}, "tools.1.citations: "),
        ({"use_cache": "no"}, "tools.1.use_cache: "),
        ({"response_inclusion": "some"}, "tools.1.response_inclusion: "),
        ({"url_sources": "all"}, "tools.1.url_sources: "),
        (
            {
                "url_sources": {
                    "client_tool_results": {
                        "type": "only",
                        "tools": [{"type": "tool_reference", "name": "crm"}],
                    }
                }
            },
            "tools.1.url_sources.client_tool_results.tools.0.name: ",
        ),
    ],
)
def test_a_definition_that_nobody_can_serve_is_refused(more, path):
    talk = Fetching(tools=[PLAIN, tool() | more])
    with pytest.raises(InvalidRequestError, match=re.escape(path)):
        talk.ask()


@pytest.mark.parametrize(
    "content",
    [
        None,
        7,
        [],
        {},
        {"type": "web_fetch_result"},
        {"type": "web_fetch_result", "url": "u", "content": {"source": {"type": "text"}}},
        {
            "type": "web_fetch_result",
            "url": "u",
            "content": {"source": {"type": "base64", "data": 7}},
        },
        {"type": "web_fetch_tool_result_error", "error_code": []},
    ],
)
def test_a_result_of_another_form_is_refused_with_its_place(content):
    made = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_fetch", "input": {}}
    found = {"type": "web_fetch_tool_result", "tool_use_id": "srvtoolu_1", "content": content}
    talk = Fetching()
    talk.messages = [user(text("a")), assistant(made, found), user(text("b"))]
    with pytest.raises(InvalidRequestError, match=r"^messages\.1\.content\.1\.content"):
        talk.ask([text("c")])


# Calls by code


def waits(url=URL):
    return waiting(**{f"toolu_{1:024x}": ("web_fetch", {"url": url})})


def python(identifier="c"):
    return call("code_execution", identifier, code="await web_fetch({'url': '…'})")


@pytest.mark.parametrize(
    ("given", "page", "expected"),
    [
        ({}, PYTHON, {"url": URL, "title": "What's new", "text": PYTHON.text}),
        (
            {},
            PDF,
            {
                "url": PDF.url,
                "title": None,
                "text": None,
                "note": "It is a PDF, which code is not given. Fetch it without code.",
            },
        ),
    ],
)
def test_code_fetches_and_only_what_it_prints_is_seen(given, page, expected):
    talk = Fetching(page, tools=[tool(SECOND, **given)], cells=[waits(), printed("ok\n")])
    message = talk.ask([python()], [text("b")])
    cell, made, found, ran, _ = message["content"]
    assert made["caller"] == found["caller"]
    assert made["caller"]["tool_id"] == cell["id"]
    assert found["content"]["url"] == page.url
    assert ran["type"] == "code_execution_tool_result"
    assert requests(message) == 1
    (messages, [offered]) = talk.seen(1)
    assert offered["name"] == "code_execution"
    assert "async def web_fetch(arguments: dict)" in offered["description"]
    assert "October" not in json.dumps(messages)
    [(_, [result])] = talk.sandbox.resumed
    assert json.loads(result.text) == expected


def test_code_gets_passages_that_can_be_cited():
    def ask(*answers, cells):
        talk = Fetching(PYTHON, tools=[tool(SECOND, **CITING)], cells=cells)
        return talk, talk.ask([python()], *answers)

    talk, _ = ask([text("-")], cells=[waits(), printed("-")])
    passages = json.loads(talk.sandbox.resumed[0][1][0].text)["passages"]
    index = passages[1]["index"]
    _, message = ask([text(f'<cited index="{index}">x</cited>')], cells=[waits(), printed(index)])
    [citation] = message["content"][-1]["citations"]
    assert citation["cited_text"] == passages[1]["text"]


def test_code_gets_errors_as_words():
    url = "https://evil.example/"
    talk = Fetching(tools=[tool(SECOND)], cells=[waits(url), printed("-")])
    message = talk.ask([python()], [text("b")])
    assert codes(message) == ["url_not_in_prior_context"]
    [(_, [result])] = talk.sandbox.resumed
    assert result.text == "Error: url_not_in_prior_context"


def test_excluded_pages_stay_here():
    given = [tool(LATEST, response_inclusion="excluded")]
    talk = Fetching(PYTHON, tools=given, cells=[waits(), printed("x")])
    message = talk.ask([python()], [text("b")])
    assert codes(message) == []
    assert requests(message) == 1


def test_a_page_is_made_once_for_the_model_however_often_it_is_looked_at():
    page = Page("https://a.example/", 1_796_000_000.0, title="A", text="One. Two.")
    content = fetched(page, max_tokens=100, cites=True)
    context = RequestContext("", {})
    shown = to_tool_result(content, context)["content"]
    again = to_tool_result(content, context)["content"]
    assert "One. Two." in shown
    assert again is shown
    plain = fetched(page, max_tokens=100, cites=False)
    assert "[" not in to_tool_result(plain, context)["content"]
