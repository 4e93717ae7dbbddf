r"""A body in chunks (RFC 9112 7.1): from bytes to the data in them, and where it ends.

Extensions and trailers are checked, counted and forgotten: nothing of them reaches the
application, so that no trailer can pass for a header.

    >>> reader = ChunkedReader(ConnectionBounds())
    >>> reader.receive(b"2\r\n{}\r\n0\r\n\r\nGET /")
    ([b'{}'], 12)
    >>> reader.done
    True
"""

from __future__ import annotations

import re
from typing import Final

from .bounds import ConnectionBounds
from .errors import ProtocolError

# A size of over 15 digits is over 64 bits. No control character but a tab, so no bare CR.
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t -~\x80-\xff]*)?")
_TRAILER: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*")
# The line of a size that is too short to count for the bound, whatever it says.
_SHORT: Final = re.compile(rb"(?=.{1,18}\r\n)([0-9A-Fa-f]{1,15})(?:;[\t -~\x80-\xff]*)?\r\n")
_SIZE_LINE_BYTES: Final = 20  # what a size without an extension may take, its line end included


class ChunkedReader:
    """Reader of one body; `done` tells whether it has ended."""

    __slots__ = ("_bounds", "_in_trailers", "_left", "_line", "_spare", "done")

    def __init__(self, bounds: ConnectionBounds) -> None:
        self._bounds = bounds
        self._spare = bounds.framing_bytes
        self._left = -1  # bytes until the CRLF behind a chunk, that included; -1: between chunks
        self._line = b""  # the beginning of a line that is still coming
        self._in_trailers = False
        self.done = False

    def receive(self, data: bytes) -> tuple[list[bytes], int]:
        """Returns the pieces that came, and how many bytes of `data` belong to the body.

        Raises `ProtocolError`.
        """
        pieces: list[bytes] = []
        position, size = self._take_whole(data, pieces), len(data)
        while position < size and not self.done:
            if self._left > 2:  # noqa: PLR2004  # CRLF
                taken = min(self._left - 2, size - position)
                pieces.append(data[position : position + taken])
                self._left -= taken
                position += taken
            elif self._left > 0:
                expected = b"\r" if self._left == 2 else b"\n"  # noqa: PLR2004
                if data[position : position + 1] != expected:
                    raise ProtocolError("A chunk of the request body is longer than it says.")
                self._left = self._left - 1 or -1
                position += 1
                if self._left < 0:
                    position = self._take_whole(data, pieces, position)
            else:
                position = self._take_line(data, position)
        return pieces, position

    def _take_whole(self, data: bytes, pieces: list[bytes], position: int = 0) -> int:
        """Reads chunks that are here whole, with short lines before them; returns where they end.

        Clients may send a body in chunks of a byte: this is what makes that cheap.
        """
        if self._left > 0 or self._line or self._in_trailers:
            return position
        line = _SHORT.match
        while match := line(data, position):
            begin = match.end()
            end = begin + int(match[1], 16)
            if end == begin or data[end : end + 2] != b"\r\n":
                break
            pieces.append(data[begin:end])
            position = end + 2
        return position

    def _take_line(self, data: bytes, position: int) -> int:
        """Reads a line as far as it is there; returns where it ends."""
        end = data.find(b"\n", position)
        if end < 0:
            self._line += data[position:]
            self._spend(len(self._line) - _SIZE_LINE_BYTES, keep=True)
            return len(data)
        line = self._line + data[position : end + 1]
        self._line = b""
        self._spend(len(line) - (0 if self._in_trailers else _SIZE_LINE_BYTES))
        if not line.endswith(b"\r\n"):
            raise ProtocolError("A line between the chunks of the body does not end in CRLF.")
        if self._in_trailers:
            self._on_trailer(line[:-2])
        else:
            self._on_size(line[:-2])
        return end + 1

    def _on_size(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise ProtocolError("The size of a chunk of the request body is no hexadecimal number.")
        length = int(match[1], 16)
        if length:
            self._left = length + 2
        else:
            self._in_trailers = True

    def _on_trailer(self, line: bytes) -> None:
        if not line:
            self.done = True
        elif not _TRAILER.fullmatch(line):
            raise ProtocolError("A trailer of the request body is not valid HTTP/1.1.")

    def _spend(self, count: int, *, keep: bool = False) -> None:
        """Counts what is neither data nor needed to frame it; `keep` only looks."""
        left = self._spare - max(0, count)
        if left < 0:
            bound = self._bounds.framing_bytes
            raise ProtocolError(
                f"Chunk extensions and trailers are over {bound} bytes.", status=431
            )
        if not keep:
            self._spare = left
