"""A request as an application gets it, and answers through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from .errors import ClientGoneError
from .head import Head

if TYPE_CHECKING:
    from .protocol import HTTPProtocol

E = TypeVar("E")


class Request(Generic[E]):
    """One request. `exchange` is the application's own; the server never looks at it.

    Answer once: with `answer`, or with `begin`, any number of `write` and `end`. Methods of the
    answer do nothing once the client has gone.
    """

    __slots__ = ("_protocol", "client", "exchange", "gone", "head", "headers", "method", "path")

    exchange: E

    def __init__(self, head: Head, client: str, protocol: HTTPProtocol) -> None:
        """`client` is the address of the peer, empty on a Unix socket."""
        self.head = head
        self.headers = head.headers
        self.method = head.method
        self.path = head.path
        self.client = client
        self.gone = False  # the client left before its answer had ended
        self._protocol = protocol

    def body_now(self) -> bytes | None:
        """The whole body if all of it is here, else None. Raises `ProtocolError`."""
        connection = self._protocol.connection
        connection.ask_for_body()
        body = connection.body
        return body.take() if body.done else None

    async def read(self) -> bytes:
        """The next part of the body, b"" at its end.

        Raises `ProtocolError` for a body that is malformed or late, `ClientGoneError`.
        """
        if self.gone:
            raise ClientGoneError
        return await self._protocol.read_body()

    def close_after_answer(self) -> None:
        """Ends the connection with this answer."""
        if not self.gone:
            self._protocol.connection.close_after_answer()

    def answer(self, status: int, lines: bytes, body: bytes) -> None:
        """Answers in one piece; `lines` are header lines, each with its CRLF."""
        if not self.gone:
            self._protocol.connection.answer(status, lines, body)
            self._protocol.act()

    def begin(
        self, status: int, lines: bytes, length: int | None = None, filler: bytes = b""
    ) -> None:
        """Begins an answer in parts, of `length` bytes if that is known.

        It leaves with the first bytes that are written. `filler` is a part that means nothing: it
        is sent to find out whether a client that has ended its side still reads.
        """
        if not self.gone:
            self._protocol.connection.begin(status, lines, length, filler)

    def write(self, data: bytes) -> bool:
        """Sends a part of the answer; whether more is welcome. If not, await `drain` first."""
        if self.gone:
            return True
        protocol = self._protocol
        protocol.connection.write(data)
        protocol.flush()
        return not protocol.paused

    async def drain(self) -> None:
        """Waits until the client has taken what was written."""
        if not self.gone:
            await self._protocol.drain()

    def end(self, data: bytes = b"") -> None:
        """Ends the answer that was begun, with `data` as its last part."""
        if not self.gone:
            self._protocol.connection.write(data)
            self._protocol.connection.end()
            self._protocol.act()

    def abort(self, *, reset: bool = False) -> None:
        """Ends the connection without ending the answer; `reset` loses what was not yet sent."""
        if not self.gone:
            self._protocol.break_off(reset=reset)
