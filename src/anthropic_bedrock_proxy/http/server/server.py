"""All connections of one worker: listening, the clock, the drain."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from ssl import SSLContext
from typing import Any, Final

from .bounds import ConnectionBounds
from .clock import Clock
from .descriptors import room_for
from .eviction import Eviction
from .protocol import HTTPProtocol
from .request import ServerApplication
from .round_robin import RoundRobin
from .sockets import accept_all, begin_none

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_READ_BYTES: Final = 64 * 1024
_BACKLOG: Final = 2048  # asyncio listens once more, for 100 connections: a burst would be dropped
_POLL_SECONDS: Final = 0.02
_HANDSHAKE_SECONDS: Final = 0.1  # of TCP, from a balancer to here


def date_line(now: float) -> bytes:
    """Returns the Date header at `now`, epoch seconds (RFC 9110 5.6.7), in English in any locale.

    `email.utils` formats it too, and costs the start 4 ms.
    """
    when = time.gmtime(now)
    day, month = _DAYS[when.tm_wday], _MONTHS[when.tm_mon - 1]
    clock = f"{when.tm_hour:02}:{when.tm_min:02}:{when.tm_sec:02}"
    return f"date: {day}, {when.tm_mday:02} {month} {when.tm_year} {clock} GMT\r\n".encode()


class Server:
    """Server of an application on listening sockets, on the running loop."""

    def __init__(
        self,
        application: ServerApplication,
        bounds: ConnectionBounds,
        *,
        tls: SSLContext | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        """`monotonic` is the clock of the time-outs, in seconds; the loop's unless given."""
        self.application = application
        self.bounds = bounds
        self.loop = asyncio.get_running_loop()
        self._monotonic = monotonic or self.loop.time
        self.buffer = memoryview(bytearray(_READ_BYTES))
        self.clock = Clock()
        self.turns = RoundRobin(self.loop)
        self._tls = tls
        self._connections: set[HTTPProtocol] = set()
        self._room = bounds.connections
        self._eviction = Eviction()
        self._ports: list[tuple[socket.socket, asyncio.Server]] = []
        self._came_at = 0.0  # the last connection, on the loop's clock, before its TLS handshake
        self._ticker: asyncio.TimerHandle | None = None
        self._read_clock()

    async def start(self, listeners: Sequence[socket.socket]) -> None:
        """Accepts connections on bound sockets that already listen."""
        self._room = room_for(self.bounds.connections)
        for listener in listeners:
            create = (
                self.loop.create_unix_server
                if listener.family == socket.AF_UNIX
                else self.loop.create_server
            )
            server = await create(self._new, sock=listener, backlog=_BACKLOG, **self._tls_options())
            self._ports.append((listener, server))

    def _new(self) -> HTTPProtocol:
        if self._tls is not None:
            self._came_at = self.loop.time()
        return HTTPProtocol(self)

    def _tls_options(self) -> dict[str, Any]:
        if self._tls is None:
            return {}
        return {
            "ssl": self._tls,
            "ssl_handshake_timeout": self.bounds.handshake_seconds,
            "ssl_shutdown_timeout": self.bounds.linger_seconds,
        }

    def add(self, connection: HTTPProtocol) -> None:
        """Takes a new connection in. The oldest that waits for a request makes room for it.

        Where all are being served, the new one is ended.
        """
        if not self._connections:
            self._read_clock()
        self._connections.add(connection)
        if len(self._connections) > self._room:
            self._eviction.end_one(self._connections)
        if self._ticker is None:
            self._ticker = self.loop.call_later(self.bounds.tick_seconds, self._tick)

    def remove(self, connection: HTTPProtocol) -> None:
        """Forgets a connection that has ended."""
        self._connections.discard(connection)
        self._eviction.forget(connection)

    def announce_end(self) -> None:
        """Says with every answer from now on that its connection ends; all else goes on."""
        self.clock.draining = True

    async def stop(
        self, *, timeout_seconds: float, last_words_seconds: float = 1.0, for_good: bool = False
    ) -> None:
        """Ends when every answer has, or cancels those that take longer than `timeout_seconds`.

        Whoever is cancelled has `last_words_seconds` to say so. `for_good`: no other process has
        the listening sockets.
        """
        self.announce_end()
        await self._close_ports(for_good=for_good)
        await self._end_in_silence(self.loop.time() + timeout_seconds)
        for connection in list(self._connections):
            connection.stop()
        await self._until_all_are_gone(last_words_seconds)
        for connection in list(self._connections):
            connection.abort()
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None

    async def _close_ports(self, *, for_good: bool) -> None:
        """Accepts no more connections, but takes in those that have begun.

        A port that is closed sends who comes to another server; an error would reach the client.
        """
        if for_good and self._ports:
            for listener, _ in self._ports:
                begin_none(listener)
            await asyncio.sleep(_HANDSHAKE_SECONDS)
        ports, self._ports = self._ports, []
        waiting: list[socket.socket] = []
        for listener, server in ports:
            waiting += accept_all(listener)
            server.close()
        arriving = [
            self.loop.connect_accepted_socket(self._new, each, **self._tls_options())
            for each in waiting
        ]
        await asyncio.gather(*arriving, return_exceptions=True)

    async def _end_in_silence(self, deadline: float) -> None:
        """Lets connections end, each in a moment when its end loses nothing.

        A request may be on its way to any that is idle, and would be lost if it is closed under
        it; the answer to that request ends it, as said. So it is closed after some silence, and
        not before the loop has read once more what came meanwhile.
        """
        silent: set[HTTPProtocol] = set()
        # Polled: an event would cost every request.
        while self._awaited() and self.loop.time() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
            self._read_clock()
            until = self.clock.now - self.bounds.quiet_seconds
            still = {one for one in self._connections if one.idle and one.connection.since <= until}
            for connection in still & silent:
                connection.stop()
            silent = still

    def _awaited(self) -> bool:
        if self._tls is not None and self.loop.time() - self._came_at < self.bounds.quiet_seconds:
            return True  # perhaps in its handshake
        return any(connection.busy or connection.idle for connection in self._connections)

    async def _until_all_are_gone(self, seconds: float) -> None:
        deadline = self.loop.time() + seconds
        while self._connections and self.loop.time() < deadline:  # noqa: ASYNC110  # as above
            await asyncio.sleep(_POLL_SECONDS)

    def _read_clock(self) -> None:
        self.clock.now = self._monotonic()
        self.clock.date_line = date_line(time.time())

    def _tick(self) -> None:
        self._ticker = None
        self._read_clock()
        for connection in list(self._connections):
            connection.tick()
        if self._connections:
            self._ticker = self.loop.call_later(self.bounds.tick_seconds, self._tick)
