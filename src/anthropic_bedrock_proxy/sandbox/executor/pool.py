"""Warm runners: started before anybody needs them, because starting one takes a while.

One that was taken is replaced in the background, as is one that ended by itself. After a failure
there is a pause, which doubles; a start that somebody waits for is tried all the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from ..isolation.base import IsolationError
from .runner_link import RunnerLink

_STARTS_AT_ONCE: Final = 4
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0

_log = logging.getLogger("anthropic_bedrock_proxy.sandbox")


class WarmRunners:
    """At most `keep` runners in advance. Belongs to one event loop."""

    def __init__(
        self,
        start: Callable[[], Awaitable[RunnerLink]],
        keep: int,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`start` starts one, or raises `IsolationError`."""
        self._start = start
        self._keep = keep
        self._sleep = sleep
        self._warm: deque[RunnerLink] = deque()
        self._starts = asyncio.Semaphore(_STARTS_AT_ONCE)
        self._needed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.errors = 0  # starts that failed, and runners that ended by themselves

    @property
    def warm(self) -> int:
        """Returns how many wait."""
        return len(self._warm)

    def open(self) -> None:
        """Begins to start runners in the background."""
        self._task = asyncio.get_running_loop().create_task(self._refill())

    async def take(self) -> RunnerLink:
        """Returns a runner that waits, or starts one. Raises `IsolationError`."""
        while self._warm:
            link = self._warm.popleft()
            link.on_ended = lambda: None
            self._needed.set()
            if not link.ended:
                return link
        async with self._starts:
            return await self._started()

    async def close(self) -> None:
        """Ends those that wait."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        warm, self._warm = list(self._warm), deque()
        for link in warm:
            link.on_ended = lambda: None
        await asyncio.gather(*(link.end("it is not needed any more") for link in warm))

    async def _refill(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            if len(self._warm) >= self._keep:
                self._needed.clear()
                await self._needed.wait()
                continue
            try:
                async with self._starts:
                    link = await self._started()
            except IsolationError as error:
                _log.warning("no sandbox can be started in advance: %s", error)
                await self._sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            if not link.ended:
                self._warm.append(link)
                link.on_ended = self._forget_ended

    async def _started(self) -> RunnerLink:
        try:
            return await self._start()
        except IsolationError:
            self.errors += 1
            raise

    def count_error(self) -> None:
        """Notes that a runner has ended by itself."""
        self.errors += 1

    def _forget_ended(self) -> None:
        self.count_error()
        self._warm = deque(link for link in self._warm if not link.ended)
        self._needed.set()
