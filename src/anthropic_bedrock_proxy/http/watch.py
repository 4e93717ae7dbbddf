"""Watches over requests: bodies that do not come, clients that leave.

One timer serves all requests of a worker, because one per request would be a tenth of its cost.
Whoever is done within a tick is never looked at. After that a task waits for the client to leave;
if it does, or if the body is late, the request's task is cancelled and the watch says why.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final

import msgspec

from ..gateway.exchange import Exchange
from .body import Receive

_TICK_SECONDS: Final = 0.05


class Watch(msgspec.Struct, eq=False):
    """One request that is being served."""

    _receive: Receive
    exchange: Exchange
    target: asyncio.Task[None] | None
    task: asyncio.Task[None] | None = None
    body_late: bool = False

    def look(self, age: float, body_timeout: float) -> bool:
        """Whether nothing is left to look at: a task waits for the client, or all is lost."""
        if self.exchange.body_read:
            self.task = asyncio.get_running_loop().create_task(self._wait())
            return True
        if age < body_timeout:
            return False  # the handler itself is still receiving
        self.body_late = True
        self._cancel()
        return True

    def stalled(self, limit: float) -> bool:
        """Whether a write has waited for the client for longer than `limit` seconds."""
        since = self.exchange.sending_since
        return since is not None and monotonic() - since > limit

    def give_up(self) -> None:
        """The client is as good as gone."""
        self.exchange.client_gone = True
        self._cancel()

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.give_up()

    def _cancel(self) -> None:
        if self.target is not None:
            self.target.cancel()


class Watches:
    """The requests of one worker."""

    def __init__(self, body_timeout: float, stall_timeout: float) -> None:
        """`body_timeout` in seconds from the request's start, `stall_timeout` of one write."""
        self.body_timeout = body_timeout
        self._stall_timeout = stall_timeout
        self._old: set[Watch] = set()  # with a task that waits for the client
        self._scan_timer: asyncio.TimerHandle | None = None
        self._young: dict[Watch, None] = {}  # not yet waited for, oldest first
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # asking for it costs a system call

    def add(self, receive: Receive, exchange: Exchange) -> Watch:
        """Begins to watch; call it in the task that serves the request."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        watch = Watch(receive, exchange, asyncio.current_task(loop))
        self._young[watch] = None
        if self._timer is None:
            self._timer = loop.call_later(_TICK_SECONDS, self._tick, loop)
        return watch

    def remove(self, watch: Watch) -> None:
        """The request is over."""
        self._young.pop(watch, None)
        if watch.task is not None:
            self._old.discard(watch)
            watch.task.cancel()
            watch.task = None  # it knows the watch: no cycle is left to the collector

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = monotonic()
        for watch in list(self._young):
            age = now - watch.exchange.started
            if age < _TICK_SECONDS:
                break  # and so are all that came later
            if watch.look(age, self.body_timeout):
                del self._young[watch]
                if watch.task is not None:
                    self._old.add(watch)
        if self._old and self._scan_timer is None:
            self._scan_timer = loop.call_later(self._scan_seconds, self._scan, loop)
        if self._young:
            self._timer = loop.call_later(_TICK_SECONDS, self._tick, loop)

    def _scan(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scan_timer = None
        for watch in list(self._old):
            if watch.stalled(self._stall_timeout):
                watch.give_up()
        if self._old:
            self._scan_timer = loop.call_later(self._scan_seconds, self._scan, loop)

    @property
    def _scan_seconds(self) -> float:
        return min(1.0, self._stall_timeout)
