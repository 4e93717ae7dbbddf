"""Tools run without an event loop: their work pauses nowhere."""

from __future__ import annotations

from contextlib import nullcontext

from anthropic_bedrock_proxy.tools.kinds import tool_search
from anthropic_bedrock_proxy.tools.toolset import Toolset


async def no_pause():
    """For work that may go on and on."""


def outcome(work):
    """What a coroutine returns that pauses nowhere."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it paused")


def search_tools(pause=no_pause, new_lock=nullcontext):
    """The tools of an installation; as they stand, their searches need no event loop."""
    return Toolset([tool_search(pause, new_lock)])
