"""Turns of the connections that send faster than they are served, so that others are read, too.

libuv would read from each of them 32 times before it looks at the next, and at all of them before
it looks for new connections: few clients would keep everybody else waiting. So who has filled the
read buffer reads no more until its turn comes, and two of them go on in each round of the loop:

    A, B and C fill the buffer      each pauses reading, and waits
    next round of the loop          A and B read on; A fills the buffer again, and waits behind C
    the round after                 C and A read on
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

_AT_ONCE: Final = 2  # that go on in one round of the loop


class RoundRobin:
    """The queue of those that wait for their turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self, go_on: Callable[[], None]) -> None:
        """Calls `go_on` when it is its turn."""
        self._waiting.append(go_on)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._give_turns)

    def _give_turns(self) -> None:
        for _ in range(min(_AT_ONCE, len(self._waiting))):
            self._waiting.popleft()()
        if self._waiting:
            self._loop.call_soon(self._give_turns)
