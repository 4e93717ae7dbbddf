"""Web search in a turn: what the model sees, what the client is told, what is searched for."""

from __future__ import annotations

import re

import pytest
from conversation import KEY
from turn_support import ASKED, assistant, call, text
from web_searches import LAST, NEW, OLD, PYTHON, RUST, Searching, searching, tool

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.search.base import SearchLocation
from anthropic_bedrock_proxy.tools.web.search_options import WebSearchOptions

PLAIN = {"name": "plain", "input_schema": {"type": "object"}}


def indexes(shown):
    return re.findall(r"\[([a-z0-9]{5}-\d+)\]", shown)


def result_of(talk, number=1):
    """What the model was shown of the first search, in a later call."""
    [block] = talk.seen(number)[0][-1]["content"]
    return block


@pytest.mark.parametrize("kind", [OLD, NEW, LAST])
def test_a_search_is_told_to_both_sides(kind):
    talk = Searching([PYTHON, RUST], tools=[tool(kind)], code=False)
    message = talk.ask([text("a"), searching("when?")], [text("b")])
    a, made, found, b = message["content"]
    assert (a, b) == (text("a"), text("b"))
    identifier = made["id"]
    assert re.fullmatch(r"srvtoolu_[0-9a-f]{24}", identifier)
    assert made == {
        "type": "server_tool_use",
        "id": identifier,
        "name": "web_search",
        "input": {"query": "when?"},
    }
    assert (found["type"], found["tool_use_id"]) == ("web_search_tool_result", identifier)
    first, second = found["content"]
    sealed = first.pop("encrypted_content")
    assert first == {
        "type": "web_search_result",
        "url": PYTHON.url,
        "title": PYTHON.title,
        "page_age": "2 days ago",
    }
    assert second["page_age"] is None
    assert "October" not in sealed
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["server_tool_use"] == {
        "web_search_requests": 1,
        "web_fetch_requests": 0,
    }
    [(key, query)] = talk.searcher.asked
    assert (key, query.text, query.max_results) == (KEY, "when?", 5)
    shown = result_of(talk)
    assert shown["tool_use_id"] == identifier.replace("srvtoolu_", "toolu_")
    assert shown["content"].startswith(
        '<result url="https://docs.example/3.14" title="What\'s new"'
    )
    assert "deferred annotations" in shown["content"]
    assert len(indexes(shown["content"])) == 3


def test_what_is_cited_is_what_was_found():
    talk = Searching([PYTHON])
    talk.ask([searching()], [text("-")])
    index = indexes(result_of(talk)["content"])[1]
    talk = Searching([PYTHON])
    cited = f'Look: <cited index="{index}">it is out</cited>, <cited index="zzzzz-1">maybe</cited>.'
    message = talk.ask([searching()], [text(cited)])
    plain, quoted, rest = message["content"][2:]
    assert plain == text("Look: ")
    [citation] = quoted.pop("citations")
    assert quoted == text("it is out")
    assert rest == text(", maybe.")
    assert citation.pop("encrypted_index")
    assert citation == {
        "type": "web_search_result_location",
        "url": PYTHON.url,
        "title": PYTHON.title,
        "cited_text": "It has deferred annotations.",
    }
    assert citation["cited_text"] in PYTHON.text


def test_the_next_turn_sees_all_of_it_again():
    talk = Searching([PYTHON])
    message = talk.ask([searching()], [text("-")])
    index = indexes(result_of(talk)["content"])[0]
    talk = Searching([PYTHON])
    said = f'a <cited index="{index}">b</cited> c'
    message = talk.ask([searching()], [text(said)])
    before = result_of(talk)
    assert [block["type"] for block in message["content"][2:]] == ["text"] * 3
    talk.say(text("go on"))
    talk.ask([text(f'<cited index="{index}">d</cited>')])
    (messages, _) = talk.seen()
    assert messages[2]["content"] == [before]
    # Its text in pieces, each as the model wrote it.
    assert "".join(block["text"] for block in messages[3]["content"]) == said
    assert talk.messages[-1]["content"][0]["citations"][0]["url"] == PYTHON.url
    assert len(talk.searcher.asked) == 1


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "invalid_tool_input"),
        ({"query": " "}, "invalid_tool_input"),
        ({"query": 7}, "invalid_tool_input"),
        ({"query": "q" * 2001}, "query_too_long"),
    ],
)
def test_a_call_without_a_query_is_told_so(given, code):
    talk = Searching()
    message = talk.ask([call("web_search", "t", **given)], [text("b")])
    assert message["content"][1]["content"] == {
        "type": "web_search_tool_result_error",
        "error_code": code,
    }
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 0
    shown = result_of(talk)
    assert shown["is_error"] is True
    assert shown["content"].startswith(f"{code}: ")


@pytest.mark.parametrize("code", ["unavailable", "too_many_requests"])
def test_a_failure_is_a_result_and_costs_nothing(code):
    talk = Searching(code, [RUST])
    message = talk.ask([searching()], [searching("again", "t2")], [text("b")])
    contents = [each["content"] for each in message["content"] if "content" in each]
    assert contents[0]["error_code"] == code
    assert contents[1][0]["url"] == RUST.url
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 1
    # The operator is told why.
    assert [(run.code, run.reason) for run in talk.ran] == [(code, "a reason"), ("", "")]


def test_a_fault_of_our_own_costs_nothing_either():
    talk = Searching(None)  # no searcher returns that
    message = talk.ask([searching()], [text("b")])
    assert message["content"][1]["content"]["error_code"] == "unavailable"
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 0


def test_no_more_searches_than_allowed():
    talk = Searching([RUST], [RUST], tools=[tool(max_uses=2)])
    message = talk.ask([searching("a", "1"), searching("b", "2"), searching("c", "3")], [text("b")])
    contents = [each["content"] for each in message["content"] if "content" in each]
    assert [len(each) for each in contents[:2]] == [1, 1]
    assert contents[2]["error_code"] == "max_uses_exceeded"
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 2
    talk = Searching([RUST], search=WebSearchOptions(default_max_uses=1))
    message = talk.ask([searching("a", "1"), searching("b", "2")], [text("b")])
    assert message["content"][-2]["content"]["error_code"] == "max_uses_exceeded"


def test_nothing_found_is_an_empty_result():
    talk = Searching([])
    message = talk.ask([searching()], [text("b")])
    assert message["content"][1]["content"] == []
    assert result_of(talk)["content"] == "No results were found. Try another query."
    assert "is_error" not in result_of(talk)
    talk.say(text("more"))
    talk.ask([text("c")])


def test_pages_that_the_client_does_not_want_are_left_out():
    hits = [PYTHON, RUST, PYTHON]
    talk = Searching(hits, tools=[tool(blocked_domains=["rust.example"])])
    message = talk.ask([searching()], [text("b")])
    assert [each["url"] for each in message["content"][1]["content"]] == [PYTHON.url]
    [(_, query)] = talk.searcher.asked
    assert query.blocked_domains == ("rust.example",)
    talk = Searching(hits, tools=[tool(allowed_domains=["docs.example/3.14"])])
    message = talk.ask([searching()], [text("b")])
    assert [each["url"] for each in message["content"][1]["content"]] == [PYTHON.url]


def test_the_place_of_the_user_is_passed_on():
    place = {"type": "approximate", "city": "Oslo", "country": "NO", "region": None}
    talk = Searching([RUST], tools=[tool(user_location=place)])
    talk.ask([searching()], [text("b")])
    [(_, query)] = talk.searcher.asked
    assert query.location == SearchLocation("Oslo", None, "NO", None)


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"type": "web_search_20990101"}, "tools.1.type: expected one of web_search_20250305"),
        ({"name": "search"}, "tools.1.name: Input should be 'web_search'"),
        (
            {"allowed_domains": ["a.example"], "blocked_domains": ["b.example"]},
            "tools.1: only one of allowed_domains and blocked_domains",
        ),
        ({"allowed_domains": ["https://a.example"]}, "tools.1.allowed_domains.0: "),
        ({"max_uses": 0}, "tools.1.max_uses: "),
        ({"max_uses": True}, "tools.1.max_uses: "),
        ({"user_location": "Oslo"}, "tools.1.user_location: "),
        ({"user_location": {"type": "exact"}}, "tools.1.user_location: "),
        ({"user_location": {"type": "approximate", "city": 1}}, "tools.1.user_location.city: "),
        (
            {"user_location": {"type": "approximate", "region": "x" * 256}},
            "tools.1.user_location.region: at most 255",
        ),
        ({"response_inclusion": "some"}, "tools.1.response_inclusion: "),
    ],
)
def test_a_definition_that_nobody_can_serve_is_refused(more, path):
    talk = Searching(tools=[PLAIN, tool() | more])
    with pytest.raises(InvalidRequestError, match=re.escape(path)):
        talk.ask()


def test_unknown_fields_are_no_mistake():
    talk = Searching(
        [RUST], tools=[tool(search_profile="fast", cache_control={"type": "ephemeral"})]
    )
    talk.ask([searching()], [text("b")])
    (_, [seen]) = talk.seen()
    assert seen["name"] == "web_search"
    assert seen["cache_control"] == {"type": "ephemeral"}
    assert "search_profile" not in seen
    assert "type" not in seen


def sent(talk):
    """The assistant's blocks in the history."""
    return talk.messages[1]["content"]


@pytest.mark.parametrize("fault", ["altered", "foreign", "expired", "rotated"])
def test_a_seal_that_does_not_open_is_refused_with_its_place(fault):
    talk = Searching([RUST])
    talk.ask([searching()], [text("b")])
    block = sent(talk)[1]["content"][0]
    if fault == "altered":
        kept = block["encrypted_content"]
        block["encrypted_content"] = kept[:-1] + ("A" if kept[-1] != "A" else "B")
    elif fault == "foreign":
        talk.key = "key_2"
    elif fault == "expired":
        talk.clock.now += 31 * 86_400
    else:
        talk.seals = type(talk.seals)([b"n" * 32], talk.clock, 30)
    talk.say(text("more"))
    path = r"messages\.1\.content\.1\.content\.0\.encrypted_content: it(s key)? .*; remove this"
    with pytest.raises(InvalidRequestError, match=path):
        talk.ask([text("c")])


def test_a_citation_that_does_not_open_is_refused_with_its_place():
    talk = Searching([RUST])
    talk.ask([searching()], [text("-")])
    index = indexes(result_of(talk)["content"])[0]
    talk = Searching([RUST])
    talk.ask([searching()], [text(f'a <cited index="{index}">b</cited>')])
    cited = sent(talk)[3]["citations"][0]
    talk.say(text("more"))
    talk.ask([text("c")])
    cited["encrypted_index"] = cited["encrypted_index"][:-4] + "AAAA"
    talk.say(text("more"))
    path = r"messages\.1\.content\.3\.citations\.0\.encrypted_index: it was not made"
    with pytest.raises(InvalidRequestError, match=path):
        talk.ask([text("d")])


@pytest.mark.parametrize(
    "content", [None, 7, [7], [{}], [{"encrypted_content": 7}], {"error_code": []}, {}]
)
def test_a_result_of_another_form_is_refused_with_its_place(content):
    made = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": content}
    talk = Searching()
    talk.messages = [ASKED, assistant(made, found), ASKED]
    with pytest.raises(InvalidRequestError, match=r"^messages\.1\.content\.1\.content"):
        talk.ask([text("c")])


def test_a_search_beside_a_call_of_the_client_is_told_and_both_are_answered():
    talk = Searching([RUST], tools=[tool(), PLAIN])
    message = talk.ask([searching("q", "1"), call("plain", "2")])
    assert [each["type"] for each in message["content"]] == [
        "server_tool_use",
        "web_search_tool_result",
        "tool_use",
    ]
    assert message["stop_reason"] == "tool_use"
    talk.say({"type": "tool_result", "tool_use_id": "2", "content": "done"})
    talk.ask([text("b")])
    (messages, _) = talk.seen()
    # What follows a result was said when the model knew it, as far as anybody can tell.
    answered = [block["tool_use_id"] for each in messages[2::2] for block in each["content"]]
    assert answered == [message["content"][0]["id"].replace("srvtoolu", "toolu"), "2"]


def test_the_loop_pauses_at_its_limit():
    talk = Searching(*([[RUST]] * 10), tools=[tool(max_uses=20)])
    message = talk.ask(*[[searching(str(number), str(number))] for number in range(10)])
    assert message["stop_reason"] == "pause_turn"
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 10
    message = talk.ask([text("done")])
    assert message["content"] == [text("done")]


def test_words_that_look_like_html_are_left_alone():
    talk = Searching([RUST])
    message = talk.ask([searching()], [text("<cite>The Times</cite> says <b>so</b>")])
    assert message["content"][-1] == text("<cite>The Times</cite> says <b>so</b>")
