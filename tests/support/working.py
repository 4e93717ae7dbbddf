"""Tools run without an event loop: their work pauses nowhere."""

from __future__ import annotations


async def no_pause():
    """For work that may go on and on."""


def outcome(work):
    """What a coroutine returns that pauses nowhere."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it paused")
