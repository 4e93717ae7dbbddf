"""Web tools that code calls: what code is given, what the client is told, what the model sees."""

from __future__ import annotations

import json

import pytest
from conversation import KEY
from fake_sandbox import printed, waiting
from probe import PROBE, Probe
from turn_support import call, text
from web_searches import LAST, NEW, OLD, PYTHON, RUST, Searching, searching, tool

from anthropic_bedrock_proxy.errors import InvalidRequestError, UnavailableError
from anthropic_bedrock_proxy.tools.code_execution.options import CodeExecutionOptions

CALLER = "code_execution_20260120"
CODE = {"type": CALLER, "name": "code_execution"}
WEATHER = {"name": "weather", "input_schema": {"type": "object"}, "allowed_callers": [CALLER]}
DIRECT = "code cannot be run for this request, so the model calls web_search itself"


def python(identifier="t", code="await web_search({'query': 'q'})"):
    return call("code_execution", identifier, code=code)


def waits(number=1, **more):
    """A cell that waits for a search."""
    return waiting(**{f"toolu_{number:024x}": ("web_search", {"query": "q"})}, **more)


def types(message):
    return [each["type"] for each in message["content"]]


@pytest.mark.parametrize("code", [True, False])
@pytest.mark.parametrize("twins", [(OLD, OLD), (OLD, NEW), (NEW, LAST)])
def test_a_tool_is_defined_once(twins, code):
    """The model saw one of two, and the domains and bounds of the other held for nothing."""
    first, second = twins
    talk = Searching(tools=[tool(first), PROBE, tool(second, blocked_domains=["a"])], code=code)
    with pytest.raises(InvalidRequestError, match=r"^tools\.2\.name: Tool names must be unique"):
        talk.ask()


@pytest.mark.parametrize("kind", [NEW, LAST])
def test_code_searches_and_only_what_it_prints_is_seen(kind):
    talk = Searching([PYTHON, RUST], tools=[tool(kind)], cells=[waits(), printed("3.14\n")])
    message = talk.ask([python()], [text("b")])
    cell, made, found, ran, b = message["content"]
    caller = {"type": CALLER, "tool_id": cell["id"]}
    assert made == {
        "type": "server_tool_use",
        "id": f"srvtoolu_{1:024x}",
        "name": "web_search",
        "input": {"query": "q"},
        "caller": caller,
    }
    assert (found["tool_use_id"], found["caller"]) == (made["id"], caller)
    assert [each["url"] for each in found["content"]] == [PYTHON.url, RUST.url]
    assert ran["tool_use_id"] == cell["id"]
    assert b == text("b")
    assert message["usage"]["server_tool_use"] == {
        "web_search_requests": 1,
        "web_fetch_requests": 0,
        "code_execution_requests": 1,
    }
    # The model has Python alone, whose description tells of the function.
    (messages, tools) = talk.seen(1)
    [offered] = tools
    assert offered["name"] == "code_execution"
    assert "async def web_search(arguments: dict)" in offered["description"]
    assert messages[-1]["content"][0]["content"] == "3.14\n"
    assert PYTHON.url not in json.dumps(messages)
    # The code was given pages whose passages have indexes.
    [(_, [result])] = talk.sandbox.resumed
    [first, second] = json.loads(result.text)
    assert (first["url"], first["page_age"]) == (PYTHON.url, "2 days ago")
    assert first["passages"][1]["text"] == "It has deferred annotations."
    assert second["title"] == "Rust"


@pytest.mark.parametrize("fault", ["gone", "down"])
def test_searches_of_code_whose_sandbox_dies_are_told_all_the_same(fault):
    """They have been made and are billed, and a later turn may use what they found."""
    talk = Searching(tools=[tool(NEW)], cells=[waits(), printed("-")])

    async def search(query, *, key):
        if fault == "gone":
            talk.sandbox.containers.clear()
        else:
            talk.sandbox.breaks = True
        return [RUST]

    talk.searcher.search = search
    message = talk.ask([python()], [text("b")])
    assert types(message) == [
        "server_tool_use",
        "server_tool_use",
        "web_search_tool_result",
        "code_execution_tool_result",
        "text",
    ]
    assert message["content"][2]["content"][0]["url"] == RUST.url
    assert message["content"][3]["content"]["error_code"] == "unavailable"
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 1


def test_what_code_has_found_can_be_cited():
    talk = Searching([PYTHON], tools=[tool(NEW)], cells=[waits(), printed("-")])
    talk.ask([python()], [text("-")])
    [page] = json.loads(talk.sandbox.resumed[0][1][0].text)
    index = page["passages"][1]["index"]
    talk = Searching([PYTHON], tools=[tool(NEW)], cells=[waits(), printed(index)])
    message = talk.ask([python()], [text(f'<cited index="{index}">so</cited>')])
    [citation] = message["content"][-1]["citations"]
    assert citation["cited_text"] == "It has deferred annotations."
    # And in the next turn, in which the model sees neither call nor result of the code's.
    talk.say(text("more"))
    message = talk.ask([text(f'<cited index="{index}">again</cited>')])
    assert message["content"][0]["citations"][0]["cited_text"] == "It has deferred annotations."
    (messages, _) = talk.seen()
    assert PYTHON.url not in json.dumps(messages)


def test_excluded_results_stay_here():
    given = [tool(LAST, response_inclusion="excluded")]
    talk = Searching([RUST], tools=given, cells=[waits(), printed("x")])
    message = talk.ask([python()], [text("b")])
    assert types(message) == ["server_tool_use", "code_execution_tool_result", "text"]
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 1
    # A search by the model itself is needed in the next turn: it is told all the same.
    given = [tool(LAST, response_inclusion="excluded", allowed_callers=["direct"])]
    talk = Searching([RUST], tools=given)
    assert types(talk.ask([searching()], [text("b")]))[1] == "web_search_tool_result"


def test_excluded_results_are_told_while_their_code_waits_for_the_client():
    """It may need them when it goes on, and nothing is kept here."""
    cells = [waits(), waiting(toolu_b=("weather", {})), waits(2), printed("x")]
    given = [CODE, tool(LAST, response_inclusion="excluded"), WEATHER]
    talk = Searching([PYTHON], [RUST], tools=given, cells=cells)
    message = talk.ask([python()])
    assert types(message) == [
        "server_tool_use",
        "server_tool_use",
        "web_search_tool_result",
        "tool_use",
    ]
    talk.say({"type": "tool_result", "tool_use_id": "toolu_b", "content": "rain"})
    [page] = json.loads(talk.sandbox.resumed[0][1][0].text)
    index = page["passages"][1]["index"]
    cited = f'<cited index="{index}">so</cited>'
    message = talk.ask([text(cited)], container=message["container"]["id"])
    # What it searched for since then was for code that has ended in the same turn.
    assert types(message) == ["code_execution_tool_result", "text"]
    assert message["content"][1]["citations"][0]["cited_text"] == "It has deferred annotations."
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 1


def test_code_that_calls_nothing_needs_no_client_tools():
    """Beside tools that code may not call: they stay the model's."""
    plain = {"name": "plain", "input_schema": {"type": "object"}}
    probe = Probe()
    talk = Searching(tools=[tool(NEW), CODE, plain, PROBE], kinds=[probe.kind])
    talk.ask([text("b")])
    (_, tools) = talk.seen()
    assert [each["name"] for each in tools][-2:] == ["plain", "probe"]


def test_both_may_search_if_the_client_says_so():
    given = [tool(NEW, allowed_callers=["direct", CALLER])]
    talk = Searching([RUST], [PYTHON], tools=given, cells=[waits(), printed("x")])
    message = talk.ask([searching("a", "1"), python("2")], [text("b")])
    assert types(message) == [
        "server_tool_use",
        "web_search_tool_result",
        "server_tool_use",
        "server_tool_use",
        "web_search_tool_result",
        "code_execution_tool_result",
        "text",
    ]
    (_, tools) = talk.seen()
    assert [each["name"] for each in tools] == ["web_search", "code_execution"]
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 2


def test_code_that_the_client_sent_is_used():
    given = [CODE, tool(NEW), WEATHER]
    talk = Searching([RUST], tools=given, cells=[waits(), printed("x")])
    talk.ask([python()], [text("b")])
    (_, tools) = talk.seen()
    names = [each["name"] for each in tools]
    assert names == ["code_execution", "bash_code_execution", "text_editor_code_execution"]
    assert "async def weather" in tools[0]["description"]


def test_code_may_search_and_call_the_client_at_once():
    cells = [
        waits(toolu_b=("weather", {})),
        waiting(toolu_b=("weather", {})),
        waits(2),
        printed("x"),
    ]
    talk = Searching([RUST], [PYTHON], tools=[CODE, tool(NEW), WEATHER], cells=cells)
    message = talk.ask([python()])
    cell, made, found, asked = message["content"]
    assert (made["name"], found["type"]) == ("web_search", "web_search_tool_result")
    assert (asked["type"], asked["caller"]["tool_id"]) == ("tool_use", cell["id"])
    assert message["stop_reason"] == "tool_use"
    assert [len(results) for _, results in talk.sandbox.resumed] == [1]
    talk.say({"type": "tool_result", "tool_use_id": "toolu_b", "content": "rain"})
    message = talk.ask([text("b")], container=message["container"]["id"])
    assert types(message) == [
        "server_tool_use",
        "web_search_tool_result",
        "code_execution_tool_result",
        "text",
    ]
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 1
    (messages, _) = talk.seen()
    assert RUST.url not in json.dumps(messages)
    talk.say(text("more"))
    talk.ask([text("c")])


def test_code_waits_for_code_before_it_that_searches():
    """Not for the client, which has nothing to bring."""
    cells = [waits(), printed("first\n"), printed("second\n")]
    talk = Searching([RUST], tools=[tool(NEW)], cells=cells)
    message = talk.ask([python("t1"), python("t2", "2")], [text("b")])
    results = [each for each in message["content"] if "execution_tool" in each["type"]]
    assert [each["content"]["stdout"] for each in results] == ["first\n", "second\n"]
    assert message["stop_reason"] == "end_turn"
    assert [at.cell for at, _ in talk.sandbox.ran] == [each["tool_use_id"] for each in results]


def test_failures_reach_the_code_as_words():
    cells = [waits(), waits(2), waits(3), printed("x")]
    given = [tool(NEW, max_uses=2)]
    talk = Searching("unavailable", [RUST], tools=given, cells=cells)
    message = talk.ask([python()], [text("b")])
    told = [results[0].text for _, results in talk.sandbox.resumed]
    assert told[0] == "Error: unavailable"
    assert told[2] == "Error: max_uses_exceeded"
    assert message["usage"]["server_tool_use"]["web_search_requests"] == 1


@pytest.mark.parametrize(
    "more", [{"code": False}, {"options": CodeExecutionOptions(programmatic=False)}]
)
def test_without_a_sandbox_the_model_searches_and_a_warning_says_so(more):
    talk = Searching([RUST], tools=[tool(NEW)], **more)
    message = talk.ask([searching()], [text("b")])
    assert types(message) == ["server_tool_use", "web_search_tool_result", "text"]
    assert talk.warnings == [f"tools.0: {DIRECT}"]
    (_, tools) = talk.seen()
    assert [each["name"] for each in tools] == ["web_search"]


@pytest.mark.parametrize(
    "choice",
    [{"type": "tool", "name": "web_search"}, {"type": "auto", "disable_parallel_tool_use": True}],
)
def test_calls_that_code_does_not_make_are_the_models(choice):
    talk = Searching([RUST], tools=[tool(NEW)])
    talk.ask([searching()], [text("b")], tool_choice=choice)
    assert talk.warnings == [f"tools.0: {DIRECT}"]
    talk = Searching(tools=[tool(NEW)])
    talk.ask([text("b")], tool_choice={"type": "any"})
    assert talk.warnings == []
    assert talk.ask([text("b")], tool_choice="auto")


def test_a_sandbox_that_is_down_is_no_reason_not_to_search():
    talk = Searching([RUST], tools=[tool(NEW)])
    talk.sandbox.unavailable = "Docker is gone"
    message = talk.ask([searching()], [text("b")])
    assert types(message) == ["server_tool_use", "web_search_tool_result", "text"]
    assert talk.warnings == [f"tools.0: {DIRECT}"]
    talk = Searching([RUST], tools=[tool(NEW), CODE])
    talk.sandbox.unavailable = "Docker is gone"
    with pytest.raises(UnavailableError):  # who sends it wants it
        talk.ask()


def test_both_callers_need_no_warning_where_code_cannot_be_run():
    talk = Searching([RUST], tools=[tool(NEW, allowed_callers=["direct", CALLER])], code=False)
    talk.ask([searching()], [text("b")])
    assert talk.warnings == []


@pytest.mark.parametrize("kind", [OLD, NEW])
def test_direct_callers_need_no_code(kind):
    talk = Searching([RUST], tools=[tool(kind, allowed_callers=["direct"])])
    talk.ask([searching()], [text("b")])
    (_, tools) = talk.seen()
    assert [each["name"] for each in tools] == ["web_search"]
    assert talk.warnings == []


def test_code_of_the_first_version_calls_nothing():
    first = {"type": "code_execution_20250522", "name": "code_execution"}
    talk = Searching([RUST], tools=[tool(NEW), first])
    talk.ask([searching()], [text("b")])
    assert talk.warnings == [f"tools.0: {DIRECT}"]


def test_a_tool_of_the_client_cannot_have_the_name_of_a_function():
    talk = Searching(tools=[tool(NEW), {"name": "web_search", "input_schema": {"type": "object"}}])
    with pytest.raises(InvalidRequestError, match=r"tools\.1\.name: web_search is the name"):
        talk.ask()


def test_the_key_is_that_of_the_request():
    talk = Searching([RUST], tools=[tool(NEW)], cells=[waits(), printed("x")])
    talk.ask([python()], [text("b")])
    assert [key for key, _ in talk.searcher.asked] == [KEY]
