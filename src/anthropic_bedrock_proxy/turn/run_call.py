"""The running of calls of server-side tools: awaited, bounded in time, noted in the timeline."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from time import monotonic

from ..timeline import CANCELLED, Timeline, ToolRun, current_run
from ..tools.calls import Finished, Outcome, Suspended
from ..tools.web.versions import SEARCH
from .actions import RunCall

# Makes a scope that is cancelled after so many seconds; tests have one without a clock.
NewTimeout = Callable[[float | None], asyncio.Timeout]
_log = logging.getLogger("anthropic_bedrock_proxy.turn")


async def run_call(asked: RunCall, new_timeout: NewTimeout, timeline: Timeline) -> Outcome:
    """Awaits one call, and notes it; its time-out and its faults are outcomes too.

    To be run in a task of its own.
    """
    scope = new_timeout(asked.tool.timeout_seconds)
    noted = _note(asked, timeline)
    try:
        async with scope:
            outcome = await asked.run(asked.call)
        if not isinstance(outcome, Suspended):
            # The turn could not go on without.
            asked.tool.to_tool_result(outcome.content, asked.context)
    except (Exception, asyncio.CancelledError) as error:  # a fault never breaks the answer
        if isinstance(error, asyncio.CancelledError) and _is_cancelled():
            noted.end(monotonic(), CANCELLED)
            raise  # not something inside the tool was cancelled, but the call
        if scope.expired():
            noted.end(monotonic(), "timed_out")
            return Finished(asked.tool.timed_out(asked.call.name), counts=False)
        # Neither its message nor its traceback is logged: they may quote what was asked.
        fault = {"tool": asked.call.name, "error": type(error).__name__}
        _log.error("a server-side tool failed", extra=fault)
        noted.end(monotonic(), "failed")
        return Finished(asked.tool.unavailable(asked.call.name), counts=False)
    else:
        noted.code = _code(outcome)
        noted.reason = outcome.reason if isinstance(outcome, Finished) else ""
        suspended = isinstance(outcome, Suspended)
        noted.end(monotonic(), "suspended" if suspended else "finished")
        return outcome
    finally:
        del scope  # it holds the task, which holds its cancellation: docs/decisions/0020


def _code(outcome: Outcome) -> str:
    """Returns the code of a result that is an error."""
    content = outcome.content if isinstance(outcome, Finished) else None
    return (
        str(content["error_code"]) if isinstance(content, dict) and "error_code" in content else ""
    )


async def run_calls(
    asked: Sequence[RunCall], new_timeout: NewTimeout, timeline: Timeline
) -> list[Outcome]:
    """Awaits calls side by side, each as `run_call` does; returns outcomes in their order."""
    # No group of tasks: it would keep its cancellation, and that this frame's request (0020).
    return await asyncio.gather(*(run_call(one, new_timeout, timeline) for one in asked))


def searches_made(timeline: Timeline) -> int:
    """Returns the number of web searches that have found something, or nothing.

    Of those that a client has not waited for, nobody else knows which came to their end.
    """
    ran = [run for run in timeline.tools if run.name == SEARCH]
    return sum(run.outcome == "finished" and not run.code for run in ran)


def _note(asked: RunCall, timeline: Timeline) -> ToolRun:
    noted = ToolRun(asked.call.name, asked.call.id, monotonic())
    if timeline.trace is not None:
        noted.trace_id, noted.span_id = timeline.trace.trace_id, os.urandom(8).hex()
    timeline.tools += (noted,)
    current_run.set(noted)
    return noted


def _is_cancelled() -> bool:
    """Tells whether the running task is to end, in a frame that no cancellation passes through."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
