"""Slots that keys share: no key can hold, or queue for, so many that others do not get theirs.

A key may take a slot while it has fewer than are free. So alone it gets half of them, a second key
half of the rest, and so on: the last slots go only to keys that have none. Of the keys that wait,
the one with the fewest slots is served first. Prior art: Choudhury and Hahne, "Dynamic queue length
thresholds", 1998.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from .base import BusyError

MAX_WAITING: Final = 200  # of one key: the most URLs of two requests


class FairSlots:
    """Slots by key. Belongs to one event loop."""

    def __init__(self, slots: int, *, max_waiting: int = MAX_WAITING) -> None:
        """`max_waiting` bounds the queue of each key."""
        self._free = slots
        self._max_waiting = max_waiting
        self._running: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Holds a slot. Raises `BusyError` if too many of the key wait already."""
        await self.take(key)
        try:
            yield
        finally:
            self.give_back(key)

    async def take(self, key: str) -> None:
        """Waits for a slot, to be given back. Raises `BusyError`."""
        if key not in self._waiting and self._may_run(key):
            self._begin(key)
            return
        queue = self._waiting.setdefault(key, deque())
        if len(queue) >= self._max_waiting:
            raise BusyError("too many URLs of this key are being fetched; try again shortly")
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.cancelled():
                self._leave(key, granted)
            else:  # it was granted just before the waiter was cancelled
                self.give_back(key)
            raise

    def give_back(self, key: str) -> None:
        """Frees a slot, and grants it to the key that is next."""
        self._free += 1
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        while (following := self._next()) is not None:
            queue = self._waiting.pop(following)
            granted = queue.popleft()
            if not granted.cancelled():
                self._begin(following)
                granted.set_result(None)
            if queue:
                self._waiting[following] = queue  # behind the others

    def _next(self) -> str | None:
        able = [key for key in self._waiting if self._may_run(key)]
        return min(able, key=lambda key: self._running.get(key, 0), default=None)

    def _may_run(self, key: str) -> bool:
        return self._running.get(key, 0) < self._free

    def _begin(self, key: str) -> None:
        self._free -= 1
        self._running[key] = self._running.get(key, 0) + 1

    def _leave(self, key: str, granted: asyncio.Future[None]) -> None:
        queue = self._waiting.get(key)
        if queue is not None and granted in queue:
            queue.remove(granted)
            if not queue:
                del self._waiting[key]
