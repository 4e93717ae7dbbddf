"""The pipes through which children write: read always, kept in bounds."""

from __future__ import annotations

import os
import selectors

from .capture import Capture

READ_BYTES = 64 * 1024
# A pipe holds 64 KiB, and 1 MiB at most if the code makes it larger: what was written before a cell
# has ended is within this. More of it is from what still writes, which no end waits for.
_DRAIN_BYTES = 1024 * 1024 + READ_BYTES


class OutputPipes:
    """Standard output and error of all cells of one kind.

    They outlive the cell: what a thread or a program in the background writes later is found in the
    next cell of its kind, and nothing dies of a pipe that nobody reads.
    """

    def __init__(self, selector: selectors.BaseSelector, max_output: int) -> None:
        self._selector = selector
        self._captures: dict[int, Capture] = {}
        self.write_ends = (self._open(max_output), self._open(max_output))

    def take(self, remark: str = "") -> tuple[str, str]:
        """Returns what was written until now on both; lines of a remark end the second."""
        for read_end in self._captures:
            left = _DRAIN_BYTES
            while left > 0 and (count := self._read(read_end)):
                left -= count
        out, err = self._captures.values()
        err.add_line(remark)
        return out.take(), err.take()

    def close(self) -> None:
        """Closes the pipes; who writes yet is told by a signal."""
        for read_end in self._captures:
            self._selector.unregister(read_end)
            os.close(read_end)
        for write_end in self.write_ends:
            os.close(write_end)

    def _open(self, max_output: int) -> int:
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        self._captures[read_end] = Capture(max_output)
        self._selector.register(read_end, selectors.EVENT_READ, lambda: self._read(read_end))
        return write_end

    def _read(self, read_end: int) -> int:
        try:
            data = os.read(read_end, READ_BYTES)
        except BlockingIOError:
            return 0
        self._captures[read_end].feed(data)
        return len(data)
