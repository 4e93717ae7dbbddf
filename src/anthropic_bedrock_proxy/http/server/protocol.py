"""A `Connection` on an asyncio transport: reads into one shared buffer, serves requests as tasks.

Theory of operation. All connections of a worker read into one buffer of 64 KiB. That is safe,
because nothing else runs between `get_buffer` and `buffer_updated`, and those copy what came; and
it costs an idle connection no memory of its own. Who fills the buffer has more to send: it pauses
reading and waits for its turn (round_robin.py).

`act` is called after everything that may have changed the connection, and does what the connection
says is to be done. For a small request that comes whole:

    buffer_updated   connection.receive(bytes)        connection.request is set
      act            makes a `Request` and a task that serves it
    (next round)     application.serve(request)
      answer         connection.answer(...)           connection.out is filled, request is None
        act          writes `out` to the transport
    (task ends)      nothing more, unless another request was sent ahead, which then waits its turn

Reading pauses and goes on as `connection.reading` says. While the transport is full the
application's `write` says so, and `drain` waits. A client that has gone cancels its task.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from .bounds import ConnectionBounds
from .clock import Clock
from .connection import Connection
from .prober import Prober
from .request import Request, ServerApplication
from .request_reader import Leave
from .round_robin import RoundRobin
from .sockets import address_of, reset_at_close, was_reset

_log = logging.getLogger("anthropic_bedrock_proxy.http")


class ConnectionOwner(Protocol):
    """The server, as far as its connections have to do with it: see server.py."""

    application: ServerApplication
    bounds: ConnectionBounds
    buffer: memoryview
    clock: Clock
    loop: asyncio.AbstractEventLoop
    turns: RoundRobin

    def add(self, connection: HTTPProtocol) -> None:
        """Takes a new connection in."""
        ...

    def remove(self, connection: HTTPProtocol) -> None:
        """Forgets a connection that has ended."""
        ...


class HTTPProtocol(asyncio.BufferedProtocol):
    """Connection with a client, on an asyncio transport."""

    __slots__ = (
        "_client",
        "_leaving",
        "_paused_at",
        "_prober",
        "_request",
        "_server",
        "_task",
        "_transport",
        "_waits_for_turn",
        "connection",
        "reading",
    )

    def __init__(self, server: ConnectionOwner) -> None:
        self._server = server
        self.connection = Connection(server.bounds, server.clock)
        self._transport: Any = None
        self._client = ""
        self.reading = True  # as far as the transport was told
        self._waits_for_turn = False  # with reading, because others want to be read too
        self._leaving = Leave.STAY  # as far as it was carried out
        self._paused_at: float | None = None  # the transport holds more than it should
        self._prober: Prober | None = None
        self._request: Request[Any] | None = None
        self._task: asyncio.Task[None] | None = None

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Joins the server's connections."""
        self._transport = transport
        self._client = address_of(transport.get_extra_info("peername"))
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
        """Takes the end of what the client sends; tells whether answers may still be written."""
        self.connection.eof()
        self.reading = False
        self.act()
        self._begin_probing()
        return self._leaving == Leave.STAY and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """Lets go of everything."""
        self._server.remove(self)
        self._leaving = Leave.ABORT
        if self._prober is not None:
            self._prober.stop()
            self._prober = None
        request = self._request
        if request is not None:
            request.gone = True
            self._server.application.left(request)
            if self._task is not None:
                self._task.cancel()
            request.wake_reader()
            request.wake_writer()
        self.connection.let_go()

    def pause_writing(self) -> None:
        """Takes note that the client takes less than is written."""
        self._paused_at = self._server.clock.now
        self.connection.allow_writing(False)
        if self.reading is not self.connection.reading and self._leaving == Leave.STAY:
            self._set_reading(self.connection.reading)

    def resume_writing(self) -> None:
        """Goes on: the client has caught up."""
        self._paused_at = None
        if self._request is not None:
            self._request.wake_writer()
        self.connection.allow_writing(True)
        self.act()

    # What the connection wants

    def act(self) -> None:
        """Does what the connection says is to be done."""
        connection = self.connection
        if connection.refusal is not None:
            answer = self._server.application.refuse(connection.refusal, self._client)
            connection.answer(*answer)
        if connection.out:
            self.flush()
        head, request = connection.request, self._request
        if head is not None and self._task is None:
            self._request = request = Request(head, self._client, self)
            # Not by `create_task`: it would make up a name for each.
            self._task = asyncio.Task(self._serve(request), loop=self._server.loop, name="request")
        elif request is not None and request.body_waiter is not None:
            body = connection.body
            if body.done or body.here or body.error is not None:
                request.wake_reader()
        if connection.leave != self._leaving:
            self._leave(connection.leave)
        elif self.reading is not connection.reading and self._leaving != Leave.ABORT:
            self._set_reading(connection.reading)

    def flush(self) -> None:
        """Gives the transport what the connection has for the client."""
        out = self.connection.out
        if out:
            self.connection.out = []
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

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
                    self._server.turns.wait(self._serve_next)
                else:
                    self.act()

    def _serve_next(self) -> None:
        if self._leaving != Leave.ABORT:
            self.act()

    def _set_reading(self, reading: bool) -> None:
        self.reading = reading
        if self._waits_for_turn:
            return
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
            if self.connection.body.done:  # else the application will soon read on
                self._begin_probing()

    def _await_turn(self) -> None:
        """Lets others go first: there is more to read than was read at once."""
        if self._leaving in (Leave.STAY, Leave.LINGER) and not self._waits_for_turn:
            self._transport.pause_reading()
            self._waits_for_turn = True
            self._server.turns.wait(self._read_on)

    def _read_on(self) -> None:
        self._waits_for_turn = False
        if self.reading and self._leaving in (Leave.STAY, Leave.LINGER):
            self._transport.resume_reading()

    def _begin_probing(self) -> None:
        """Probes the client from now on: nothing is read that would tell that it has left."""
        if self._task is not None and self._leaving == Leave.STAY:
            if self._prober is None:
                self._prober = Prober(self, self._server.bounds, self._server.loop)
            self._prober.begin()

    # The end

    def tick(self) -> None:
        """Looks at the clock."""
        if self._leaving == Leave.ABORT:
            return
        server, paused_at = self._server, self._paused_at
        if (
            paused_at is not None and server.clock.now - paused_at >= server.bounds.stall_seconds
        ) or (not self.reading and self.peer_is_gone):
            self.connection.leave = Leave.ABORT
        else:
            self.connection.tick(unsent=self._transport.get_write_buffer_size())
        self.act()

    def stop(self) -> None:
        """Cancels the request that is served, or ends the connection if there is none."""
        if self._task is not None:
            self._task.cancel()
        elif self._leaving == Leave.STAY:
            self.connection.leave = Leave.CLOSE
            self.act()

    def break_off(self, *, reset: bool) -> None:
        """Ends the connection in the middle of an answer."""
        if reset:
            reset_at_close(self._transport.get_extra_info("socket"))
            self._transport.abort()
        else:
            self.flush()
            self._transport.close()
        self._leaving = self.connection.leave = Leave.ABORT

    def abort(self) -> None:
        """Ends the connection, whatever it is at."""
        if self._leaving != Leave.ABORT:
            self.connection.leave = Leave.ABORT
            self._leave(Leave.ABORT)

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
            if not self.reading:
                self._set_reading(True)

    # What it is at

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

    @property
    def paused(self) -> bool:
        """Tells whether what is written has to wait for the client."""
        return self._paused_at is not None and self._leaving != Leave.ABORT

    @property
    def peer_is_gone(self) -> bool:
        """Tells whether the client has reset the connection, although nothing is read."""
        return was_reset(self._transport.get_extra_info("socket"))
