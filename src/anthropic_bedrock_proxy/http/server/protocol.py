"""A `Connection` on an asyncio transport: reads into one shared buffer, serves requests as tasks.

`act` is called after everything that may change the connection; it does what the connection says
is to be done. A request's task is cancelled when its client has gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from typing import TYPE_CHECKING, Any, Final, Protocol

from ...errors import ProxyError
from .connection import Connection
from .errors import ClientGoneError
from .request import Request
from .request_reader import Leave

if TYPE_CHECKING:
    from .server import Server

_LINGER_OFF: Final = struct.pack("ii", 1, 0)
_log = logging.getLogger("anthropic_bedrock_proxy.http")


class Application(Protocol):
    """Serves requests."""

    async def serve(self, request: Request[Any]) -> None:
        """Answers one request. Is cancelled when the client has gone or the server stops."""
        ...

    def left(self, request: Request[Any]) -> None:
        """The client of a request has gone; its task is cancelled next."""
        ...

    def refuse(self, error: ProxyError, client: str) -> tuple[int, bytes, bytes]:
        """The answer to what was no request, as status, header lines and body."""
        ...


class HTTPProtocol(asyncio.BufferedProtocol):
    """One connection with a client."""

    __slots__ = (
        "_body_waiter",
        "_client",
        "_drain_waiter",
        "_leaving",
        "_paused_at",
        "_prober",
        "_reading",
        "_request",
        "_server",
        "_task",
        "_transport",
        "_waits_for_turn",
        "connection",
    )

    def __init__(self, server: Server) -> None:
        self._server = server
        self.connection = Connection(server.bounds, server.clock)
        self._transport: Any = None
        self._client = ""
        self._reading = True
        self._waits_for_turn = False  # with reading, because others want to be read too
        self._leaving = Leave.STAY  # as far as it was carried out
        self._paused_at: float | None = None  # the transport holds more than it should
        self._prober: asyncio.TimerHandle | None = None
        self._request: Request[Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self._body_waiter: asyncio.Future[None] | None = None
        self._drain_waiter: asyncio.Future[None] | None = None

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Joins the server's connections."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._client = _address(peer[0]) if isinstance(peer, tuple) else ""
        self._transport.set_write_buffer_limits(self._server.bounds.unsent_bytes)
        if transport.get_extra_info("ssl_object") is not None:  # it reads ahead by itself
            self._transport.set_read_buffer_limits(len(self._server.buffer))
        self._server.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # asyncio's signature
        """Shares one buffer between all connections: it is read before anybody else can write."""
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Takes what the client sent."""
        self.connection.receive(bytes(self._server.buffer[:nbytes]))
        self.act()
        if nbytes == len(self._server.buffer):
            self._await_turn()

    def eof_received(self) -> bool:
        """Takes the end of what the client sends; whether the connection stays open for answers."""
        self.connection.eof()
        self._reading = False
        self.act()
        self._begin_probing()
        return self._leaving == Leave.STAY and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """Lets go of everything."""
        self._server.remove(self)
        self._leaving = Leave.ABORT
        if self._prober is not None:
            self._prober.cancel()
        if self._request is not None:
            self._request.gone = True
            self._server.application.left(self._request)
            if self._task is not None:
                self._task.cancel()
        self.connection.let_go()
        self._wake()

    def pause_writing(self) -> None:
        """The client takes less than is written."""
        self._paused_at = self._server.clock.now
        self.connection.allow_writing(False)
        if self._reading is not self.connection.reading and self._leaving == Leave.STAY:
            self._set_reading(self.connection.reading)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._paused_at = None
        waiter, self._drain_waiter = self._drain_waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        self.connection.allow_writing(True)
        self.act()

    # For requests

    @property
    def paused(self) -> bool:
        """Tells whether what is written has to wait for the client."""
        return self._paused_at is not None

    async def read_body(self) -> bytes:
        """The next part of the body: see `Request.read`."""
        connection, request = self.connection, self._request
        connection.ask_for_body()
        while not (body := connection.body.take()) and not connection.body.done:
            connection.await_body()
            self.act()
            self._body_waiter = asyncio.get_running_loop().create_future()
            await self._body_waiter
            if request is None or request.gone:
                raise ClientGoneError
        if self._reading is not connection.reading:
            self.act()
        return body

    async def drain(self) -> None:
        """Waits until the client has caught up."""
        if self._paused_at is not None and self._leaving != Leave.ABORT:
            self._drain_waiter = asyncio.get_running_loop().create_future()
            await self._drain_waiter

    def flush(self) -> None:
        """Gives the transport what the connection has for the client."""
        out = self.connection.out
        if out:
            self.connection.out = []
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    def break_off(self, *, reset: bool) -> None:
        """Ends the connection in the middle of an answer."""
        if reset:
            # SO_LINGER belongs to the connection, not to the descriptor: a copy may set it.
            descriptor = self._transport.get_extra_info("socket").fileno()
            with socket.socket(fileno=os.dup(descriptor)) as copy:
                copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
            self._transport.abort()
        else:
            self.flush()
            self._transport.close()
        self._leaving = self.connection.leave = Leave.ABORT

    # For the server

    @property
    def serving(self) -> bool:
        """Tells whether a request is being served."""
        return self._task is not None

    @property
    def busy(self) -> bool:
        """Tells whether its end would lose something: a request, or an answer not yet taken."""
        if self._task is not None or self._transport.get_write_buffer_size():
            return True
        if self._leaving == Leave.STAY:
            return not self.connection.idle
        return self._leaving == Leave.LINGER

    @property
    def idle(self) -> bool:
        """Tells whether it waits for a request, the first or another."""
        return self._leaving == Leave.STAY and not self.busy

    @property
    def waiting(self) -> bool:
        """Tells whether it may end for another: it serves no request, and was not ended yet."""
        return self._leaving != Leave.ABORT and self.connection.waiting

    def tick(self) -> None:
        """Looks at the clock."""
        if self._leaving == Leave.ABORT:
            return
        transport, bounds = self._transport, self._server.bounds
        if (
            self._paused_at is not None
            and (self._server.clock.now - self._paused_at >= bounds.stall_seconds)
        ) or (not self._reading and self._peer_is_gone()):
            self.connection.leave = Leave.ABORT
        else:
            self.connection.tick(unsent=transport.get_write_buffer_size())
        self.act()

    def take_turn(self) -> None:
        """Goes on reading, if it is still wanted."""
        self._waits_for_turn = False
        if self._reading and self._leaving in (Leave.STAY, Leave.LINGER):
            self._transport.resume_reading()

    def stop(self) -> None:
        """Cancels the request that is served, or ends the connection if there is none."""
        if self._task is not None:
            self._task.cancel()
        elif self._leaving == Leave.STAY:
            self.connection.leave = Leave.CLOSE
            self.act()

    def abort(self) -> None:
        """Ends the connection, whatever it is at."""
        if self._leaving != Leave.ABORT:
            self.connection.leave = Leave.ABORT
            self._leave(Leave.ABORT)

    # Inside

    def act(self) -> None:
        """Does what the connection says is to be done."""
        connection = self.connection
        if connection.refusal is not None:
            answer = self._server.application.refuse(connection.refusal, self._client)
            connection.answer(*answer)
        if connection.out:
            self.flush()
        head = connection.request
        if head is not None and self._task is None:
            request: Request[Any] = Request(head, self._client, self)
            self._request = request
            # Not by `create_task`: it would make up a name for each.
            self._task = asyncio.Task(self._serve(request), loop=self._server.loop, name="request")
        if self._body_waiter is not None and (
            connection.body.done or connection.body.here or connection.body.error is not None
        ):
            self._wake()
        if connection.leave != self._leaving:
            self._leave(connection.leave)
        elif self._reading is not connection.reading and self._leaving != Leave.ABORT:
            self._set_reading(connection.reading)

    async def _serve(self, request: Request[Any]) -> None:
        try:
            await self._server.application.serve(request)
        except asyncio.CancelledError:
            if not request.gone:
                self.connection.leave = Leave.ABORT
        except Exception:  # noqa: BLE001  # an application's bug ends one connection, not the server
            _log.exception("unexpected error")
            self.connection.leave = Leave.ABORT
        finally:
            self._task = self._request = None
            connection = self.connection
            if connection.request is request.head:
                connection.leave = Leave.ABORT  # without an answer, or in its middle
            if self._leaving != Leave.ABORT and connection.busy:
                if connection.request is not None and connection.leave == Leave.STAY:
                    # Sent ahead of the answer: who does so does not come before everybody else.
                    self._server.await_turn(self._serve_next)
                else:
                    self.act()

    def _serve_next(self) -> None:
        if self._leaving != Leave.ABORT:
            self.act()

    def _wake(self) -> None:
        for waiter in (self._body_waiter, self._drain_waiter):
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
        self._body_waiter = self._drain_waiter = None

    def _set_reading(self, reading: bool) -> None:
        self._reading = reading
        if self._waits_for_turn:
            return
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
            if self.connection.body.done:  # else the application will soon read on
                self._begin_probing()

    def _await_turn(self) -> None:
        """There is more to read than was read at once: lets others go first."""
        if self._leaving in (Leave.STAY, Leave.LINGER) and not self._waits_for_turn:
            self._transport.pause_reading()
            self._waits_for_turn = True
            self._server.await_turn(self.take_turn)

    def _leave(self, leave: int) -> None:
        self._leaving = leave
        transport = self._transport
        if leave == Leave.ABORT:
            transport.abort()
        elif leave == Leave.CLOSE:
            transport.close()
        else:
            if transport.can_write_eof():
                transport.write_eof()
            if not self._reading:
                self._set_reading(True)

    def _begin_probing(self) -> None:
        """Probes the client from now on: nothing is read that would tell that it has left."""
        if self._prober is None and self._task is not None and self._leaving == Leave.STAY:
            seconds = self._server.bounds.probe_seconds
            self._prober = self._server.loop.call_later(seconds, self._probe)

    def _probe(self) -> None:
        """Asks a client from which nothing is read whether it still reads."""
        self._prober = None
        if self._reading or self._task is None:
            return
        if self.connection.probe():
            self.act()
            self._prober = self._server.loop.call_later(
                self._server.bounds.probe_seconds, self._look
            )
        else:  # there is nothing to say just now
            self._probe_later()

    def _look(self) -> None:
        if self._peer_is_gone():
            self._prober = None
            self.connection.leave = Leave.ABORT
            self.act()
        else:
            self._probe_later()

    def _probe_later(self) -> None:
        seconds = self._server.bounds.next_probe_seconds
        self._prober = self._server.loop.call_later(seconds, self._probe)

    def _peer_is_gone(self) -> bool:
        """Tells whether a reset has come that nobody has read, because nothing is read."""
        error = self._transport.get_extra_info("socket").getsockopt(
            socket.SOL_SOCKET, socket.SO_ERROR
        )
        return bool(error)


def _address(peer: str) -> str:
    """Returns the address of a peer; a socket for both families has ::ffff:192.0.2.1 for IPv4."""
    mapped = peer.removeprefix("::ffff:")
    return peer if ":" in mapped else mapped
