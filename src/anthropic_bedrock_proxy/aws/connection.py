"""One HTTP/1.1 connection to AWS: an `asyncio.Protocol` around httptools.

Rules of the file:
- A connection carries one exchange at a time and knows nothing of the pool that owns it.
- Reading stops (the transport is paused) while more than `HIGH_WATER` bytes wait for the reader,
  so a slow client slows the model down instead of filling memory.
- It may be used again only when the whole answer was read, nothing of the request is left to be
  written and the server allowed it; anything else ends in `abort()`.
- No exception is kept with its traceback (docs/decisions/0020).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import httptools

HIGH_WATER: Final = 256 * 1024  # bytes read ahead of the consumer
HEAD_LIMIT: Final = 256 * 1024  # bytes of an answer up to its body, interim answers included
_FIRST_STATUS: Final = 100
_FIRST_FINAL_STATUS: Final = 200
_NOTHING: Final = (b"", b"")
_JOIN_LIMIT: Final = 64 * 1024  # below this, one joined write is cheaper than two


class TransportError(Exception):
    """The exchange with AWS failed below HTTP; the message says how."""

    sent: bool = False  # the whole request had been written: AWS may have run it


class ConnectError(TransportError):
    """No connection could be made: name resolution, TCP, TLS or an egress proxy failed.

    `lasting` names what failed where that is a matter of the set-up, which no retry mends.
    """

    def __init__(self, message: str, lasting: str = "") -> None:
        super().__init__(message)
        self.lasting = lasting


class ConnectionCutError(TransportError):
    """The connection ended before the answer did."""


class TransportTimeoutError(TransportError):
    """Nothing arrived in time."""


class AWSConnection(asyncio.Protocol):
    """A kept-alive connection; `exchange` starts a request, `read` pulls its answer."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: Any = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._unsent = _NOTHING  # (head, body) of a request, until the end of this turn of the loop
        self._sent = True
        self._write_blocked = False
        self.closed = False
        self.idle_since = 0.0
        self.on_closed: Any = None  # called once, with self, when the connection is gone
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.received_any = False
        self.complete = False
        self._reusable = False
        self._headers_done = False
        self._head_bytes = 0
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._paused = False
        self._failure = ""  # the reason why the answer ends here; empty: none

    # The exchange

    async def exchange(self, head: bytes, body: bytes, deadline: float) -> None:
        """Sends a request and waits for the answer's headers.

        Raises `ConnectionCutError` or, at `deadline` of the loop's clock, `TransportTimeoutError`.
        """
        self._reset()
        if self.closed:
            raise ConnectionCutError("the connection was closed while idle")
        self._unsent, self._sent = (head, body), False
        self._loop.call_soon(self._send)
        while not self._headers_done:
            if self._failure:
                raise self._unanswered(ConnectionCutError(self._failure))
            if not await self._wait(deadline):
                raise self._unanswered(TransportTimeoutError("no answer in time"))

    def _send(self) -> None:
        # Not before the end of the loop's turn, so that the requests of a turn leave one after the
        # other: a tenth less CPU per request than a system call between two requests' work.
        (head, body), self._unsent = self._unsent, _NOTHING
        if self.closed:
            return
        self._sent = True
        if len(body) <= _JOIN_LIMIT:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))

    def _unanswered(self, error: TransportError) -> TransportError:
        # A closed transport has forgotten what it had not written yet; up to then it told when
        # that was much.
        left = 0 if self.closed else self._transport.get_write_buffer_size()
        error.sent = self._sent and not self._write_blocked and not left
        return error

    async def read(self, timeout: float) -> bytes | None:  # noqa: ASYNC109  # a deadline of the wire, not of the task
        """Reads the body's next bytes; b"" after `timeout` seconds of silence, None at the end.

        Raises `ConnectionCutError` when the connection ended before the answer did.
        """
        if not self._chunks:
            deadline = self._loop.time() + timeout
            while not self._chunks:
                if self.complete:
                    return None
                if self._failure:
                    raise ConnectionCutError(self._failure)
                if not await self._wait(deadline):
                    return b""
        return self.taken()

    def taken(self) -> bytes:
        """Returns what has arrived of the body and was not taken yet."""
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        self._buffered = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def _wait(self, deadline: float) -> asyncio.Future[bool]:
        """Returns a future: True once something happens, False at `deadline`."""
        waiter: asyncio.Future[bool] = self._loop.create_future()
        if self._loop.time() >= deadline:  # what trickles in must not outrun the timer for ever
            waiter.set_result(False)
            return waiter
        self._waiter = waiter
        self._deadline = deadline
        if self._timer is None or self._timer.when() > deadline:
            self._arm()
        return waiter

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _on_timer(self) -> None:
        # One timer serves many waits: set when there is none, it is not moved when a wait ends, and
        # when it fires early it goes on to the deadline of the wait of the day.
        self._timer = None
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if self._loop.time() < self._deadline:
            self._arm()
        else:
            waiter.set_result(False)

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(True)

    @property
    def drained(self) -> bool:
        """Tells whether the answer has arrived and been read to its end."""
        return self.complete and not self._chunks and not self._paused

    @property
    def reusable(self) -> bool:
        """Tells whether another request may be sent on this connection."""
        return (
            self.drained
            and self._reusable
            and not self.closed
            and not self._transport.get_write_buffer_size()
        )

    def abort(self) -> None:
        """Drops the connection at once."""
        if not self.closed:
            self.closed = True
            self._transport.abort()

    # asyncio.Protocol and the callbacks of httptools: their names and meanings are theirs

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.complete and not self._failure:
            reason = f": {exc}" if exc else ""
            self._failure = f"the connection to the model was cut{reason}"
        self._wake()
        if self.on_closed is not None:
            self.on_closed(self)
            self.on_closed = None

    def eof_received(self) -> bool:
        # An answer without Content-Length or chunks ends here, by RFC 9112 6.3; httptools does not
        # tell. Bedrock always frames its answers, so an end of file is a cut.
        return False

    def pause_writing(self) -> None:
        self._write_blocked = True

    def resume_writing(self) -> None:
        self._write_blocked = False

    def data_received(self, data: bytes) -> None:
        if self.complete or self._failure or not self._sent:
            self.abort()  # bytes nobody asked for: the connection cannot be trusted
            return
        self.received_any = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"the answer is not valid HTTP: {error}")
        except httptools.HttpParserUpgrade:  # 101, which is no HttpParserError
            self._fail("the answer switches to another protocol, which nobody asked for")
        if not self._headers_done:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT:
                self._fail(f"the answer's head is over {HEAD_LIMIT} bytes")
        self._wake()

    def _fail(self, reason: str) -> None:
        if not self.complete:
            self._failure = reason
        self.abort()

    def on_message_begin(self) -> None:
        if self.complete:
            raise ValueError("a second answer to one request")  # ends the parsing: data_received

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._headers_done:  # trailers are of no use, and there may be any number
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._headers_done = self.status >= _FIRST_FINAL_STATUS
        if self.status < _FIRST_STATUS:
            raise ValueError("no status")  # ends the parsing: data_received
        self._reusable = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._buffered += len(body)
        if self._buffered > HIGH_WATER and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._headers_done:
            self.complete = True
        else:  # an interim 1xx answer; the real one follows
            self.headers = {}
