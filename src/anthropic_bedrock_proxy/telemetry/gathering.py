"""Gathers items for a moment, and hands them on together: a write or a look for each costs more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Gathering(Generic[T]):
    """Items that wait to be handed on. Belongs to one event loop."""

    __slots__ = ("_hand_on", "_most", "_seconds", "_size", "_timer", "waiting")

    def __init__(self, hand_on: Callable[[list[T]], None], *, seconds: float, most: int) -> None:
        """`hand_on` gets all items `seconds` after the first, or once their sizes are over `most`.

        It is never called without any.
        """
        self._hand_on = hand_on
        self._seconds = seconds
        self._most = most
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self.waiting: list[T] = []

    def add(self, item: T, size: int = 1) -> None:
        """Takes one item in."""
        self.waiting.append(item)
        self._size += size
        if self._size > self._most:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.flush)

    def flush(self) -> None:
        """Hands on what has gathered, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self.waiting, self._size = self.waiting, [], 0
        if waiting:
            self._hand_on(waiting)
