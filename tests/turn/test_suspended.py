"""Calls that wait for the client's tools: what it is told, what it sends, what the model sees."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import msgspec
import pytest
from probe import CALLER, CONTAINER, PROBE, Probe, container_id, finished, suspended
from turn_support import (
    ASKED,
    RUN,
    SEARCH,
    Calls,
    Played,
    Stream,
    answer,
    assistant,
    call,
    fields_of,
    found,
    prepared,
    read_all,
    request,
    result,
    search,
    text,
    user,
)
from working import no_pause

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.protocol.answer.events import fold
from anthropic_bedrock_proxy.tools.base import PreparedTool
from anthropic_bedrock_proxy.tools.calls import ClientCall
from anthropic_bedrock_proxy.tools.kinds import tool_search
from anthropic_bedrock_proxy.tools.toolset import Toolset
from anthropic_bedrock_proxy.turn.actions import End
from anthropic_bedrock_proxy.turn.driver import begin_turn, open_turn
from anthropic_bedrock_proxy.turn.request import without_running
from anthropic_bedrock_proxy.turn.suspended import SuspendedTurn

A, B, S = "srvtoolu_A", "srvtoolu_B", "srvtoolu_S"
TOOLS = [PROBE, SEARCH, RUN]
IN_CONTAINER = {"id": CONTAINER.id, "expires_at": CONTAINER.expires_at}


class Instant:
    """A `Probe` whose calls have their outcomes, by number, before they are asked for."""

    def __init__(self, *outcomes):
        self.probe = Probe()
        self.outcomes = list(outcomes)
        self.calls = []

    def __getattr__(self, name):
        return getattr(self.probe, name)

    @property
    def toolset(self):
        kind = msgspec.structs.replace(self.probe.kind, make=lambda: self)
        return Toolset([kind, tool_search(no_pause, nullcontext)])

    def prepare(self, context, pending):
        async def run(asked):
            self.calls.append(asked)
            return self.outcomes.pop(0)

        return PreparedTool(run)


def server_call(identifier, number=1):
    given = {"n": number}
    return {"type": "server_tool_use", "id": identifier, "name": "probe", "input": given}


def client_call(caller, identifier):
    """A call of `run` by the code of a server-side call."""
    by = {"type": CALLER, "tool_id": caller}
    return {**call("run", identifier, command="ls"), "caller": by}


def probed(identifier, words):
    content = {"type": "probe_result", "words": words}
    return {"type": "probe_tool_result", "tool_use_id": identifier, "content": content}


def waiting(*identifiers):
    return suspended(*((one, "run", {"command": "ls"}) for one in identifiers))


def pending(**callers):
    calls = {
        caller: tuple(ClientCall(one, "run", {"command": "ls"}) for one in ids)
        for caller, ids in callers.items()
    }
    return SuspendedTurn(CONTAINER, calls)


def played(tool, messages, *answers, **fields):
    """(the turn, its message)"""
    turn = Played(request(messages, TOOLS, **fields), tool.toolset)
    for events in answers:
        turn.feed(events)
    return turn, fold(turn.told)


def test_a_suspended_call_is_told_as_the_calls_for_which_it_waits():
    tool = Instant(waiting("x", "y"))
    turn, message = played(tool, [ASKED], answer(text("a"), call("probe", "t", n=1)))
    identifier = message["content"][1]["id"]
    assert message["content"] == [
        text("a"),
        server_call(identifier),
        client_call(identifier, "x"),
        client_call(identifier, "y"),
    ]
    assert message["stop_reason"] == "tool_use"
    assert message["container"] == IN_CONTAINER
    assert message["usage"] == {"input_tokens": 10, "output_tokens": 5}
    assert turn.end == End(pending(**{identifier: ["x", "y"]}))
    assert len(turn.requests) == 1


def test_its_calls_stream_as_a_models_do():
    tool = Instant(waiting("x"))
    turn, _ = played(tool, [ASKED], answer(call("probe", "t", n=1)))
    events = [msgspec.json.decode(data) for _, data in turn.told]
    start, delta, stop, last = events[4:8]
    assert (start["index"], start["content_block"]["input"]) == (1, {})
    assert start["content_block"]["caller"]["type"] == CALLER
    assert delta["delta"] == {"type": "input_json_delta", "partial_json": '{"command":"ls"}'}
    assert stop == {"type": "content_block_stop", "index": 1}
    assert last["delta"]["container"] == IN_CONTAINER


@pytest.mark.parametrize("stop", ["tool_use", "max_tokens", "end_turn"])
def test_beside_whatever_else_the_model_says(stop):
    tool = Instant(waiting("x"), finished("two"))
    events = answer(
        call("probe", "t1", n=1), call("probe", "t2", n=2), call("run", "c"), text("b"), stop=stop
    )
    turn, message = played(tool, [ASKED], events)
    first, second = (b["id"] for b in message["content"] if b["type"] == "server_tool_use")
    assert message["content"] == [
        server_call(first),
        client_call(first, "x"),
        server_call(second, 2),
        probed(second, "two"),
        call("run", "c"),
        text("b"),
    ]
    assert message["stop_reason"] == "tool_use"
    assert turn.end.suspended == pending(**{first: ["x"]})


def test_the_results_resume_the_call_and_then_the_model_is_called():
    tool = Instant(finished("one"))
    history = [
        ASKED,
        assistant(text("a"), server_call(A), client_call(A, "x"), client_call(A, "y")),
        user(result("y", "why"), result("x", "ex")),
    ]
    choice = {"type": "any"}
    turn, message = played(tool, history, answer(text("b")), tool_choice=choice)
    (resumed,) = tool.calls
    assert (resumed.id, resumed.input) == (A, {"n": 1})
    assert resumed.results == [result("y", "why"), result("x", "ex")]
    assert message["content"] == [probed(A, "one"), text("b")]
    assert message["stop_reason"] == "end_turn"
    assert turn.end == End()
    messages, choice = fields_of(turn.requests[0], "messages", "tool_choice")
    assert messages == [
        ASKED,
        assistant(text("a"), call("probe", "toolu_A", n=1)),
        user(result("toolu_A", "one")),
    ]
    assert choice == {"type": "auto"}  # it goes on with an answer whose forced call was made


def test_a_call_that_is_suspended_anew_ends_the_answer_without_a_model():
    history = [ASKED, assistant(server_call(A), client_call(A, "x")), user(result("x"))]
    turn, message = played(Instant(waiting("y", "z")), history)
    assert not turn.requests
    assert message["content"] == [client_call(A, "y"), client_call(A, "z")]
    assert message["stop_reason"] == "tool_use"
    assert message["container"] == IN_CONTAINER
    assert message["model"] == "m"
    assert message["usage"] == {"input_tokens": 0, "output_tokens": 0}
    assert turn.end == End(pending(**{A: ["y", "z"]}))
    assert turn.turn.spent() == {}
    _, other = played(Instant(waiting("w")), history)
    assert message["id"].startswith("msg_")
    assert message["id"] != other["id"]


def test_two_calls_that_wait_together_may_go_on_at_different_times():
    said = assistant(
        server_call(A), client_call(A, "x"), server_call(B, 2), client_call(B, "y"), search(S)
    )
    history = [ASKED, said, user(result("x"), result("y"))]
    tool = Instant(waiting("z"), finished("two"))
    turn, message = played(tool, history)
    assert [one.results for one in tool.calls] == [[result("x")], [result("y")]]
    assert message["content"] == [client_call(A, "z"), probed(B, "two"), found(S)]
    assert turn.end.suspended == pending(**{A: ["z"]})
    history += [assistant(*message["content"]), user(result("z", "zet"))]
    tool = Instant(finished("one"))
    turn, message = played(tool, history, answer(text("b")))
    (resumed,) = tool.calls
    assert (resumed.id, resumed.results) == (A, [result("z", "zet")])
    assert message["content"] == [probed(A, "one"), text("b")]
    (messages,) = fields_of(turn.requests[0], "messages")
    asked = [call("probe", "toolu_A", n=1), call("probe", "toolu_B", n=2)]
    assert messages[1]["content"][:2] == asked
    answered = [block["tool_use_id"] for block in messages[2]["content"]]
    assert answered == ["toolu_A", "toolu_S", "toolu_B"]
    assert len(messages) == 3


def test_a_call_that_waits_for_another_one_is_run_with_the_next_request():
    said = assistant(server_call(A), client_call(A, "x"), server_call(B, 2))
    tool = Instant(waiting("y"), waiting())
    turn, message = played(tool, [ASKED, said, user(result("x"))])
    assert [(one.id, one.results) for one in tool.calls] == [(A, [result("x")]), (B, [])]
    assert message["content"] == [client_call(A, "y")]
    assert turn.end.suspended == pending(**{A: ["y"], B: []})
    again = [ASKED, said, user(result("x")), assistant(client_call(A, "y")), user(result("y"))]
    tool = Instant(finished("one"), finished("two"))
    turn, message = played(tool, again, answer(text("b")))
    assert [(one.id, one.results) for one in tool.calls] == [(A, [result("y")]), (B, [])]
    assert message["content"] == [probed(A, "one"), probed(B, "two"), text("b")]


@pytest.mark.parametrize("kind", ["image", "document"])
def test_a_result_for_code_is_text_and_nothing_else(kind):
    bad = {**result("x"), "content": [text("a"), {"type": kind, "source": {}}]}
    history = [ASKED, assistant(server_call(A), client_call(A, "x")), user(result("q"), bad)]
    with pytest.raises(InvalidRequestError) as refused:
        prepared(request(history, TOOLS), Instant().toolset)
    assert refused.value.message == (
        "messages.2.content.1.content.1: only text is allowed in the result of a call that code "
        f"has made, not {kind}"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"type": "text", "text": "a"}, ": Expected `str | array | null`, got `object`"),
        ([text("a"), {"type": "text"}], ".1.text: a string is required"),
        ([{"type": "text", "text": None}], ".0.text: a string is required"),
    ],
)
def test_a_result_that_is_no_text_is_refused_while_the_code_still_waits(content, message):
    history = [ASKED, assistant(server_call(A), client_call(A, "x"))]
    given = request([*history, user({**result("x"), "content": content})], TOOLS)
    with pytest.raises(InvalidRequestError) as refused:
        prepared(given, Instant().toolset)
    assert refused.value.message == f"messages.2.content.0.content{message}"


def test_the_model_sees_nothing_of_the_pauses_of_a_call():
    history = [
        ASKED,
        assistant(text("a"), server_call(A), client_call(A, "x"), call("run", "c")),
        user(result("c"), result("x")),
        assistant(client_call(A, "y")),
        user(result("y")),
        assistant(client_call(A, "z")),
        user(result("z")),
        assistant(probed(A, "one"), text("b")),
        {"role": "user", "content": "go on"},
    ]
    ready, owed = prepared(request(history, TOOLS), Instant().toolset)
    assert owed == []
    (messages,) = fields_of(ready, "messages")
    assert messages == [
        ASKED,
        assistant(text("a"), call("probe", "toolu_A", n=1), call("run", "c")),
        user(result("toolu_A", "one"), result("c")),
        assistant(text("b")),
        {"role": "user", "content": "go on"},
    ]


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        pytest.param(
            [
                assistant(server_call(A), client_call(A, "x"), client_call(A, "y")),
                user(result("x")),
            ],
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: "
            "y",
            id="a result is missing",
        ),
        pytest.param(
            [assistant(server_call(A), client_call(A, "x"))],
            "messages.1: `tool_use` ids were found without",
            id="the history ends in the calls",
        ),
        pytest.param(
            [assistant(server_call(A), client_call(A, "x")), assistant(text("b"))],
            "messages.1: `tool_use` ids were found without",
            id="the model goes on without the results",
        ),
        pytest.param(
            [
                assistant(server_call(A), client_call(A, "x")),
                {"role": "system", "content": "be quick"},
            ],
            "messages.1: `tool_use` ids were found without",
            id="a system message without the results",
        ),
        pytest.param(
            [assistant(server_call(A), client_call(A, "x")), user(result("x"), text("and?"))],
            "messages.1: `probe` tool use with id `srvtoolu_A` was found without a corresponding "
            "`probe_tool_result` block",
            id="text after the results",
        ),
        pytest.param(
            [
                assistant(server_call(A), client_call(A, "x")),
                user(result("x")),
                assistant(client_call(A, "y")),
                user(result("y"), text("and?")),
            ],
            "messages.1: `probe` tool use with id `srvtoolu_A` was found without",
            id="text after later results",
        ),
        pytest.param(
            [
                assistant(server_call(A), client_call(A, "x")),
                user(result("x")),
                assistant(client_call(A, "y"), text("b")),
            ],
            "messages.1: `probe` tool use with id `srvtoolu_A` was found without",
            id="the model speaks while its call waits",
        ),
        pytest.param(
            [
                assistant(server_call(A), client_call(A, "x")),
                user(result("x")),
                {"role": "user", "content": "and?"},
            ],
            "messages.1: `probe` tool use with id `srvtoolu_A` was found without",
            id="another user message after the results",
        ),
        pytest.param(
            [
                assistant(server_call(A), server_call(B), client_call(A, "x")),
                user(result("x")),
                assistant(client_call(A, "y")),
            ],
            "messages.3: `tool_use` ids were found without",
            id="one of two calls waits again",
        ),
    ],
)
def test_refused(messages, message):
    with pytest.raises(InvalidRequestError) as refused:
        prepared(request([ASKED, *messages], TOOLS), Instant().toolset)
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize("caller", [{"type": "direct"}, {"type": CALLER, "tool_id": "srv_x"}, None])
def test_other_callers_are_the_models_own(caller):
    said = {**call("run", "c"), "caller": caller}
    history = [ASKED, assistant(server_call(A), said), user(result("c"))]
    ready, _ = prepared(request(history, TOOLS), Instant(finished("one")).toolset)
    (messages,) = fields_of(ready, "messages")
    assert messages[1]["content"][1] == said
    assert messages[2] == user(result("toolu_A", "one"), result("c"))


def test_counting_shows_a_call_that_waits_with_an_empty_result():
    history = [ASKED, assistant(server_call(A), client_call(A, "x")), user(result("x"))]
    made = without_running(request(history, TOOLS), Instant().toolset)
    (messages,) = fields_of(made, "messages")
    assert messages[2] == user({"type": "tool_result", "tool_use_id": "toolu_A"})


async def opened(probe, calls, messages, **fields):
    toolset = Toolset([probe.kind])
    return await open_turn(await begin_turn(request(messages, TOOLS, **fields), toolset), calls)


def test_a_turn_over_three_requests():
    async def main():
        probe = Probe()
        history = [ASKED]
        stream = await opened(probe, Calls(Stream(answer(call("probe", "t", n=1)))), history)
        probe.end(1, waiting("x"))
        message = fold((await read_all(stream))[0])
        identifier = message["content"][0]["id"]
        assert stream.suspended == pending(**{identifier: ["x"]})

        history += [assistant(*message["content"]), user(result("x"))]
        calls = Calls()
        probe.end(1, waiting("y"))
        stream = await opened(probe, calls, history, container="container_1")
        assert stream.upstream_request_id is stream.service_tier is None
        message = fold((await read_all(stream))[0])
        assert message["content"] == [client_call(identifier, "y")]
        assert stream.suspended == pending(**{identifier: ["y"]})
        assert not stream.usage_estimated
        assert container_id(probe.contexts[-1]) == "container_1"
        stream.close()

        history += [assistant(*message["content"]), user(result("y"))]
        calls = Calls(Stream(answer(text("b"))))
        probe.end(1, "one")
        stream = await opened(probe, calls, history, container="container_1")
        message = fold((await read_all(stream))[0])
        assert message["content"] == [probed(identifier, "one"), text("b")]
        assert stream.suspended is None
        assert [one.results for one in probe.started] == [[], [result("x")], [result("y")]]

    asyncio.run(main())
