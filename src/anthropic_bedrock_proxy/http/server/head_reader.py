"""The head of a request while it comes: held, bounded, and refused as soon as it can be none.

However it is cut, a head gives the same result: but for its lines as such, it is judged when all of
it is there (head.py).
"""

from __future__ import annotations

from typing import Final

from .bounds import ConnectionBounds
from .errors import ProtocolError
from .head import (
    Head,
    check_line_ends,
    check_method,
    longest_line,
    parse_head,
    parse_line,
    target_too_long,
)

_END: Final = b"\r\n\r\n"


class HeadReader:
    """Reader of heads, one after the other."""

    __slots__ = ("_bounds", "_held", "_line_checked", "head")

    def __init__(self, bounds: ConnectionBounds) -> None:
        self._bounds = bounds
        self._held = bytearray()  # what has come of a head that has not ended
        self._line_checked = False
        self.head: Head | None = None  # the one that ended last

    @property
    def started(self) -> bool:
        """Tells whether a head has begun, and not ended."""
        return bool(self._held)

    def clear(self) -> None:
        """Forgets what has come of a head."""
        self._held = bytearray()
        self._line_checked = False

    def receive(self, data: bytes) -> int:
        """Takes what belongs to a head and returns how many bytes that was.

        `head` is set if it ended there, else None. Raises `ProtocolError`.
        """
        if not self._held:
            end = data.find(_END)
            if end > 0 and data[0] > 32:  # noqa: PLR2004  # it begins at once, and is all here
                end += len(_END)
                self.head = self._parse(data[:end])
                return end
        return self._receive_part(data)

    def _receive_part(self, data: bytes) -> int:
        self.head = None
        held, skipped = self._held, 0
        before = len(held)
        if not before and data[:1] in (b"\r", b"\n"):
            # Blank lines before a request are to be passed over (RFC 9112 2.2).
            skipped = len(data)
            data = data.lstrip(b"\r\n")
            skipped -= len(data)
        held += data
        end = held.find(_END, max(0, before - len(_END) + 1)) + len(_END)
        if end >= len(_END):
            head = bytes(held[:end])
            self.clear()
            self.head = self._parse(head)
            return skipped + end - before
        if held:
            self._check(held, before)
        return skipped + len(data)

    def _parse(self, head: bytes) -> Head:
        if len(head) > self._bounds.head_bytes:
            self._check(bytearray(head), 0)
        return parse_head(head, self._bounds)

    def _check(self, held: bytearray, begin: int) -> None:
        """Checks what need not wait for the end of the head. What is before `begin` was checked."""
        if not self._line_checked:
            self._check_line(held)
        bound = self._bounds.head_bytes
        new = held[max(0, begin - 1) : bound]
        check_line_ends(new[1:] if begin else new, new.count(b"\r\n"))
        if len(held) > bound:
            raise ProtocolError(f"The request's headers are over {bound} bytes.", status=431)

    def _check_line(self, held: bytearray) -> None:
        longest = longest_line(self._bounds)
        end = held.find(b"\n", 0, longest)
        if end >= 0:
            parse_line(bytes(held[:end]), self._bounds)
            self._line_checked = True
            return
        check_method(held)
        if len(held) >= longest:
            raise target_too_long(self._bounds)
