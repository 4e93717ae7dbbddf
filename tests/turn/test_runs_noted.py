"""Runs of tools in the timeline: when, how they ended, and which spans they are of."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from probe import CALLER, CONTAINER, TIMED_OUT, UNAVAILABLE

from anthropic_bedrock_proxy.timeline import Timeline, TraceContext, current_run
from anthropic_bedrock_proxy.tools.calls import Finished, RequestContext, Suspended, ToolCall
from anthropic_bedrock_proxy.turn.actions import RunCall
from anthropic_bedrock_proxy.turn.run_call import run_call


async def _finishes(_):
    return Finished({"words": "done"})


async def _suspends(_):
    return Suspended(CONTAINER, CALLER, ())


async def _fails(_):
    raise ValueError


async def _hangs(_):
    await asyncio.Event().wait()


def asking(run, seconds=None):
    tool = SimpleNamespace(
        timeout_seconds=seconds,
        to_tool_result=lambda content, _: content,
        timed_out=lambda _: TIMED_OUT,
        unavailable=lambda _: UNAVAILABLE,
    )
    return RunCall(ToolCall("srvtoolu_1", "probe", {}), tool, run, RequestContext("", {}))


def noted(run, timeline, *, seconds=None, cancel=False):
    async def main():
        asked = asking(run, seconds)
        task = asyncio.ensure_future(run_call(asked, asyncio.timeout, timeline))
        if cancel:
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        assert current_run.get() is None  # it is known in the task of the run alone

    asyncio.run(main())
    (found,) = timeline.tools
    return found


@pytest.mark.parametrize(
    ("run", "given", "outcome"),
    [
        (_finishes, {}, "finished"),
        (_suspends, {}, "suspended"),
        (_fails, {}, "failed"),
        (_hangs, {"seconds": 0}, "timed_out"),
        (_hangs, {"cancel": True}, "cancelled"),
    ],
)
def test_a_run_is_noted_with_its_outcome(run, given, outcome):
    found = noted(run, Timeline(), **given)
    assert (found.name, found.call_id, found.outcome) == ("probe", "srvtoolu_1", outcome)
    assert 0 < found.began <= found.ended
    assert (found.trace_id, found.span_id) == ("", "")


@pytest.mark.parametrize(
    ("run", "seconds", "content"), [(_fails, None, UNAVAILABLE), (_hangs, 0, TIMED_OUT)]
)
def test_what_fails_or_takes_too_long_is_not_counted(run, seconds, content):
    outcome = asyncio.run(run_call(asking(run, seconds), asyncio.timeout, Timeline()))
    assert (outcome.content, outcome.counts) == (content, False), "a search would be billed"


def test_a_run_of_a_traced_request_has_a_span_of_its_own():
    trace = TraceContext("a" * 32, "b" * 16)
    found = noted(_finishes, Timeline(trace=trace))
    assert found.trace_id == trace.trace_id
    assert len(found.span_id) == 16
    assert found.span_id != trace.span_id


def test_only_the_first_end_counts():
    found = noted(_finishes, Timeline())
    ended = found.ended
    found.end(ended + 1, "failed")
    assert (found.ended, found.outcome) == (ended, "finished")
