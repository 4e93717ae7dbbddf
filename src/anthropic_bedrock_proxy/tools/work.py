"""The work that the tools of one request may still do, and the pauses in it.

A tool that computes does it on the event loop, so it must stop by itself: it says beforehand what
each piece costs, pauses when told to, and ends when nothing is left. A step is what takes about
50 ns, so a slice between two pauses takes about a millisecond and all of a request half a second,
however many calls there are. How a pause lets others go on is the driver's business; cancelling
what waits in it ends the work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

Pause = Callable[[], Awaitable[None]]
MAX_STEPS: Final = 10_000_000  # of all calls of a request
SLICE_STEPS: Final = 20_000


class WorkError(Exception):
    """The tools of this request have worked enough."""


class Work:
    """Counts steps down; shared by all calls of one request."""

    __slots__ = ("_left", "_pause", "_pause_at")

    def __init__(self, steps: int, pause: Pause) -> None:
        self._left = steps
        self._pause = pause
        self._pause_at = steps  # the first piece waits for its turn as well

    @property
    def left(self) -> int:
        """The steps that may still be spent; tests look at it."""
        return self._left

    def spend(self, steps: int) -> bool:
        """Spends steps; tells whether it is time to `pause`. Raises `WorkError` if less is left."""
        if steps > self._left:
            self._left = 0
            raise WorkError
        self._left -= steps
        return self._left < self._pause_at

    async def pause(self) -> None:
        """Lets everything else of the process go on."""
        await self._pause()
        self._pause_at = self._left - SLICE_STEPS
