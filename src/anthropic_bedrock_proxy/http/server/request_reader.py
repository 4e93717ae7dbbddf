r"""The requests of one connection: bytes in, heads and bodies out, one request at a time.

Theory of operation. Every byte that comes belongs to the phase that reading is in:

    Phase    whose bytes come                 the next phase                  reading pauses
    HEAD     the next request's head          BODY, or AHEAD: it has no body  for a deaf client
    BODY     the body of the request; if      AHEAD behind its last byte;     over what may wait
             that was answered, the rest of   HEAD if nobody wants it;        for the application
             it, which nobody wants           DISCARD if its chunks are bad
    AHEAD    further requests: held, unread   HEAD with the answer's end      over what may be held
    DISCARD  nobody: they are thrown away     none                            never

A deaf client is one that does not take what is written: its further requests wait, too. From each
phase an answer that ends the connection leads to DISCARD. Answers and ends are in connection.py,
which is built upon this file; this file knows nothing of it.

    >>> requests = RequestReader(ConnectionBounds(), Clock())
    >>> requests.receive(b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
    >>> requests.request.path, requests.body.done
    ('/a', False)
    >>> requests.receive(b"}GET /b HTTP/1.1\r\n")  # of the second request nothing is looked at
    >>> requests.body.take(), requests.body.done, requests.idle
    (b'{}', True, False)
"""

from __future__ import annotations

from typing import Final

from .body_reader import BodyReader, with_part
from .bounds import ConnectionBounds
from .clock import Clock
from .errors import ProtocolError
from .head import Head
from .head_reader import HeadReader

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
# The phases. Not an Enum: its members are slow to look up in Python 3.11.
HEAD, BODY, AHEAD, DISCARD = range(4)


class Leave:
    """Ends that a connection may come to: see connection.py. No Enum, for the same reason."""

    STAY, CLOSE, LINGER, ABORT = range(4)


class RequestReader:
    """Reader of the requests of one client."""

    __slots__ = (
        "_ahead",
        "_ahead_bytes",
        "_bounds",
        "_clock",
        "_eof",
        "_head_reader",
        "_may_write",
        "_phase",
        "_since",
        "answering",
        "body",
        "ended",
        "leave",
        "out",
        "refusal",
        "request",
    )

    def __init__(self, bounds: ConnectionBounds, clock: Clock) -> None:
        self._bounds = bounds
        self._clock = clock
        self._phase = HEAD
        self._since = clock.now  # of the phase, or of what is waited for in it
        self._head_reader = HeadReader(bounds)
        self._ahead: list[bytes] = []
        self._ahead_bytes = 0
        self._eof = False
        self._may_write = True
        self.body = BodyReader(bounds)
        self.request: Head | None = None
        self.refusal: ProtocolError | None = None
        self.out: list[bytes] = []
        self.leave = Leave.STAY
        self.answering = False  # the answer's head has been written
        self.ended = False  # at least one answer has been written to its end

    def receive(self, data: bytes) -> None:
        """Takes bytes as the network gave them."""
        phase = self._phase
        if phase == HEAD and self._may_write and self.refusal is None:
            self._receive_head(data)
        elif phase == BODY:
            self._receive_body(data)
        elif phase != DISCARD:
            self._ahead_bytes += len(data)
            self._ahead = with_part(self._ahead, data)
        elif self.leave == Leave.LINGER:
            self._since = self._clock.now

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
        self.request = head
        self.body.begin(head.length)
        if not head.length:
            self._end_body(data[taken:])
            return
        self._phase = BODY
        rest = data[taken:]
        if rest:
            self._receive_body(rest)

    def _receive_body(self, data: bytes) -> None:
        body = self.body
        try:
            taken = body.receive(data)
        except ProtocolError as error:
            # The traceback holds what came: as much as was read, for as long as we linger.
            body.fail(error.with_traceback(None))
            self._phase = DISCARD
            return
        if body.done:
            self._end_body(data[taken:])

    def _end_body(self, rest: bytes) -> None:
        """Goes on behind a body: `rest` waits for the answer, or is the next request at once."""
        if self.request is None:  # nobody wanted the body
            self._phase = HEAD
            self._since = self._clock.now
            if rest:
                self.receive(rest)
            return
        self._phase = AHEAD
        if rest:
            self._ahead.append(rest)
            self._ahead_bytes += len(rest)

    def _resume(self) -> None:
        """Reads what was held, as far as one request goes."""
        if self._ahead and self._may_write:
            held = self._ahead[0] if len(self._ahead) == 1 else b"".join(self._ahead)
            self._ahead, self._ahead_bytes = [], 0
            self._receive_head(held)
        complete = self.request is not None and self.body.done
        if self._eof and self._may_write and not complete:
            self.eof()  # it came while this was held

    def _refuse(self, error: ProtocolError) -> None:
        self._head_reader.clear()
        self.refusal = error

    def eof(self) -> None:
        """Takes the end of what the client sends; it may still read."""
        self._eof = True
        self.ask_for_body()
        if self.request is not None and not self._bounds.half_closed:
            self.leave = Leave.ABORT
        elif self._phase == DISCARD:
            if self.request is None:  # else its answer ends the connection
                self.leave = Leave.CLOSE
        elif self._phase == BODY:
            if self.request is None:  # a body nobody wants
                self.leave = Leave.CLOSE
            else:
                self.body.error = ProtocolError("The connection ended before the request's body.")
        elif self._phase == HEAD and not self._ahead:
            if self._head_reader.started:
                self._refuse(ProtocolError("The connection ended before the request's headers."))
            else:
                self.leave = Leave.CLOSE

    def allow_writing(self, allowed: bool) -> None:
        """Tells whether the client takes what is written; else further requests wait."""
        self._may_write = allowed
        if allowed and self._phase == HEAD:
            self._resume()

    def ask_for_body(self) -> None:
        """Begins to read a body in chunks that was held until now."""
        body = self.body
        body.asked = True
        if body.held:
            self._receive_body(body.release())

    def await_body(self) -> None:
        """Waits for more of the body; a client that asked to be told so is."""
        head, body = self.request, self.body
        if head is not None and head.expects_continue and not body.here and not self.answering:
            if not body.done:
                self.out.append(CONTINUE)
            del head.headers[b"expect"]
        if not body.awaited:
            body.awaited = True  # until all of it is here: a drip buys no time
            self._since = self._clock.now

    def let_go(self) -> None:
        """Ends reading, and breaks what refers to itself."""
        self._head_reader.clear()
        self._phase = DISCARD

    @property
    def reading(self) -> bool:
        """Tells whether more bytes are wanted."""
        if self._eof:
            return False
        if self._phase == BODY:
            return self.request is None or self.body.size < self._bounds.unread_body_bytes
        if not self._may_write and self._phase != DISCARD:
            return False  # who does not read need not be read
        return self._ahead_bytes < self._bounds.ahead_bytes

    @property
    def waiting(self) -> bool:
        """Tells whether no request is being served: the connection may end without a loss."""
        return self.request is None

    @property
    def idle(self) -> bool:
        """Tells whether nothing of a request has come that would be lost by the end."""
        return self._phase == HEAD and not self._head_reader.started and not self._ahead

    @property
    def since(self) -> float:
        """Returns when the present phase began, on the clock."""
        return self._since
