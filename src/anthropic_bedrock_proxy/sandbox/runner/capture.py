"""The output of a cell: the first of it and the last, in bounded memory. Pure."""

from __future__ import annotations

import codecs


class Capture:
    """Text out of bytes, at most `limit` characters of it: the first 3/4 and the last 1/4.

    Capture(8) of b"0123456789abc" is 012345, a line that says that 5 are left out, and bc.
    """

    def __init__(self, limit: int) -> None:
        self._last_limit = limit // 4
        self._first_limit = limit - self._last_limit
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._first: list[str] = []
        self._first_count = 0
        self._last = ""
        self._count = 0
        self._in_line = False

    def feed(self, data: bytes) -> None:
        """Takes bytes, which may end within a character; what is no UTF-8 is replaced."""
        self.add(self._decoder.decode(data))

    def add(self, text: str) -> None:
        """Takes text."""
        self._count += len(text)
        self._in_line = text[-1] != "\n" if text else self._in_line
        room = self._first_limit - self._first_count
        if room > 0:
            self._first.append(text[:room])
            self._first_count += len(self._first[-1])
            text = text[room:]
        if text and self._last_limit:
            self._last = (self._last + text[-self._last_limit :])[-self._last_limit :]

    def add_line(self, text: str) -> None:
        """Takes text that begins a line; none if it is empty."""
        self.add(self._decoder.decode(b"", final=True))
        self.add("\n" + text if text and self._in_line else text)

    def take(self) -> str:
        """Returns what has been kept, and begins anew."""
        self.add(self._decoder.decode(b"", final=True))
        left_out = self._count - self._first_count - len(self._last)
        between = f"\n[… {left_out} characters left out …]\n" if left_out else ""
        text = "".join([*self._first, between, self._last])
        self._decoder.reset()
        self._first, self._first_count, self._last = [], 0, ""
        self._count, self._in_line = 0, False
        return text
