"""The cells of a container that have not ended: bounded in number and in bytes, with all others'.

A cell may be as large as a body, so the number alone would let clients fill the memory. A first
cell always has room in its container; and at the executor, unless many containers have large ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from ..base import Cell
from ..wire import MAX_BODY_BYTES
from .cell_run import CellRun

MAX_QUEUE: Final = 32
MAX_QUEUE_BYTES: Final = MAX_BODY_BYTES  # of a container
MAX_QUEUED_BYTES: Final = 512 * 1024 * 1024  # of an executor: more than one API key's containers


class Job:
    """A cell that has not ended."""

    def __init__(self, name: str, cell: Cell, uploads: Sequence[str]) -> None:
        self.name = name
        self.cell = cell
        self.uploads = uploads
        self.run: CellRun | None = None
        self.size = _size(cell)


class QueuedBytes:
    """The bytes of the cells in all queues of an executor."""

    def __init__(self, most: int = MAX_QUEUED_BYTES) -> None:
        self.most = most
        self.total = 0


class CellQueue:
    """The cells of one container, in order of arrival."""

    def __init__(self, all_queued: QueuedBytes) -> None:
        self._all = all_queued
        self._jobs: deque[Job] = deque()
        self._bytes = 0

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._jobs))

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def first(self) -> Job:
        """Returns the one that runs."""
        return self._jobs[0]

    def add(self, job: Job) -> bool:
        """Appends a cell; False if there is no room for it."""
        if (
            len(self._jobs) >= MAX_QUEUE
            or (self._jobs and self._bytes + job.size > MAX_QUEUE_BYTES)
            or self._all.total + job.size > self._all.most
        ):
            return False
        self._jobs.append(job)
        self._count(job.size)
        return True

    def remove_first(self) -> None:
        """Removes the one that has ended."""
        self._count(-self._jobs.popleft().size)

    def clear(self) -> None:
        """Removes all."""
        self._jobs.clear()
        self._count(-self._bytes)

    def _count(self, size: int) -> None:
        self._bytes += size
        self._all.total += size


def _size(cell: Cell) -> int:
    try:
        return len(msgspec.json.encode(cell))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return 0  # it cannot be sent, and will be told so
