"""The supervisor's end of a line of JSON lines: to the executor, or to a child.

Nothing here blocks: what a peer does not read yet is kept, up to a bound, and written later.
"""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from typing import Any

from .lines import BadLineError, LineBuffer, encode_line

READ_BYTES = 64 * 1024
MAX_UNREAD_BYTES = 64 * 1024 * 1024


class LineLink:
    """Two descriptors, for reading and for writing, in a selector whose data are callbacks.

    `on_message` gets each message. `on_end` is called once, with a reason if the peer is to blame:
    then this end is closed.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        ends: tuple[int, int],
        on_message: Callable[[dict[str, Any]], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._selector = selector
        self._read_end, self._write_end = ends
        self._on_message = on_message
        self._on_end = on_end
        self._buffer = LineBuffer()
        self._unread = bytearray()
        self.closed = False
        os.set_blocking(self._write_end, False)
        selector.register(self._read_end, selectors.EVENT_READ, self._read)

    @property
    def unread_bytes(self) -> int:
        """The bytes that the peer has not read yet."""
        return len(self._unread)

    def send(self, message: dict[str, Any]) -> None:
        """Writes a message, now or when the peer reads. Raises `BadLineError`."""
        line = encode_line(message)
        if self.closed:
            return
        if len(self._unread) + len(line) > MAX_UNREAD_BYTES:
            self.end("it does not read")
            return
        waits = bool(self._unread)
        self._unread += line
        if not waits:
            self._write()
            if self._unread and not self.closed:
                self._selector.register(self._write_end, selectors.EVENT_WRITE, self._write_more)

    def take(self, data: bytes) -> None:
        """Takes bytes that the peer has written."""
        try:
            messages = self._buffer.feed(data)
        except BadLineError as error:
            self.end(str(error))
            return
        for message in messages:
            if not self.closed:
                self._on_message(message)

    def end(self, reason: str = "") -> None:
        """Closes this end, and tells it."""
        if not self.closed:
            self.close()
            self._on_end(reason)

    def close(self) -> None:
        """Closes this end without a word."""
        if self.closed:
            return
        self.closed = True
        self._selector.unregister(self._read_end)
        if self._write_end in self._selector.get_map():
            self._selector.unregister(self._write_end)
        os.close(self._read_end)
        os.close(self._write_end)

    def _read(self) -> None:
        try:
            data = os.read(self._read_end, READ_BYTES)
        except OSError:  # reset: it is gone
            data = b""
        if data:
            self.take(data)
        else:
            self.end()

    def _write_more(self) -> None:
        self._write()
        if not self._unread and not self.closed:
            self._selector.unregister(self._write_end)

    def _write(self) -> None:
        try:
            with memoryview(self._unread) as view:
                written = os.write(self._write_end, view[: 1024 * 1024])
            del self._unread[:written]
        except BlockingIOError:
            pass
        except OSError:
            self.end()
