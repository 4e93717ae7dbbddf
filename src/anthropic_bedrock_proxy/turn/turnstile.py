"""Long computing on the event loop, a slice at a time.

A thread would not do better: while it computes, the loop gets the interpreter back only every 5 ms,
and nothing can stop it (docs/decisions/0013-slices.md).
"""

from __future__ import annotations

import asyncio


class Turnstile:
    """Lets one slice of work through for each round of the event loop, first come, first served.

    So the loop is held for one slice at most, however many requests compute at once.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def wait(self) -> None:
        """Returns when the next slice may run. Cancelling it ends the work."""
        async with self._lock:
            await asyncio.sleep(0)
