"""All connections of one worker: listening, the clock, room for new ones, the drain."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from operator import itemgetter
from ssl import SSLContext
from typing import Any, Final

from .bounds import ConnectionBounds
from .clock import Clock
from .closing import accept_all, begin_none
from .descriptors import room_for
from .protocol import Application, HTTPProtocol

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_READ_BYTES: Final = 64 * 1024
_TURNS_AT_ONCE: Final = 2  # for those who send more than that: reads in one turn of the loop
_BACKLOG: Final = 2048  # asyncio listens once more, for 100 connections: a burst would be dropped
_POLL_SECONDS: Final = 0.02
_HANDSHAKE_SECONDS: Final = 0.1  # of TCP, from a balancer to here
_AT_A_TIME: Final = 64  # connections that are looked for at a time, when there is no more room


def date_line(now: float) -> bytes:
    """The Date header at `now`, epoch seconds (RFC 9110 5.6.7): in English, whatever the locale.

    `email.utils` formats it too, and costs the start 4 ms.
    """
    when = time.gmtime(now)
    day, month = _DAYS[when.tm_wday], _MONTHS[when.tm_mon - 1]
    clock = f"{when.tm_hour:02}:{when.tm_min:02}:{when.tm_sec:02}"
    return f"date: {day}, {when.tm_mday:02} {month} {when.tm_year} {clock} GMT\r\n".encode()


class Server:
    """Serves an application on listening sockets, on the running loop."""

    def __init__(
        self,
        application: Application,
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
        self._tls = tls
        self._connections: set[HTTPProtocol] = set()
        self._room = bounds.connections
        self._longest: dict[HTTPProtocol, float] = {}  # some that wait, the longest last
        self._ports: list[tuple[socket.socket, asyncio.Server]] = []
        self._came_at = 0.0  # the last connection, on the loop's clock, before its TLS handshake
        self._flooding: deque[Callable[[], None]] = deque()
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
            self._make_room()
        if self._ticker is None:
            self._ticker = self.loop.call_later(self.bounds.tick_seconds, self._tick)

    def remove(self, connection: HTTPProtocol) -> None:
        """Forgets a connection that has ended."""
        self._connections.discard(connection)
        if self._longest:
            self._longest.pop(connection, None)

    def _make_room(self) -> None:
        """Ends the connection that has waited longest; it may be the newest, and wait for nothing.

        At once: one that ends in its own time would stand beside those that came for it.
        """
        while True:
            if not self._longest:
                self._find_longest()
            one, since = self._longest.popitem()
            if one.waiting and one.connection.since == since:
                one.abort()
                return

    def _find_longest(self) -> None:
        """Looks for several at a time: who comes in a flood must not cost a look at all others.

        Whoever begins to wait later is younger than these.
        """
        waiting = [(one, one.connection.since) for one in self._connections if one.waiting]
        waiting.sort(key=itemgetter(1))
        self._longest = dict(reversed(waiting[:_AT_A_TIME]))

    def await_turn(self, take_turn: Callable[[], None]) -> None:
        """Calls `take_turn` of a connection that sends faster than it is served, when it may go on.

        libuv would read from each of them 32 times before it looks at the next, and at all of them
        before it looks for new connections: few clients would keep everybody else waiting.
        """
        self._flooding.append(take_turn)
        if len(self._flooding) == 1:
            self.loop.call_soon(self._give_turns)

    def _give_turns(self) -> None:
        for _ in range(min(_TURNS_AT_ONCE, len(self._flooding))):
            self._flooding.popleft()()
        if self._flooding:
            self.loop.call_soon(self._give_turns)

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
