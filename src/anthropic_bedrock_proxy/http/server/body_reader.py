r"""The body of a request while it comes: framed, bounded, and held until somebody wants it.

A body has a length or comes in chunks. Bytes of a length are kept as they come. Chunks have to be
read, which takes time, and who has shown no key may send any number of tiny ones: beyond the first
few KiB they are held as they came until the application asks for the body. Once the request is
answered nobody wants the rest; it is counted, and dropped.

    >>> body = BodyReader(ConnectionBounds())
    >>> body.begin(2)
    >>> body.receive(b"{}GET /"), body.done
    (2, True)
    >>> body.take()
    b'{}'
"""

from __future__ import annotations

from typing import Final

from .bounds import ConnectionBounds
from .chunked import ChunkedReader
from .errors import ProtocolError
from .head import CHUNKED

_PARTS: Final = 32  # held one by one; were there more, what holds them would outweigh them
_UNASKED_BYTES: Final = 4096  # of a body in chunks that are read before anybody asks for it


class BodyReader:
    """Reader of the bodies of a connection, one after the other."""

    __slots__ = (
        "_bounds",
        "_chunks",
        "_left",
        "_received",
        "asked",
        "awaited",
        "done",
        "error",
        "held",
        "size",
        "wanted",
    )

    def __init__(self, bounds: ConnectionBounds) -> None:
        self._bounds = bounds
        self._chunks: ChunkedReader | None = None
        self._left = 0  # bytes of a body with a length that are still to come
        self._received: list[bytes] = []  # not yet taken
        self.asked = False  # the application wants the body
        self.awaited = False  # the application waits for it
        self.done = False  # it has come to its end
        self.error: ProtocolError | None = None  # why it never will
        self.held: list[bytes] = []  # chunks that nobody has asked for
        self.size = 0  # bytes received and held
        self.wanted = False  # its request has not been answered

    def begin(self, length: int) -> None:
        """Begins the body of another request, of `length` bytes or `CHUNKED`."""
        self.done = not length
        self.asked = self.awaited = False
        self.wanted = True
        if length == CHUNKED:
            self._chunks = ChunkedReader(self._bounds)
        else:
            self._left = length

    def receive(self, data: bytes) -> int:
        """Takes what belongs to the body and returns how many bytes that was.

        `done` is set if it ended there. Raises `ProtocolError`.
        """
        chunks = self._chunks
        if chunks is None:
            size = len(data)
            if size < self._left:
                self._left -= size
                taken, piece = size, data
            else:
                taken, self._left, self.done = self._left, 0, True
                piece = data if taken == size else data[:taken]
        else:
            if not self.asked and len(data) + self.size > _UNASKED_BYTES:
                self.held = with_part(self.held, data)
                self.size += len(data)
                return len(data)
            pieces, taken = chunks.receive(data)
            self.done = chunks.done
            # One piece: many small ones would take many times the bytes that are counted.
            piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self.wanted and piece:
            self._received = with_part(self._received, piece)
            self.size += len(piece)
        return taken

    def fail(self, error: ProtocolError) -> None:
        """Ends a body whose chunks are broken: what comes belongs to nothing any more."""
        self.error = error
        self._chunks = None

    def release(self) -> bytes:
        """Returns what was held, to be received once more."""
        held, self.held = b"".join(self.held), []
        self.size -= len(held)
        return held

    def take(self) -> bytes:
        """Returns all that has come and was not yet taken. Raises `ProtocolError`."""
        if self.error is not None:
            raise self.error
        received = self._received
        if not received:
            return b""
        self._received, self.size = [], 0
        return received[0] if len(received) == 1 else b"".join(received)

    def drop(self) -> None:
        """Forgets what has come: nobody wants the body any more."""
        self.wanted = False
        self.error = None  # raised by now, it holds whoever raised it
        self._received, self.size, self.held = [], 0, []
        self._chunks = None  # nobody passes over chunks: what follows them may be anything

    @property
    def here(self) -> bool:
        """Tells whether some of it can be taken."""
        return bool(self._received)

    @property
    def short(self) -> bool:
        """Tells whether so little is to come that it may be passed over, to keep the connection."""
        return (
            self._chunks is None
            and self._left <= self._bounds.skipped_body_bytes
            and self.error is None
        )


def with_part(parts: list[bytes], data: bytes) -> list[bytes]:
    """Returns `parts` and `data`, joined where they are many: crumbs take up far more than that."""
    parts.append(data)
    return parts if len(parts) <= _PARTS else [b"".join(parts)]
