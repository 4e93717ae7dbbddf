r"""A request as an application gets it and answers through it, and the application itself.

An application that sends back what it gets:

    >>> class Echo:
    ...     async def serve(self, request):
    ...         request.begin(200, b"content-type: text/plain\r\n")
    ...         while part := await request.read():
    ...             if not request.write(part):
    ...                 await request.drain()  # the client does not keep up
    ...         request.end()
"""

from __future__ import annotations

import asyncio
from typing import Any, Generic, Protocol, TypeVar

from ...errors import ProxyError
from .connection import Connection
from .errors import ClientGoneError
from .head import Head

E = TypeVar("E")


class Channel(Protocol):
    """A connection on its transport, as far as its requests have to do with it."""

    connection: Connection
    reading: bool

    @property
    def paused(self) -> bool:
        """Tells whether what is written has to wait for the client."""
        ...

    def act(self) -> None:
        """Does what the connection says is to be done."""
        ...

    def flush(self) -> None:
        """Gives the transport what the connection has for the client."""
        ...

    def break_off(self, *, reset: bool) -> None:
        """Ends the connection in the middle of an answer."""
        ...


class Request(Generic[E]):
    """One request. `exchange` is the application's own; the server never looks at it.

    Answer once: with `answer`, or with `begin`, any number of `write` and `end`. Methods of the
    answer do nothing once the client has gone.
    """

    __slots__ = (
        "_channel",
        "_drain_waiter",
        "body_waiter",
        "client",
        "exchange",
        "gone",
        "head",
        "headers",
        "method",
        "path",
    )

    exchange: E

    def __init__(self, head: Head, client: str, channel: Channel) -> None:
        """`client` is the address of the peer, empty on a Unix socket."""
        self.head = head
        self.headers = head.headers
        self.method = head.method
        self.path = head.path
        self.client = client
        self.gone = False  # the client left before its answer had ended
        self.body_waiter: asyncio.Future[None] | None = None
        self._drain_waiter: asyncio.Future[None] | None = None
        self._channel = channel

    def body_now(self) -> bytes | None:
        """Returns the whole body if all of it is here, else None. Raises `ProtocolError`."""
        connection = self._channel.connection
        connection.ask_for_body()
        body = connection.body
        return body.take() if body.done else None

    async def read(self) -> bytes:
        """Returns the next part of the body, b"" at its end.

        Raises `ProtocolError` for a body that is malformed or late, `ClientGoneError`.
        """
        if self.gone:
            raise ClientGoneError
        channel = self._channel
        connection = channel.connection
        connection.ask_for_body()
        body = connection.body
        while not (part := body.take()) and not body.done:
            connection.await_body()
            channel.act()
            self.body_waiter = asyncio.get_running_loop().create_future()
            await self.body_waiter
            if self.gone:
                raise ClientGoneError
        if channel.reading is not connection.reading:
            channel.act()
        return part

    def close_after_answer(self) -> None:
        """Ends the connection with this answer."""
        if not self.gone:
            self._channel.connection.close_after_answer()

    def answer(self, status: int, lines: bytes, body: bytes) -> None:
        """Answers in one piece; `lines` are header lines, each with its CRLF."""
        if not self.gone:
            self._channel.connection.answer(status, lines, body)
            self._channel.act()

    def begin(
        self, status: int, lines: bytes, length: int | None = None, filler: bytes = b""
    ) -> None:
        """Begins an answer in parts, of `length` bytes if that is known.

        It leaves with the first bytes that are written. `filler` is a part that means nothing: it
        is sent to find out whether a client that has ended its side still reads.
        """
        if not self.gone:
            self._channel.connection.begin(status, lines, length, filler)

    def write(self, data: bytes) -> bool:
        """Sends a part of the answer; tells whether more is welcome, else await `drain` first."""
        if self.gone:
            return True
        channel = self._channel
        channel.connection.write(data)
        channel.flush()
        return not channel.paused

    async def drain(self) -> None:
        """Waits until the client has taken what was written."""
        if self._channel.paused and not self.gone:
            self._drain_waiter = asyncio.get_running_loop().create_future()
            await self._drain_waiter

    def end(self, data: bytes = b"") -> None:
        """Ends the answer that was begun, with `data` as its last part."""
        if not self.gone:
            self._channel.connection.write(data)
            self._channel.connection.end()
            self._channel.act()

    def abort(self, *, reset: bool = False) -> None:
        """Ends the connection without ending the answer; `reset` loses what was not yet sent."""
        if not self.gone:
            self._channel.break_off(reset=reset)

    def wake_reader(self) -> None:
        """Lets `read` go on: there is more of the body, or an end of it."""
        waiter, self.body_waiter = self.body_waiter, None
        _wake(waiter)

    def wake_writer(self) -> None:
        """Lets `drain` go on."""
        waiter, self._drain_waiter = self._drain_waiter, None
        _wake(waiter)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


class ServerApplication(Protocol):
    """An application on this server."""

    async def serve(self, request: Request[Any]) -> None:
        """Answers one request. Is cancelled when the client has gone or the server stops."""
        ...

    def left(self, request: Request[Any]) -> None:
        """Takes note that the client of a request has gone; its task is cancelled next."""
        ...

    def refuse(self, error: ProxyError, client: str) -> tuple[int, bytes, bytes]:
        """Returns the answer to what was no request, as status, header lines and body."""
        ...
