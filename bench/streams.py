"""Streams: many at once for the cost of an event, one at a time for the time to the first.

`stream_load` keeps a number of streams open, each begun anew when it ends, and measures a window
in the middle of that. Events are counted as the client reads them; `reads` tells how many times it
was woken for them, which is how merged writes show.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter
from typing import Final, cast

import msgspec
import uvloop

from .wrk import Target

_EVENT: Final = b"event: "
_END: Final = b"0\r\n\r\n"
_SUCCESS: Final = b"HTTP/1.1 200"
_RAMP_SECONDS: Final = 1.5
_DRAIN_SECONDS: Final = 60.0
_WARM_UP: Final = 10


class StreamLoad(msgspec.Struct, frozen=True):
    """A window of many streams."""

    streams: int
    seconds: float
    events: int
    reads: int
    completed: int  # whole answers, over the whole run
    broken: int
    cpu_seconds: float

    @property
    def events_per_second(self) -> float:
        """As delivered to the client."""
        return self.events / self.seconds

    @property
    def events_per_read(self) -> float:
        """1 if the client was woken for every single event."""
        return self.events / self.reads

    @property
    def cpu_us_per_event(self) -> float:
        """CPU of the subject."""
        return self.cpu_seconds / self.events * 1e6


class _Counts(msgspec.Struct):
    events: int = 0
    reads: int = 0
    completed: int = 0
    broken: int = 0


class _Client(asyncio.Protocol):
    """One connection that asks for one stream after the other until told to stop."""

    def __init__(self, request: bytes, counts: _Counts, done: Callable[[], None]) -> None:
        self._request = request
        self._counts = counts
        self._done = done
        self._tail = b""
        self._fresh = True
        self.last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one in all but name
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._fresh:
            self._fresh = False
            if not data.startswith(_SUCCESS):
                self._transport.abort()
                return
        joined = self._tail + data
        self._counts.events += joined.count(_EVENT)
        self._counts.reads += 1
        self._tail = joined[-len(_EVENT) + 1 :]
        if joined.endswith(_END):
            self._counts.completed += 1
            self._fresh, self._tail = True, b""
            if self.last:
                self._request = b""
                self._transport.close()
            else:
                self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the protocol's signature
        if self._request:
            self._counts.broken += 1
        self._done()


def stream_load(
    target: Target, *, streams: int, seconds: float, cpu: Callable[[], float]
) -> StreamLoad:
    """Keeps `streams` streams open; `cpu` tells the subject's CPU seconds so far."""

    async def run() -> StreamLoad:
        loop = asyncio.get_running_loop()
        counts = _Counts()
        open_streams = streams
        finished = asyncio.Event()

        def done() -> None:
            nonlocal open_streams
            open_streams -= 1
            if not open_streams:
                finished.set()

        request = target.wire()
        clients = []
        for _ in range(streams):
            _, client = await loop.create_connection(
                lambda: _Client(request, counts, done), "127.0.0.1", target.port
            )
            clients.append(client)
        await asyncio.sleep(_RAMP_SECONDS)
        cpu_before, began = cpu(), perf_counter()
        before = msgspec.structs.replace(counts)
        await asyncio.sleep(seconds)
        events, reads, ended = counts.events, counts.reads, perf_counter()
        cpu_after = cpu()
        for client in clients:
            client.last = True
        async with asyncio.timeout(_DRAIN_SECONDS):
            await finished.wait()
        return StreamLoad(
            streams=streams,
            seconds=ended - began,
            events=events - before.events,
            reads=reads - before.reads,
            completed=counts.completed,
            broken=counts.broken,
            cpu_seconds=cpu_after - cpu_before,
        )

    return uvloop.run(run())


class FirstToken(msgspec.Struct, frozen=True):
    """Medians, in milliseconds."""

    direct_ms: float
    through_ms: float
    asked: int  # streams that went direct, the warm-up included

    @property
    def added_ms(self) -> float:
        """What the subject adds."""
        return self.through_ms - self.direct_ms


class _OneStream(asyncio.Protocol):
    """Asks for one stream at a time and notes when the first byte of its body came."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one in all but name

    async def ask(self) -> float:
        """Seconds to the first event, once the stream has ended."""
        self._began = perf_counter()
        self._first = 0.0
        self._data = b""
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self.transport.write(self._request)
        await self._ended
        return self._first - self._began

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._first:
            head, blank, body = self._data.partition(b"\r\n\r\n")
            if not head.startswith(_SUCCESS):
                self._ended.set_exception(ConnectionError(head[:80].decode("latin-1")))
                return
            if blank and body:
                self._first = perf_counter()
        if self._data.endswith(_END):
            self._ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_exception(exc or ConnectionError("the stream was cut"))


def first_token(direct: Target, through: Target, *, rounds: int) -> FirstToken:
    """Time to the first event, direct and through the subject in turns, one stream at a time."""

    async def run() -> FirstToken:
        loop = asyncio.get_running_loop()
        clients = []
        for target in (direct, through):
            _, client = await loop.create_connection(
                partial(_OneStream, target.wire()), "127.0.0.1", target.port
            )
            clients.append(client)
        times: tuple[list[float], list[float]] = ([], [])
        for round_number in range(_WARM_UP + rounds):
            for client, seen in zip(clients, times, strict=True):
                seconds = await client.ask()
                if round_number >= _WARM_UP:
                    seen.append(seconds * 1000)
        for client in clients:
            client.transport.abort()
        return FirstToken(
            direct_ms=median(times[0]), through_ms=median(times[1]), asked=_WARM_UP + rounds
        )

    return uvloop.run(run())
