"""One file of the usage journal: lines of JSON, locked for as long as its owner lives.

The kernel drops the lock when the owner dies, however it dies; that is how an orphan is known.
Whoever holds the lock may read the file, deliver it and delete it, and nobody else may. A lock is
on the open file, not on its name, so after taking one it is checked that the name still leads
there: another process may have delivered and deleted the file in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
from itertools import islice
from pathlib import Path
from secrets import token_hex

import msgspec

from .base import UsageLog
from .records import UsageRecord

BATCH = 500  # records per append to the store: one transaction of a few milliseconds
_decode = msgspec.json.Decoder(UsageRecord).decode


def decode(lines: list[bytes]) -> tuple[list[UsageRecord], list[bytes]]:
    """The records in `lines`, and the lines that hold none."""
    records: list[UsageRecord] = []
    corrupt: list[bytes] = []
    for line in lines:
        try:
            records.append(_decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            corrupt.append(line)
    return records, corrupt


class Segment:
    """An open, locked file. `pid` is the process that opened it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.pid = os.getpid()
        self.torn = False
        self.corrupt: list[bytes] = []
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor
        self._delivered = 0  # bytes that the log has taken

    @classmethod
    def create(cls, directory: Path) -> Segment:
        """A new file of this process. Raises `OSError`."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        while True:
            path = directory / f"usage-{os.getpid()}-{token_hex(8)}.jsonl"
            if segment := cls._lock(path, os.open(path, flags, 0o600)):
                return segment
            # Another process took the empty file for an orphan's between its creation and its lock.

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """The file of a dead process; None if its owner lives. Raises `OSError`."""
        return cls._lock(path, os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC))

    @classmethod
    def _lock(cls, path: Path, descriptor: int) -> Segment | None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return cls(path, descriptor)
        except BlockingIOError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def append(self, line: bytes) -> None:
        """Writes one line, in one call.

        Raises `OSError`; the file is then as it was, unless `torn` says that it ends in half a
        line.
        """
        written = os.write(self._descriptor, line)
        if written != len(line):
            self.torn = True
            os.ftruncate(self._descriptor, self.size)
            self.torn = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += written

    async def deliver(self, log: UsageLog) -> int:
        """Appends what was not delivered yet to `log`; returns how many records.

        Goes on where it stopped if it is called again after a `StoreError`. Raises `OSError`.
        """
        delivered = 0
        while lines := self._next_lines():
            records, corrupt = decode(lines)
            if records:
                await log.append(records)
            self._delivered += sum(map(len, lines))
            self.corrupt += corrupt
            delivered += len(records)
            # A store that answers without waiting would keep every other task waiting.
            await asyncio.sleep(0)
        return delivered

    def _next_lines(self) -> list[bytes]:
        with open(self._descriptor, "rb", closefd=False) as file:
            file.seek(self._delivered)
            return list(islice(file, BATCH))

    def discard(self) -> None:
        """Deletes the delivered file, its corrupt lines kept aside. Raises `OSError`."""
        if self.corrupt:
            aside = self.path.with_suffix(".jsonl.corrupt")
            aside.touch(mode=0o600)
            aside.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for line in self.corrupt))
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def close(self) -> None:
        """Lets go of the lock: a file still there is an orphan now."""
        os.close(self._descriptor)
