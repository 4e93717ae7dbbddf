"""Calls of an asynchronous tool: slow, failing, too long, left alone, several at once."""

from __future__ import annotations

import asyncio
import logging
from contextlib import nullcontext

import pytest
from probe import PROBE, TIMED_OUT, UNAVAILABLE, Probe
from turn_support import (
    ASKED,
    REGEX,
    RUN,
    SEARCH,
    WEATHER,
    Calls,
    Stream,
    answer,
    assistant,
    call,
    fields_of,
    found,
    read_all,
    request,
    result,
    search,
    text,
    user,
)
from working import no_pause

from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.models.betas import BetaRules
from anthropic_bedrock_proxy.models.table import Capabilities
from anthropic_bedrock_proxy.protocol.answer.events import fold
from anthropic_bedrock_proxy.tools.calls import Finished
from anthropic_bedrock_proxy.tools.kinds import tool_search
from anthropic_bedrock_proxy.tools.toolset import Toolset
from anthropic_bedrock_proxy.turn.driver import begin_turn, open_turn

TOOLS = [PROBE, SEARCH, RUN, WEATHER]
SEARCHING = Capabilities(
    dialect="invoke", features=frozenset(("tool_search",)), betas=frozenset(("flag",))
)
RULES = BetaRules(needed_for={"defer_loading": "flag"})


def probing(number):
    return call("probe", f"tooluse_{number}", n=number)


def probed(identifier, words):
    content = {"type": "probe_result", "words": words}
    return {"type": "probe_tool_result", "tool_use_id": identifier, "content": content}


def server_call(identifier, number):
    given = {"n": number}
    return {"type": "server_tool_use", "id": identifier, "name": "probe", "input": given}


def ids(events):
    return ids_of(fold(events))


def ids_of(message):
    return [b["id"] for b in message["content"] if b["type"] == "server_tool_use"]


def toolset(probe):
    return Toolset([probe.kind, tool_search(no_pause, nullcontext)])


async def start(probe, calls, messages=(ASKED,), **given):
    made = request(messages, TOOLS)
    begun = await begin_turn(made, toolset(probe), "key_1", **given)
    return await open_turn(begun, calls, **given)


async def rounds(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


def run(main):
    asyncio.run(main())


def test_calls_of_one_answer_run_at_once_and_are_told_in_their_order():
    async def main():
        probe = Probe()
        calls = Calls(Stream(answer(probing(1), text("a"), probing(2))), Stream(answer(text("b"))))
        stream = await start(probe, calls)
        events = await stream.read(5)
        assert events[-1][0] == b"content_block_stop"  # of the first call
        await rounds()
        assert [one.input for one in probe.started] == [{"n": 1}, {"n": 2}]
        probe.end(2, "two")
        assert await stream.read(0) == []  # the first one's result stands before the second call
        probe.end(1, "one")
        rest, _ = await read_all(stream)
        first, second = ids(events + rest)
        assert fold(events + rest)["content"] == [
            server_call(first, 1),
            probed(first, "one"),
            text("a"),
            server_call(second, 2),
            probed(second, "two"),
            text("b"),
        ]
        (messages,) = fields_of(calls.requests[1], "messages")
        assert [block["content"] for block in messages[-1]["content"]] == ["one", "two"]
        (context,) = probe.contexts  # prepared once for all calls of the request
        assert context.key_id == "key_1"

    run(main)


def test_the_model_is_read_on_while_a_call_runs():
    async def main():
        probe = Probe()
        first = Stream(*([event] for event in answer(probing(1), probing(2))))
        stream = await start(probe, Calls(first, Stream(answer(text("b")))))
        told = [await stream.read(5) for _ in range(4)]  # up to the end of the first call
        assert [events[0][0] for events in told] == [
            *(b"message_start", b"content_block_start", b"content_block_delta"),
            b"content_block_stop",
        ]
        assert not probe.started
        assert await stream.read(0.01) == []
        assert len(probe.started) == 2
        assert not first.reads
        probe.end(1, "one")
        probe.end(2, "two")
        rest, _ = await read_all(stream)
        assert rest[-1][0] == b"message_stop"

    run(main)


def test_a_model_that_is_slower_than_its_call():
    async def main():
        gate = asyncio.get_running_loop().create_future()
        probe = Probe()
        events = answer(probing(1), text("a"))
        first = Stream(events[:4], (gate, events[4:]))
        stream = await start(probe, Calls(first, Stream(answer(text("b")))))
        seen = await stream.read(5)
        probe.end(1, "one")
        seen += await stream.read(5)
        assert seen[-1][0] == b"content_block_stop"
        assert b"probe_tool_result" in seen[-2][1]
        assert await stream.read(0) == []  # the reading that has begun goes on
        gate.set_result(None)
        rest, _ = await read_all(stream)
        assert [block["type"] for block in fold(seen + rest)["content"]][2:] == ["text", "text"]

    run(main)


@pytest.mark.parametrize("kind", [RuntimeError, TimeoutError, asyncio.CancelledError])
def test_a_tool_that_fails_is_unavailable_and_leaves_one_line_without_its_content(caplog, kind):
    async def main():
        probe = Probe()
        calls = Calls(Stream(answer(probing(1), probing(2))), Stream(answer(text("b"))))
        stream = await start(probe, calls)
        probe.end(1, kind("secret"))
        probe.end(2, "two")
        message = fold((await read_all(stream))[0])
        assert message["content"][1]["content"] == UNAVAILABLE
        assert message["content"][3]["content"]["words"] == "two"
        (messages,) = fields_of(calls.requests[1], "messages")
        assert messages[-1]["content"][0]["is_error"] is True
        (line,) = caplog.records
        assert (line.tool, line.error) == ("probe", kind.__name__)
        assert line.levelno == logging.ERROR
        assert "secret" not in caplog.text
        assert line.exc_info is None

    run(main)


class Unprepared(Probe):
    def prepare(self, context, pending):
        raise LookupError("secret")


class Unreadable(Probe):
    def to_tool_result(self, content, context):
        if "words" in content:
            raise LookupError("secret")
        return super().to_tool_result(content, context)


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("kind", [Unprepared, Unreadable])
def test_a_tool_that_cannot_begin_or_cannot_read_its_own_result_is_unavailable(
    caplog, kind, history
):
    async def main():
        probe = kind()
        probe.end(1, "one")
        last, messages = Stream(answer(text("b"))), [ASKED]
        if history:
            calls = Calls(last)
            messages.append(assistant(server_call("srvtoolu_A", 1)))
        else:
            calls = Calls(Stream(answer(probing(1))), last)
        message = fold((await read_all(await start(probe, calls, messages)))[0])
        assert message["content"][-2]["content"] == UNAVAILABLE
        assert message["content"][-1] == text("b")
        (shown,) = fields_of(calls.requests[-1], "messages")
        assert shown[-1]["content"][0]["is_error"] is True
        (line,) = caplog.records
        assert (line.tool, line.error) == ("probe", "LookupError")
        assert "secret" not in caplog.text

    run(main)


def test_a_result_of_no_form_is_a_fault_of_its_tool():
    async def main():
        probe = Probe()
        probe.end(1, Finished(None))
        calls = Calls(Stream(answer(probing(1))), Stream(answer(text("b"))))
        message = fold((await read_all(await start(probe, calls)))[0])
        assert message["content"][1]["content"] == UNAVAILABLE

    run(main)


class Timeouts:
    """Time-outs that pass when the test says so; `seconds` are those that were asked for."""

    def __init__(self):
        self.seconds, self.scopes = [], []

    def __call__(self, seconds):
        self.seconds.append(seconds)
        self.scopes.append(asyncio.timeout(None))
        return self.scopes[-1]

    def passes(self, number):
        self.scopes[number].reschedule(asyncio.get_running_loop().time())


def test_a_call_that_takes_too_long_is_ended_and_told_as_its_tool_says():
    async def main():
        probe, timeouts = Probe(timeout_seconds=90.0), Timeouts()
        calls = Calls(Stream(answer(probing(1), probing(2))), Stream(answer(text("b"))))
        stream = await start(probe, calls, new_timeout=timeouts)
        seen = await stream.read(5)
        await rounds()
        assert timeouts.seconds == [90.0, 90.0]
        timeouts.passes(0)
        probe.end(2, "two")
        rest, _ = await read_all(stream)
        content = fold(seen + rest)["content"]
        assert content[1]["content"] == TIMED_OUT
        assert content[3]["content"]["words"] == "two"
        assert probe.cancelled == [1]

    run(main)


def test_letting_go_ends_every_call_that_runs():
    async def main():
        probe = Probe()
        never = asyncio.get_running_loop().create_future()
        events = answer(probing(1), probing(2), text("a"))
        first = Stream(events[:-3], (never, events[-3:]))
        stream = await start(probe, Calls(first))
        await stream.read(5)
        assert await stream.read(0) == []
        await rounds()
        stream.close()
        stream.close()
        await rounds()
        assert sorted(probe.cancelled) == [1, 2]
        assert never.cancelled()
        assert first.closed

    run(main)


@pytest.mark.parametrize("failing", [True, False])
def test_letting_go_while_the_model_has_come_to_an_end(failing):
    """What it came with is looked at by nobody, and asyncio has nothing to report."""

    async def main():
        probe = Probe()
        gate = asyncio.get_running_loop().create_future()
        last = BrokenPipeError("gone") if failing else None
        stream = await start(probe, Calls(Stream(answer(probing(1))[:-2], (gate, last))))
        await stream.read(5)
        assert await stream.read(0) == []
        gate.set_result(None)
        await rounds()
        stream.close()
        await rounds()

    reports = []

    async def watched():
        asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
        await main()

    asyncio.run(watched())
    assert not reports


def test_what_came_before_the_model_broke_is_told():
    async def main():
        probe = Probe()
        gate = asyncio.get_running_loop().create_future()
        broken = UpstreamRefusal("ModelStreamErrorException", "broken")
        stream = await start(probe, Calls(Stream(answer(probing(1))[:-2], (gate, broken))))
        await stream.read(5)
        assert await stream.read(0) == []
        probe.end(1, "one")
        gate.set_result(None)
        await rounds()
        assert b"probe_tool_result" in (await stream.read(5))[0][1]
        with pytest.raises(UpstreamRefusal, match="broken"):
            await stream.read(5)

    run(main)


def test_a_model_that_ends_without_an_end_leaves_its_calls_their_results():
    async def main():
        probe = Probe()
        stream = await start(probe, Calls(Stream(answer(probing(1))[:-2])))
        seen = await stream.read(5)
        assert await stream.read(0.01) == []
        probe.end(1, "one")
        seen += await stream.read(5)
        assert b"probe_tool_result" in seen[-2][1]
        assert await stream.read(5) is None

    run(main)


def test_a_call_beside_one_of_the_clients():
    async def main():
        probe = Probe()
        stream = await start(probe, Calls(Stream(answer(call("run", "c"), probing(1)))))
        probe.end(1, "one")
        message = fold((await read_all(stream))[0])
        identifier = message["content"][1]["id"]
        assert message["content"] == [
            *(call("run", "c"), server_call(identifier, 1), probed(identifier, "one"))
        ]
        assert message["stop_reason"] == "tool_use"
        assert stream.suspended is None

    run(main)


def test_beside_a_tool_search():
    async def main():
        probe = Probe()
        searching = call(REGEX, "s", pattern="weather")
        calls = Calls(Stream(answer(probing(1), searching)), Stream(answer(text("b"))))
        stream = await start(probe, calls)
        probe.end(1, "one")
        message = fold((await read_all(stream))[0])
        first, second = (b["id"] for b in message["content"] if b["type"] == "server_tool_use")
        assert message["content"][1] == probed(first, "one")
        assert message["content"][3:] == [found(second, "get_weather"), text("b")]

    run(main)


def test_a_tool_search_that_the_model_has_natively_passes_beside_a_call():
    native = [search("srvtoolu_N"), found("srvtoolu_N", "get_weather")]

    async def main():
        probe = Probe()
        history = [ASKED, assistant(*native, text("a")), ASKED]
        made = request(history, TOOLS)
        tools = toolset(probe).needed(made, SEARCHING, RULES)
        calls = Calls(Stream(answer(*native, probing(1))), Stream(answer(text("b"))))
        stream = await open_turn(await begin_turn(made, tools), calls)
        probe.end(1, "one")
        message = fold((await read_all(stream))[0])
        (probed_id,) = set(ids_of(message)) - {"srvtoolu_N"}
        assert message["content"] == [
            *native,
            server_call(probed_id, 1),
            probed(probed_id, "one"),
            text("b"),
        ]
        for asked in calls.requests:
            offered, messages = fields_of(asked, "tools", "messages")
            assert offered[1:] == TOOLS[1:]
            assert messages[:3] == history
        assert messages[3]["content"][:2] == native

    run(main)


def test_calls_that_a_history_left_open_run_at_once():
    async def main():
        probe = Probe()
        for history in (
            [assistant(text("a"), server_call("srvtoolu_A", 1), server_call("srvtoolu_B", 2))],
            [
                assistant(
                    server_call("srvtoolu_A", 1), server_call("srvtoolu_B", 2), call("run", "c")
                ),
                user(result("c")),
            ],
        ):
            calls = Calls(Stream(answer(text("b"))))
            starting = asyncio.ensure_future(start(probe, calls, [ASKED, *history]))
            await rounds()
            assert [one.id for one in probe.started[-2:]] == ["srvtoolu_A", "srvtoolu_B"]
            assert not calls.requests
            probe.end(2, "two")
            probe.end(1, RuntimeError())
            message = fold((await read_all(await starting))[0])
            failed = {**probed("srvtoolu_A", ""), "content": UNAVAILABLE}
            assert message["content"] == [failed, probed("srvtoolu_B", "two"), text("b")]

    run(main)


def test_who_leaves_before_the_answer_ends_the_calls_of_the_history():
    async def main():
        probe = Probe()
        history = [ASKED, assistant(server_call("srvtoolu_A", 1), server_call("srvtoolu_B", 2))]
        starting = asyncio.ensure_future(start(probe, Calls(), history))
        await rounds()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert sorted(probe.cancelled) == [1, 2]

    run(main)
