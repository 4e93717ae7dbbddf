r"""One connection with a client: bytes and ticks in, actions out. No I/O, no clock, no tasks.

Theory of operation. Requests are served one at a time, in order; how they are read, and the four
phases of that, is in request_reader.py. This file answers them, and ends the connection.

Inputs are `receive`, `eof`, `tick`, `allow_writing` and the methods of the answer (`answer`, or
`begin`, `write`, `end`). After each of them the owner looks at what is to be done:

    out       bytes for the client, in order; take them all
    request   a head to be served, until its answer has ended
    refusal   an error to be answered by `answer`, after which the connection ends
    leave     STAY, CLOSE (behind what was written), LINGER (end writing, discard what comes until
              the client has read its answer: closing at once would reset the connection and lose
              it), or ABORT
    reading   whether more bytes are wanted

A state is a phase and what is waited for in it. Each has its time, and its end:

    Phase     waits for                   at most                    then
    HEAD      its first byte              idle_seconds (the first:   CLOSE
                                          head_seconds)
    HEAD      its last byte               head_seconds               refusal (408)
    BODY      the client, for the         body_seconds               body.error
              application
    BODY      the end of one nobody       body_seconds               ABORT
              wants
    BODY      the application             as it likes                its answer: HEAD, or DISCARD
    AHEAD     the application             as it likes                its answer: HEAD, or DISCARD
    DISCARD   the client's FIN            linger_seconds, or         CLOSE
                                          linger_idle_seconds of
                                          silence
    HEAD,     the client to take its      stall_seconds              ABORT
    DISCARD   last answer

A client that leaves and one that only ends its side of the connection look the same: FIN. `probe`
tells them apart by a 100 Continue, which every client of HTTP/1.1 has to pass over, or a part of
the answer that means nothing (in server-sent events, a comment): who has left answers with a reset
(the owner sees it), who still reads gets the answer.

    >>> connection = Connection(ConnectionBounds(), Clock())
    >>> connection.receive(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    >>> connection.request.path, connection.reading
    ('/health', True)
    >>> connection.answer(200, b"", b"{}")
    >>> b"".join(connection.out)
    b'HTTP/1.1 200 OK\r\ndate: \r\ncontent-length: 2\r\n\r\n{}'
    >>> connection.request, connection.leave == Leave.STAY
    (None, True)
"""

from __future__ import annotations

from typing import Final

from .bounds import ConnectionBounds
from .clock import Clock
from .errors import BodyTooSlowError, ProtocolError
from .phrases import status_line
from .request_reader import AHEAD, BODY, CONTINUE, DISCARD, HEAD, Leave, RequestReader

_LAST_CHUNK: Final = b"0\r\n\r\n"
_NO_BODY: Final = (204, 304)


class Connection(RequestReader):
    """One connection: the requests of a client, and their answers."""

    __slots__ = ("_chunked", "_close_requested", "_ended_at", "_filler")

    def __init__(self, bounds: ConnectionBounds, clock: Clock) -> None:
        super().__init__(bounds, clock)
        self._filler = b""
        self._chunked = False  # the answer goes out in chunks
        self._close_requested = False  # by the application
        self._ended_at = 0.0  # of the last answer

    # The answer

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
        self._finish(not self._close_requested)

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
        self._finish(self._keeps())

    def close_after_answer(self) -> None:
        """Ends the connection with the answer to this request."""
        self._close_requested = True

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
        if self._phase == AHEAD:
            return not self._eof or self._ahead_bytes > 0
        # A body that nobody took: what little is on its way may still be passed over.
        return self._phase == BODY and self.body.short and not head.expects_continue

    def _finish(self, keeps: bool) -> None:
        refused, self.refusal = self.refusal is not None, None
        unread = refused or not self.body.done or self._ahead_bytes > 0
        self.request = None
        self.body.drop()
        self._chunked = self._close_requested = self.answering = False
        self.ended = True
        self._ended_at = self._since = self._clock.now
        if not keeps:
            self._phase = DISCARD
            self._ahead, self._ahead_bytes = [], 0
            self.leave = Leave.LINGER if unread and not self._eof else Leave.CLOSE
        elif self._phase == AHEAD:
            self._phase = HEAD
            if self._ahead or self._eof:
                self._resume()

    # The end

    @property
    def busy(self) -> bool:
        """Tells whether there is anything to be done (see above)."""
        return bool(
            self.out
            or self.refusal is not None
            or self.request is not None
            or self.leave != Leave.STAY
        )

    def probe(self) -> bool:
        """Writes what a client that still reads passes over; tells whether there is such a thing.

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

    def tick(self, *, unsent: int) -> None:
        """Looks at the clock. `unsent` are the bytes that the transport still holds."""
        bounds, waited = self._bounds, self._clock.now - self._since
        if self._phase == HEAD:
            self._tick_head(waited, unsent)
        elif self._phase == BODY:
            if self.request is None:
                if waited >= bounds.body_seconds:
                    self.leave = Leave.ABORT
            elif self.body.awaited and waited >= bounds.body_seconds:
                self.body.error = BodyTooSlowError(bounds.body_seconds)
        elif self._phase == DISCARD and self.request is None:
            self._tick_discard(waited, unsent)

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
