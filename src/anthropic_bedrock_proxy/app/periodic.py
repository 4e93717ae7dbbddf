"""Work that is done again and again, by one process of all.

Theory of operation: the work is due an interval after it was last done (in the store, so by any
machine) or last tried on this machine. Whoever finds it due takes the turn: a file of this machine
says when that was last taken, and a lock on it lets one process write it. So the processes of a
machine try once in an interval, whether it succeeds or not. Of several machines each waits a little
differently long and looks at the store again; should two do the work all the same, no harm is done.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from ..errors import ProxyError
from ..store.base.errors import StoreError
from .fetched import SyncError

_log = logging.getLogger("anthropic_bedrock_proxy.sync")
_JITTER_PART: Final = 0.1  # of the interval
_MOST_JITTER_SECONDS: Final = 60.0


class MachineTurn:
    """The turn of this machine at some work; `path` is None for a process on its own."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._taken_at = 0.0

    def last(self) -> float:
        """Returns when it was last taken, in epoch seconds; 0: never."""
        if self._path is not None:
            try:
                return float(self._path.read_text("ascii"))
            except (OSError, ValueError):
                pass  # it is not there, or cannot be: this process stands for itself
        return self._taken_at

    def take(self, now: float, *, after: float) -> bool:
        """Takes the turn, unless it was taken later than `after`; tells whether it did."""
        if self._path is None:
            return self._take_alone(now, after)
        try:
            with self._path.open("a+", encoding="ascii") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # nobody holds it for longer than this
                if after < self.last() <= now:
                    return False
                file.truncate(0)
                file.write(repr(now))
        except OSError as error:
            _log.warning("%s cannot be written, so every process syncs: %s", self._path, error)
            return self._take_alone(now, after)
        return True

    def _take_alone(self, now: float, after: float) -> bool:
        if after < self._taken_at:
            return False
        self._taken_at = now
        return True


class PeriodicWork:
    """Some work, done once in an interval by one process of all that run this."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[str]],
        *,
        last_done: Callable[[], Awaitable[float]],
        turn: MachineTurn,
        interval_seconds: float,
        longest_seconds: float,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        spread: Callable[[float], float] = lambda most: random.uniform(0, most),  # noqa: S311  # load
    ) -> None:
        """`work` returns what it did, for the log; `last_done` tells when, by the store.

        `longest_seconds` bounds it. `spread` chooses how much longer to wait than due, up to a
        number of seconds. Both callbacks may raise `SyncError`, `ProxyError` or `StoreError`.
        """
        self._name = name
        self._work = work
        self._last_done = last_done
        self._turn = turn
        self._interval = interval_seconds
        self._longest = longest_seconds
        self._now = now
        self._sleep = sleep
        self._spread = spread

    async def run(self) -> None:
        """Waits until the work is due, and does it, until cancelled."""
        while True:
            left = await self._last() + self._interval - self._now()
            jitter = self._spread(min(self._interval * _JITTER_PART, _MOST_JITTER_SECONDS))
            await self._sleep(max(left, 0.0) + jitter)
            due = self._now() - self._interval
            if await self._last() <= due and self._turn.take(self._now(), after=due):
                await self.once()

    async def _last(self) -> float:
        """Returns when it was last done or tried; a moment that is still to come does not count."""
        moments = [self._turn.last()]
        try:
            moments.append(await self._last_done())
        except StoreError as error:
            _log.warning("when %s was last done is not known: %s", self._name, error)
        return max(moment if moment <= self._now() else 0.0 for moment in moments)

    async def once(self) -> None:
        """Does the work; tells in the log how that went."""
        try:
            async with asyncio.timeout(self._longest):
                done = await self._work()
        except TimeoutError:
            self._failed(f"it took longer than {self._longest:g} s")
        except (SyncError, ProxyError, StoreError) as error:
            self._failed(str(error))
        else:
            _log.info("%s: %s", self._name, done)

    def _failed(self, why: str) -> None:
        _log.warning(
            "%s failed and changed nothing; the next try is in %g s: %s",
            self._name,
            self._interval,
            why,
        )
