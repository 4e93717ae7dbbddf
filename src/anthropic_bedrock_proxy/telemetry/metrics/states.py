"""The states that no request tells of: gathered once a second, and written to the board."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from .board import UNTOLD, Slab
from .facts import STATE

SECONDS: Final = 1.0
_MOST: Final = 2_000  # states of one worker, whatever sources tell

State = tuple[str, str, str, float]  # the name, two labels (empty: none), the value
Source = Callable[[], Iterable[State]]


class States:
    """Writes what its sources tell, once a second."""

    def __init__(
        self,
        slab: Slab,
        sources: Sequence[Source],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slab = slab
        self._sources = sources
        self._monotonic = monotonic
        self._places: dict[tuple[str, str, str], int] = {}

    def write(self, lag_seconds: float = 0.0) -> None:
        """Writes all states as they are now; what no source tells of any more is left out."""
        told: dict[tuple[str, str, str], float] = {
            ("workers", "", ""): 1.0,
            ("event_loop_lag_seconds", "", ""): lag_seconds,
        }
        for source in self._sources:
            for *name, value in source():
                told[tuple(name)] = value  # type: ignore[index]  # three of four
        for key in [key for key in self._places if key not in told]:
            self._slab.numbers[self._places[key]] = UNTOLD
        for key, value in told.items():
            if key not in self._places and len(self._places) < _MOST:
                self._places[key] = self._slab.place(STATE, key)
            if key in self._places:
                self._slab.numbers[self._places[key]] = value
        self._slab.beat()

    async def run(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Writes once a second, until cancelled."""
        lag = 0.0
        while True:
            self.write(lag)
            due = self._monotonic() + SECONDS
            await sleep(SECONDS)
            lag = max(0.0, self._monotonic() - due)
