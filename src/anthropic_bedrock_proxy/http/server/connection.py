r"""One connection with a client: bytes and ticks in, actions out. No I/O, no clock, no tasks.

Theory of operation. Requests are served one at a time, in order. Reading is in one of four phases:

    HEAD     of the next request; nothing is being served, or only the end of an answer
    BODY     of the request that is served, or, when its answer is through, of one nobody wants
    AHEAD    the request is complete: what comes now belongs to later ones and is held, unread
    DISCARD  nothing is served any more: bytes are thrown away until the client has left

Inputs are `receive`, `eof`, `tick`, `allow_writing` and the methods of the answer (`answer`, or
`begin`, `write`, `end`). After each of them the owner looks at what is to be done:

    out       bytes for the client, in order; take them all
    request   a head to be served, until its answer has ended
    refusal   an error to be answered by `answer`, after which the connection ends
    leave     STAY, CLOSE (behind what was written), LINGER (end writing, discard what comes until
              the client has read its answer: closing at once would reset the connection and lose
              it), or ABORT
    reading   whether more bytes are wanted

A client that leaves and one that only ends its side of the connection look the same: FIN. `probe`
tells them apart by a 100 Continue, which every client of HTTP/1.1 has to pass over, or a part of
the answer that means nothing (in server-sent events, a comment): who has left answers with a reset
(the owner sees it), who still reads gets the answer.

    >>> clock = Clock()
    >>> connection = Connection(ConnectionBounds(), clock)
    >>> connection.receive(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    >>> connection.request.path, connection.reading
    ('/health', True)
    >>> connection.answer(200, b"", b"{}")
    >>> b"".join(connection.out)
    b'HTTP/1.1 200 OK\r\ndate: \r\ncontent-length: 2\r\n\r\n{}'
"""

from __future__ import annotations

from typing import Final

from .bounds import ConnectionBounds
from .chunked import ChunkedReader
from .clock import Clock
from .errors import BodyTooSlowError, ProtocolError
from .head import CHUNKED, Head
from .head_reader import HeadReader
from .phrases import status_line

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"
# What the bytes that come belong to. Not an Enum: its members are slow to look up in Python 3.11.
_HEAD, _BODY, _AHEAD, _DISCARD = range(4)
_NO_BODY: Final = (204, 304)
_PARTS: Final = 32  # held one by one; were there more, what holds them would outweigh them
_UNASKED_BYTES: Final = 4096  # of a body in chunks that are read before anybody asks for it


class Leave:
    """The end that a connection is to come to: see the top. No Enum, for the same reason."""

    STAY, CLOSE, LINGER, ABORT = range(4)


class Connection:
    """The state of one connection."""

    __slots__ = (
        "_ahead",
        "_ahead_bytes",
        "_asked",
        "_bounds",
        "_chunked",
        "_chunks",
        "_clock",
        "_close_requested",
        "_ended_at",
        "_eof",
        "_filler",
        "_head_reader",
        "_held",
        "_left",
        "_may_write",
        "_phase",
        "_received",
        "_received_bytes",
        "_since",
        "_waits_for_body",
        "answering",
        "body_done",
        "body_error",
        "ended",
        "leave",
        "out",
        "refusal",
        "request",
    )

    def __init__(self, bounds: ConnectionBounds, clock: Clock) -> None:
        self._bounds = bounds
        self._clock = clock
        self._phase = _HEAD
        self._since = clock.now  # of the phase, or of what is waited for in it
        self._head_reader = HeadReader(bounds)
        self._chunks: ChunkedReader | None = None
        self._left = 0  # bytes of a body with a length that are still to come
        self._received: list[bytes] = []  # of the body, not yet taken
        self._received_bytes = 0
        self._asked = False  # the application wants the body
        self._held: list[bytes] = []  # chunks that nobody has asked for
        self._waits_for_body = False
        self._ahead: list[bytes] = []
        self._ahead_bytes = 0
        self._may_write = True
        self._eof = False
        self._ended_at = 0.0  # of the last answer
        self._filler = b""
        self._chunked = False  # the answer goes out in chunks
        self._close_requested = False  # by the application
        self.answering = False  # the answer's head has been written
        self.body_done = False
        self.body_error: ProtocolError | None = None  # why the body will never be done
        self.ended = False  # at least one answer has been written to its end
        self.out: list[bytes] = []
        self.request: Head | None = None
        self.refusal: ProtocolError | None = None
        self.leave = Leave.STAY

    # What the client does

    def receive(self, data: bytes) -> None:
        """Takes bytes as the network gave them."""
        phase = self._phase
        if phase == _HEAD and self._may_write and self.refusal is None:
            self._receive_head(data)
        elif phase == _BODY:
            self._receive_body(data)
        elif phase != _DISCARD:
            self._ahead_bytes += len(data)
            self._ahead = _with(self._ahead, data)
        elif self.leave == Leave.LINGER:
            self._since = self._clock.now

    def eof(self) -> None:
        """The client sends no more; it may still read."""
        self._eof = True
        self.ask_for_body()
        if self.request is not None and not self._bounds.half_closed:
            self.leave = Leave.ABORT
        elif self._phase == _DISCARD:
            if self.request is None:  # else its answer ends the connection
                self.leave = Leave.CLOSE
        elif self._phase == _BODY:
            if self.request is None:  # a body nobody wants
                self.leave = Leave.CLOSE
            else:
                self.body_error = ProtocolError("The connection ended before the request's body.")
        elif self._phase == _HEAD and not self._ahead:
            if self._head_reader.started:
                self._refuse(ProtocolError("The connection ended before the request's headers."))
            else:
                self.leave = Leave.CLOSE

    def tick(self, *, unsent: int) -> None:
        """Looks at the clock. `unsent` are the bytes that the transport still holds."""
        bounds, waited = self._bounds, self._clock.now - self._since
        if self._phase == _HEAD:
            self._tick_head(waited, unsent)
        elif self._phase == _BODY:
            if self.request is None:
                if waited >= bounds.body_seconds:
                    self.leave = Leave.ABORT
            elif self._waits_for_body and waited >= bounds.body_seconds:
                self.body_error = BodyTooSlowError(bounds.body_seconds)
        elif self._phase == _DISCARD and self.request is None:
            self._tick_discard(waited, unsent)

    def probe(self) -> bool:
        """Writes what a client that still reads passes over; whether there is such a thing.

        For a client that sends no more: if it has left, this is answered by a reset.
        """
        head = self.request
        if head is None or self.leave != Leave.STAY:
            return False
        filler = self._filler if self.answering else CONTINUE if head.modern else b""
        if self.answering:
            self.write(filler)
        elif filler:
            self.out.append(filler)
        return bool(filler)

    def allow_writing(self, allowed: bool) -> None:
        """Tells whether the client takes what is written; else further requests wait."""
        self._may_write = allowed
        if allowed and self._phase == _HEAD:
            self._resume()

    @property
    def reading(self) -> bool:
        """Tells whether more bytes are wanted."""
        if self._eof:
            return False
        if self._phase == _BODY:
            return self.request is None or self._received_bytes < self._bounds.unread_body_bytes
        if not self._may_write and self._phase != _DISCARD:
            return False  # who does not read need not be read
        return self._ahead_bytes < self._bounds.ahead_bytes

    @property
    def has_body(self) -> bool:
        """Tells whether some of the body can be taken."""
        return bool(self._received)

    @property
    def busy(self) -> bool:
        """Tells whether there is anything to be done (see above)."""
        return bool(
            self.out
            or self.refusal is not None
            or self.request is not None
            or self.leave != Leave.STAY
        )

    @property
    def waiting(self) -> bool:
        """Tells whether no request is being served: the connection may end without a loss."""
        return self.request is None

    @property
    def idle(self) -> bool:
        """Tells whether nothing of a request has come that would be lost by the end."""
        return self._phase == _HEAD and not self._head_reader.started and not self._ahead

    @property
    def since(self) -> float:
        """When the present phase began, on the clock."""
        return self._since

    def let_go(self) -> None:
        """The connection has ended: breaks what refers to itself."""
        self._head_reader.clear()
        self._phase = _DISCARD

    # What the application does

    def ask_for_body(self) -> None:
        """Begins to read a body in chunks that was held until now.

        Reading chunks takes time, and who has shown no key may send any number of tiny ones.
        """
        self._asked = True
        if self._held:
            held, self._held = b"".join(self._held), []
            self._received_bytes -= len(held)
            self._receive_body(held)

    def take_body(self) -> bytes:
        """All of the body that has come and was not yet taken. Raises `ProtocolError`."""
        self.ask_for_body()
        if self.body_error is not None:
            raise self.body_error
        received = self._received
        if not received:
            return b""
        self._received, self._received_bytes = [], 0
        return received[0] if len(received) == 1 else b"".join(received)

    def await_body(self) -> None:
        """The application waits for more of the body; a client that asked to be told so is."""
        head = self.request
        if head is not None and head.expects_continue and not self._received and not self.answering:
            if self._left or (self._chunks is not None and not self.body_done):
                self.out.append(CONTINUE)
            del head.headers[b"expect"]
        if not self._waits_for_body:
            self._waits_for_body = True  # until all of it is here: a drip buys no time
            self._since = self._clock.now

    def close_after_answer(self) -> None:
        """The connection ends with the answer to this request."""
        self._close_requested = True

    def answer(self, status: int, lines: bytes, body: bytes) -> None:
        """Answers in one piece. `lines` are header lines, each with its CRLF."""
        head = self.request
        if status in _NO_BODY:
            first = self._head_of(status, lines)
        else:
            first = self._head_of(status, b"content-length: %d\r\n%b" % (len(body), lines))
        if body and status not in _NO_BODY and (head is None or head.method != "HEAD"):
            first += body
        self.out.append(first)
        self._finish()

    def begin(
        self, status: int, lines: bytes, length: int | None = None, filler: bytes = b""
    ) -> None:
        """Begins an answer that comes in parts, of `length` bytes if that is known.

        `filler` is a part that means nothing, if the answer's format has such a thing.
        """
        head = self.request
        self._filler = filler
        if length is not None:
            lines = b"content-length: %d\r\n%b" % (length, lines)
        elif head is not None and head.modern:
            self._chunked = True
            lines = b"transfer-encoding: chunked\r\n" + lines
        else:  # it ends with the connection
            self._close_requested = True
        self.out.append(self._head_of(status, lines))

    def write(self, data: bytes) -> None:
        """Sends a part of the answer that was begun."""
        if not data or (self.request is not None and self.request.method == "HEAD"):
            return
        self.out.append(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def end(self) -> None:
        """Ends the answer that was begun."""
        if self._chunked and self.request is not None and self.request.method != "HEAD":
            self.out.append(_LAST_CHUNK)
        self._finish()

    # Inside

    def _receive_head(self, data: bytes) -> None:
        reader = self._head_reader
        continued = reader.started
        try:
            taken = reader.receive(data)
            head = reader.head
            if head is None:
                if not continued and reader.started and self.ended:
                    self._since = self._clock.now  # else its time began with the connection
                return
        except ProtocolError as error:
            self._refuse(error)
            return
        reader.clear()
        self._since = self._clock.now
        self._waits_for_body = self._asked = False
        self._held = []
        self.request = head
        self.body_done, self.body_error = False, None
        self._chunked = self._close_requested = self.answering = False
        rest = data[taken:]
        if not head.length:
            self._complete(rest)
            return
        self._phase = _BODY
        if head.length == CHUNKED:
            self._chunks = ChunkedReader(self._bounds)
        else:
            self._left = head.length
        if rest:
            self._receive_body(rest)

    def _receive_body(self, data: bytes) -> None:
        wanted = self.request is not None
        if self._chunks is not None:
            if not self._asked and wanted and len(data) + self._received_bytes > _UNASKED_BYTES:
                self._held = _with(self._held, data)
                self._received_bytes += len(data)
                return
            try:
                pieces, taken = self._chunks.receive(data)
            except ProtocolError as error:
                # The traceback holds what came: as much as was read, for as long as we linger.
                self.body_error, self._chunks = error.with_traceback(None), None
                self._phase = _DISCARD
                return
            done = self._chunks.done
            # One piece: many small ones would take many times the bytes that are counted.
            piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        else:
            taken = min(self._left, len(data))
            self._left -= taken
            done = not self._left
            piece = data if taken == len(data) else data[:taken]
        if wanted and piece:
            self._received = _with(self._received, piece)
            self._received_bytes += len(piece)
        if done:
            self._chunks = None
            if wanted:
                self._complete(data[taken:])
            else:
                self._next(data[taken:])

    def _complete(self, rest: bytes) -> None:
        """The whole request is here; what follows waits for its answer."""
        self.body_done = True
        self._waits_for_body = False
        self._phase = _AHEAD
        if rest:
            self._ahead.append(rest)
            self._ahead_bytes += len(rest)

    def _head_of(self, status: int, lines: bytes) -> bytes:
        self.answering = True
        head = self.request
        if self._clock.draining or not self._keeps():
            self._close_requested = True  # it was said, so it is done
            lines += b"connection: close\r\n"
        elif head is not None and not head.modern:
            lines += b"connection: keep-alive\r\n"
        return b"%b%b%b\r\n" % (status_line(status), self._clock.date_line, lines)

    def _keeps(self) -> bool:
        """Tells whether another request may follow on this connection."""
        head = self.request
        if head is None or not head.keep_alive or self._close_requested:
            return False
        if self._phase == _AHEAD:
            return not self._eof or self._ahead_bytes > 0
        # A body that nobody took: what little is on its way may still be passed over.
        return (
            self._phase == _BODY
            and self._chunks is None
            and self._left <= self._bounds.skipped_body_bytes
            and self.body_error is None
            and not head.expects_continue
        )

    def _finish(self) -> None:
        keeps = self._keeps()
        refused, self.refusal = self.refusal is not None, None
        self.body_error = None  # raised by now, it holds whoever raised it
        unread = refused or not self.body_done or self._ahead_bytes > 0
        self.request = None
        self.ended = True
        self._ended_at = self._clock.now
        self._received, self._received_bytes, self._held = [], 0, []
        self._since = self._clock.now
        if keeps:
            if self._phase == _AHEAD:
                self._phase = _HEAD
                self._resume()
            return
        self._phase = _DISCARD
        self._ahead, self._ahead_bytes, self._chunks = [], 0, None
        lingers = unread and not self._eof
        self.leave = Leave.LINGER if lingers else Leave.CLOSE

    def _next(self, rest: bytes) -> None:
        """A body that nobody wanted is through."""
        self._phase = _HEAD
        self._since = self._clock.now
        if rest:
            self.receive(rest)

    def _resume(self) -> None:
        """Reads what was held, as far as one request goes."""
        if self._ahead and self._may_write:
            held = self._ahead[0] if len(self._ahead) == 1 else b"".join(self._ahead)
            self._ahead, self._ahead_bytes = [], 0
            self._receive_head(held)
        complete = self.request is not None and self.body_done
        if self._eof and self._may_write and not complete:
            self.eof()  # it came while this was held

    def _refuse(self, error: ProtocolError) -> None:
        self._head_reader.clear()
        self.refusal = error

    def _tick_head(self, waited: float, unsent: int) -> None:
        bounds = self._bounds
        if self._head_reader.started:
            if waited >= bounds.head_seconds and self.refusal is None:
                seconds = f"{bounds.head_seconds:g}"
                error = ProtocolError(
                    f"The request's headers did not arrive within {seconds} s.", status=408
                )
                self._refuse(error)
        elif unsent:
            if waited >= bounds.stall_seconds:
                self.leave = Leave.ABORT
        elif waited >= (bounds.idle_seconds if self.ended else bounds.head_seconds):
            self.leave = Leave.CLOSE

    def _tick_discard(self, waited: float, unsent: int) -> None:
        """Ends a connection that was told to end, when its client does nothing about it."""
        bounds, now = self._bounds, self._clock.now
        if unsent:
            if now - self._ended_at >= bounds.stall_seconds:
                self.leave = Leave.ABORT
        elif now - self._ended_at >= bounds.linger_seconds or waited >= bounds.linger_idle_seconds:
            self.leave = Leave.CLOSE


def _with(parts: list[bytes], data: bytes) -> list[bytes]:
    """Returns `parts` and `data`, joined where they are many: crumbs take up far more than that."""
    parts.append(data)
    return parts if len(parts) <= _PARTS else [b"".join(parts)]
