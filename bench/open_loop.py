"""An open loop: requests leave at a fixed rate, whatever the subject does.

Every latency is measured from the moment the request was due, not from when a connection was free
for it, so a stall counts against every request that it delays (no coordinated omission). The
generator wakes once a millisecond, so its own slack, about half of that, is in each latency.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import Final, cast

import msgspec
import uvloop

from .wrk import Target

_TICK_SECONDS: Final = 0.001
_DRAIN_SECONDS: Final = 10.0
_BACKLOG_SECONDS: Final = 0.1  # more than this to catch up at the end: it was falling behind
_SUCCESS: Final = b"HTTP/1.1 200"


class OpenLoop(msgspec.Struct, frozen=True):
    """What a fixed rate did. Latencies in milliseconds."""

    rate: int
    sent: int
    answered: int
    errors: int
    p50_ms: float
    p99_ms: float
    overrun_seconds: float  # from when the last request was due to the last answer

    @property
    def kept_up(self) -> bool:
        """Whether the subject can live with this rate: no backlog was left at the end."""
        return (
            not self.errors
            and self.answered == self.sent
            and self.overrun_seconds < _BACKLOG_SECONDS
        )


class _Connection(asyncio.Protocol):
    """Sends one request at a time; knows an answer's end by its Content-Length."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._due = 0.0
        self._buffer = b""
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one in all but name

    def send(self, request: bytes, due: float) -> None:
        self._due, self._busy = due, True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        end = buffer.find(b"\r\n\r\n")
        if end >= 0:
            value = buffer[:end].lower().partition(b"content-length:")[2]
            end += 4 + int(value.split(b"\r", 1)[0])
        if end < 0 or len(buffer) < end:
            self._buffer = buffer
            return
        self._buffer, self._busy = b"", False
        self._run.answered(self, self._due, ok=buffer.startswith(_SUCCESS))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the protocol's signature
        if self._busy:
            self._run.lost()


class _Run:
    """One fixed-rate load in progress."""

    def __init__(self, request: bytes, rate: int, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._request = request
        self._rate = rate
        self._total = round(rate * seconds)
        self._waiting: deque[float] = deque()
        self._free: list[_Connection] = []
        self._errors = 0
        self._due_next = 0
        self._latencies: list[float] = []
        self._last = 0.0
        self._finished = asyncio.Event()

    async def go(self, port: int, connections: int) -> OpenLoop:
        for _ in range(connections):
            _, connection = await self._loop.create_connection(
                lambda: _Connection(self), "127.0.0.1", port
            )
            self._free.append(connection)
        everyone = list(self._free)
        self._start = perf_counter() + 0.01
        self._tick()
        end = self._start + self._total / self._rate
        try:
            async with asyncio.timeout(end - perf_counter() + _DRAIN_SECONDS):
                await self._finished.wait()
        except TimeoutError:
            pass
        for connection in everyone:
            connection.transport.abort()
        ordered = sorted(self._latencies) or [float("inf")]
        return OpenLoop(
            rate=self._rate,
            sent=self._total,
            answered=len(self._latencies),
            errors=self._errors,
            p50_ms=ordered[len(ordered) // 2] * 1000,
            p99_ms=ordered[int(len(ordered) * 0.99)] * 1000,
            overrun_seconds=self._last - end if self._finished.is_set() else _DRAIN_SECONDS,
        )

    def _tick(self) -> None:
        now = perf_counter()
        due = self._start + self._due_next / self._rate
        while due <= now and self._due_next < self._total:
            self._waiting.append(due)
            self._due_next += 1
            due = self._start + self._due_next / self._rate
        self._dispatch()
        if self._due_next < self._total:
            self._loop.call_later(_TICK_SECONDS, self._tick)

    def _dispatch(self) -> None:
        while self._waiting and self._free:
            self._free.pop().send(self._request, self._waiting.popleft())

    def answered(self, connection: _Connection, due: float, *, ok: bool) -> None:
        self._last = perf_counter()
        self._latencies.append(self._last - due)
        self._errors += not ok
        self._free.append(connection)
        self._dispatch()
        self._check_end()

    def lost(self) -> None:
        self._errors += 1
        self._check_end()

    def _check_end(self) -> None:
        if len(self._latencies) + self._errors >= self._total:
            self._finished.set()


def open_loop(target: Target, *, rate: int, seconds: float, connections: int = 256) -> OpenLoop:
    """Sends `rate` requests a second for `seconds`."""

    async def run() -> OpenLoop:
        return await _Run(target.wire(), rate, seconds).go(target.port, connections)

    return uvloop.run(run())
