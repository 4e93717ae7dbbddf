"""A turn's streams in time: silence, cancellation, what breaks, and what is let go of."""

from __future__ import annotations

import asyncio
import gc
import weakref

import msgspec
import pytest
from turn_support import (
    ASKED,
    REGEX,
    SEARCH,
    Calls,
    Stream,
    answer,
    assistant,
    call,
    found,
    read_all,
    request,
    search,
    text,
)
from working import search_tools

from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.protocol.answer.events import fold
from anthropic_bedrock_proxy.tools.tool_search import Search
from anthropic_bedrock_proxy.turn.driver import begin_turn, open_turn

SEARCHING = answer(call(REGEX, pattern="weather"))
BROKEN = UpstreamRefusal("ModelStreamErrorException", "broken")


async def start(made, calls):
    return await open_turn(await begin_turn(made, search_tools()), calls)


async def searched(stream):
    """Reads up to the result of the search, after which the next call is opened."""
    events = []
    while not any(b"tool_search_tool_result" in data for _, data in events):
        events += await stream.read(5)
    return events


def without_collector(main):
    gc.collect()
    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


def searches(*, but=()):
    """The searches of requests that anything holds, `but` for those of other tests."""
    return [one for one in gc.get_objects() if isinstance(one, Search) and one not in but]


def pieces(events, size=2):
    return [events[i : i + size] for i in range(0, len(events), size)]


def test_two_calls_are_one_stream():
    async def main():
        first = Stream(*pieces(SEARCHING), estimated=True)
        second = Stream([], *pieces(answer(text("b"))))
        calls = Calls(first, second)
        stream = await start(request(), calls)
        assert stream.upstream_request_id == "request-1"
        assert stream.service_tier == "priority"
        events, silences = await read_all(stream)
        message = fold(events)
        assert [block["type"] for block in message["content"]] == [
            *("server_tool_use", "tool_search_tool_result", "text")
        ]
        assert silences == 1
        assert first.closed
        assert not second.closed
        assert len(calls.requests) == 2
        assert stream.usage_estimated  # one estimate makes the sum one
        stream.close()
        stream.close()
        assert second.closed

    asyncio.run(main())


def test_silence_while_the_next_call_is_opened():
    async def main():
        gate = asyncio.get_running_loop().create_future()
        calls = Calls(Stream(SEARCHING), (gate, Stream(answer(text("b")))))
        stream = await start(request(), calls)
        assert await searched(stream)
        for timeout in (0, 0.01, 0.01):
            assert await stream.read(timeout) == []
        gate.set_result(None)
        rest = await stream.read(5)
        assert rest[-1][0] == b"message_stop"
        assert await stream.read(5) is None
        assert not stream.usage_estimated
        assert len(calls.requests) == 2

    asyncio.run(main())


def test_what_is_kept_from_the_client_does_not_prolong_the_wait():
    async def main():
        second = answer(text("b"))
        script = [[second[0]], *([[]] * 3), second[1:]]
        stream = await start(request(), Calls(Stream(SEARCHING), Stream(*script)))
        await searched(stream)
        assert await stream.read(0) == []  # the call is being opened
        assert await stream.read(0) == []  # its start is no event of the client's
        assert await stream.read(5) == []

    asyncio.run(main())


def test_a_cancelled_read_loses_nothing():
    async def main():
        gate = asyncio.get_running_loop().create_future()
        calls = Calls(Stream(SEARCHING), (gate, Stream(answer(text("b")))))
        stream = await start(request(), calls)
        await searched(stream)
        reading = asyncio.ensure_future(stream.read(5))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        gate.set_result(None)
        assert (await stream.read(5))[-1][0] == b"message_stop"

    asyncio.run(main())


@pytest.mark.parametrize("opened", ["never", "all the same", "refused"])
def test_close_while_the_next_call_is_opened(opened):
    async def main():
        gate = asyncio.get_running_loop().create_future()
        late = BROKEN if opened == "refused" else Stream()
        calls = Calls(Stream(SEARCHING), (gate, late))
        stream = await start(request(), calls)
        await searched(stream)
        await asyncio.sleep(0)
        if opened != "never":
            gate.set_result(None)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        stream.close()
        await asyncio.sleep(0.01)
        assert calls.cancelled == (opened == "never")
        if opened == "all the same":
            assert late.closed

    asyncio.run(main())


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (BROKEN, "ModelStreamErrorException"),
        (Stream(BROKEN), "ModelStreamErrorException"),
        (InvalidRequestError("messages.1: no"), "NotConvertible"),
        (Stream([(b"message_start", b"{}")]), "NotAnAnswer"),
        (Stream([(b"message_start", b"")]), "NotAnAnswer"),
    ],
    ids=["opening", "reading", "converting", "no message", "no JSON"],
)
def test_what_breaks_later_is_a_refusal(second, code):
    async def main():
        stream = await start(request(), Calls(Stream(SEARCHING), second))
        assert await searched(stream)
        with pytest.raises(UpstreamRefusal) as refused:
            await stream.read(5)
        assert refused.value.code == code
        assert msgspec.json.decode(stream.spent()[1])["usage"]["input_tokens"] == 10
        stream.close()

    asyncio.run(main())


def test_what_breaks_first_is_the_callers():
    async def main():
        with pytest.raises(UpstreamRefusal):
            await start(request(), Calls(BROKEN))
        with pytest.raises(InvalidRequestError, match=r"^tools\.0\.name"):
            await start(request(tools=[{**SEARCH, "name": "x"}]), Calls())
        history = [ASKED, assistant(search("srvtoolu_A"), found("srvtoolu_A"), text("b")), ASKED]
        with pytest.raises(InvalidRequestError, match=r"^messages\.1\.content\.2: bad"):
            await start(request(history), Calls(InvalidRequestError("messages.3.content.0: bad")))

    asyncio.run(main())


def test_nothing_keeps_the_request_once_a_call_was_refused():
    class Marked(Stream):
        pass

    async def refused(marked):
        wait = asyncio.get_running_loop().create_future()
        wait.set_result(None)
        stream = await start(
            request(), Calls(marked, (wait, UpstreamRefusal("ThrottlingException", "no")))
        )
        await searched(stream)
        with pytest.raises(UpstreamRefusal):
            await stream.read(5)
        stream.close()

    async def main():
        marked = Marked(SEARCHING)
        seen = weakref.ref(marked)
        task = asyncio.ensure_future(refused(marked))
        del marked
        await task
        del task
        await asyncio.sleep(0)
        assert seen() is None

    without_collector(main)


class Gate:
    """A pause that lasts until it is opened."""

    def __init__(self):
        self.waiting = 0
        self.cancelled = 0
        self.opened = asyncio.Event()

    async def pause(self):
        self.waiting += 1
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def test_silence_while_a_tool_runs_and_nothing_is_lost():
    async def main():
        gate = Gate()
        turn = await begin_turn(request(), search_tools(gate.pause))
        calls = Calls(Stream(SEARCHING), Stream(answer(text("b"))))
        stream = await open_turn(turn, calls)
        before = await stream.read(5)
        assert before[-1][0] == b"content_block_stop"
        for timeout in (0, 0.01):
            assert await stream.read(timeout) == []
        assert gate.waiting == 1
        reading = asyncio.ensure_future(stream.read(5))
        await asyncio.sleep(0)
        reading.cancel()
        gate.opened.set()
        rest, _ = await read_all(stream)
        assert [block["type"] for block in fold([*before, *rest])["content"]] == [
            *("server_tool_use", "tool_search_tool_result", "text")
        ]

    asyncio.run(main())


def test_a_client_that_leaves_ends_the_tool_that_runs():
    async def main():
        gate = Gate()
        stream = await open_turn(
            await begin_turn(request(), search_tools(gate.pause)), Calls(Stream(SEARCHING))
        )
        await stream.read(5)
        await asyncio.sleep(0)
        assert (gate.waiting, gate.cancelled) == (1, 0)
        stream.close()
        stream.close()
        await asyncio.sleep(0)
        assert (gate.waiting, gate.cancelled) == (1, 1)

    asyncio.run(main())


def test_nothing_keeps_the_request_of_a_client_that_leaves_while_a_tool_runs():
    others = searches()

    async def leaves():
        gate = Gate()
        begun = await begin_turn(request(), search_tools(gate.pause, asyncio.Lock))
        stream = await open_turn(begun, Calls(Stream(SEARCHING)))
        await stream.read(5)
        await asyncio.sleep(0)
        assert gate.waiting == len(searches(but=others)) == 1
        stream.close()

    async def main():
        await asyncio.create_task(leaves())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not searches(but=others)

    without_collector(main)


def test_nothing_keeps_the_request_of_a_client_that_leaves_before_the_answer():
    others = searches()

    async def leaves():
        gate = Gate()
        history = [ASKED, assistant(search("srvtoolu_A"), search("srvtoolu_B"))]
        tools = search_tools(gate.pause, asyncio.Lock)
        beginning = asyncio.create_task(begin_turn(request(history), tools))
        for _ in range(2):
            await asyncio.sleep(0)
        assert gate.waiting == len(searches(but=others)) == 1
        beginning.cancel()
        await asyncio.wait([beginning])
        assert beginning.cancelled()

    async def main():
        await asyncio.create_task(leaves())
        await asyncio.sleep(0)
        assert not searches(but=others)

    without_collector(main)


def test_a_client_that_leaves_ends_what_its_history_had_pending():
    async def main():
        gate = Gate()
        history = [ASKED, assistant(search("srvtoolu_A"), search("srvtoolu_B"))]
        tools = search_tools(gate.pause, asyncio.Lock)
        beginning = asyncio.ensure_future(begin_turn(request(history), tools))
        for _ in range(2):  # it begins, and so do its calls
            await asyncio.sleep(0)
        assert gate.waiting == 1
        beginning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await beginning
        assert (gate.waiting, gate.cancelled) == (1, 1)

    asyncio.run(main())


def test_a_turn_whose_first_call_is_refused_can_be_opened_elsewhere():
    async def main():
        runs = Gate()
        runs.opened.set()
        history = [ASKED, assistant(search("srvtoolu_A"))]
        turn = await begin_turn(request(history), search_tools(runs.pause))
        ran = runs.waiting
        with pytest.raises(UpstreamRefusal):
            await open_turn(turn, Calls(BROKEN))
        calls = Calls(Stream(answer(text("b"))))
        events, _ = await read_all(await open_turn(turn, calls))
        assert fold(events)["content"] == [found("srvtoolu_A", "get_weather"), text("b")]
        assert calls.requests == [turn.turn.request]
        assert runs.waiting == ran == 1

    asyncio.run(main())
