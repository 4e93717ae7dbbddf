"""One file of the usage journal: lines of JSON, locked for as long as its owner lives.

Theory of operation:
- The kernel drops the lock when the owner dies, however it dies: an unlocked file is an orphan.
  Whoever holds the lock may read the file, deliver it and delete it, and nobody else may. A lock is
  on the open file, not on its name, so after taking one `_lock` checks that the name still leads
  there: another process may have delivered and deleted the file in between.
- A file is always cut into the same batches of 500 lines, and a batch is numbered by the number of
  its file and its offset there. So a batch that is delivered once more, by whomever, is the same.
- What was never tried may be several batches at once (`UsageBatch.through`), if the store takes
  that; what was tried comes again one by one, since some of it may have arrived.
- A line begins with the CRC-32 of the rest, as one more member of its JSON: a flipped bit may leave
  valid JSON with another price in it. The version before wrote lines that begin with `{"id":`, and
  reads ours, as it skips members that it does not know.

Example: writer a1 writes 1200 records of 140 bytes.

    usage-a1-00000001-bd71bc53.jsonl    writer, number, and a random part
    {"crc":"cd19a7d3","id":"r00001","key_id":"key_a",...}

    batch   lines         number                   through
    1       0 to 499      1 * 2**36 + 0            the same
    2       500 to 999    1 * 2**36 + 70000        the same
    3       1000 to 1199  1 * 2**36 + 140000       the same

A store with `batches_at_once` of 4 gets all three as one: number 2**36, through 2**36 + 140000.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import re
from collections import Counter
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple
from zlib import crc32

import msgspec

from .base.ledger import Account
from .base.usage import UsageBatch, UsageLog, UsageRecord
from .totals import spending_of

# Records of a batch: one transaction of a few milliseconds. Stores know a batch by where it begins,
# so a file that was delivered in part must go on in the same steps, also with another version. What
# is delivered for the first time may be several of them at once (`UsageBatch.through`).
BATCH = 500
_CLOSED = -1
_LARGEST = 2**36  # bytes of a segment: the numbers of its batches end before those of the next
_NAME = re.compile(r"usage-(?P<writer>.+)-(?P<number>\d+)-[0-9a-f]+\.jsonl")
_decode = msgspec.json.Decoder(UsageRecord).decode
_encode = msgspec.json.Encoder().encode
_CHECKED = b'{"crc":"%08x",%b'
_LINE = _CHECKED + b"\n"
_CHECKED_HEAD = len(b'{"crc":"01234567",')
_UNCHECKED = b'{"id":'


class Name(NamedTuple):
    """The writer and number in a segment's name, by which segments are delivered in order."""

    writer: str
    number: int  # grows within a writer

    @classmethod
    def of(cls, path: Path) -> Name:
        """Reads a file's name; one of another form is a writer with one segment."""
        found = _NAME.fullmatch(path.name)
        return cls(found["writer"], int(found["number"])) if found else cls(path.stem, 1)


def encode(record: UsageRecord) -> bytes:
    """Returns the line of a record, with its newline."""
    rest = _encode(record)[1:]
    return _LINE % (crc32(rest), rest)


def decode(lines: list[bytes]) -> tuple[list[UsageRecord], list[bytes]]:
    """Decodes lines; returns (records, lines that hold no record or fail their checksum)."""
    records: list[UsageRecord] = []
    corrupt: list[bytes] = []
    for line in lines:
        try:
            if not line.startswith(_UNCHECKED):
                rest = line[_CHECKED_HEAD:].rstrip(b"\n")  # the end of the last may be missing
                if line.rstrip(b"\n") != _CHECKED % (crc32(rest), rest):
                    corrupt.append(line)
                    continue
            records.append(_decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            corrupt.append(line)
    return records, corrupt


class Lines:
    """Lines that the disk refused, in memory, on their way to the usage log."""

    def __init__(self, name: Name, lines: list[bytes]) -> None:
        self.name = name
        self.corrupt: list[bytes] = []
        self.lines = lines
        self.taken = 0  # bytes that the usage log has taken
        self.tried = 0  # bytes that were sent, of which the log may have taken some
        self.left_alone = False  # it cannot be read: kept for the next start

    async def deliver(self, log: UsageLog) -> int:
        """Appends what was not delivered yet to `log`; returns how many records.

        Goes on where it stopped if it is called again after a `StoreError`. Raises `OSError`.
        """
        delivered = 0
        # See above for what comes at once.
        while lines := self._next_lines(BATCH * (log.batches_at_once if self._fresh else 1)):
            records: list[UsageRecord] = []
            corrupt: list[bytes] = []
            number = through = self.name.number * _LARGEST + self.taken
            end = self.taken
            for start in range(0, len(lines), BATCH):
                through = number + end - self.taken
                batch = lines[start : start + BATCH]
                found = decode(batch)
                records += found[0]
                corrupt += found[1]
                end += sum(map(len, batch))
                # Decoding and a store that answers at once must not keep every other task waiting.
                await asyncio.sleep(0)
            if records:
                last = through if self._fresh else None
                self.tried = max(self.tried, end)
                await log.append(UsageBatch(tuple(records), self.name.writer, number, last))
            self.taken = end
            self.corrupt += corrupt
            delivered += len(records)
        return delivered

    @property
    def _fresh(self) -> bool:
        """Tells whether the next batch was never sent."""
        return self.taken >= self.tried

    def _next_lines(self, most: int) -> list[bytes]:
        lines, before = iter(self.lines), 0
        while before < self.taken:
            before += len(next(lines))
        return list(islice(lines, most))

    def save(self, directory: Path) -> Segment:
        """Copies the lines to a file that goes on where delivery stopped. Raises `OSError`."""
        segment = Segment.create(directory, self.name)
        try:
            segment.append(b"".join(self.lines))
        except OSError:
            segment.discard()
            segment.close()
            raise
        segment.taken, segment.tried, segment.corrupt = self.taken, self.tried, self.corrupt
        return segment

    def discard(self) -> None:
        """Does nothing: there is nothing to delete."""

    def close(self) -> None:
        """Does nothing: there is nothing to let go of."""


class Segment(Lines):
    """An open, locked file."""

    def __init__(self, path: Path, descriptor: int) -> None:
        super().__init__(Name.of(path), [])
        self.path = path
        self.torn = False
        self.size = os.fstat(descriptor).st_size
        self.costs: Counter[Account] | None = None  # of undelivered records: `sum_up`
        self._descriptor = descriptor

    @classmethod
    def create(cls, directory: Path, name: Name) -> Segment:
        """Creates a new file of this process. Raises `OSError`."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        while True:
            path = directory / f"usage-{name.writer}-{name.number:08}-{token_hex(4)}.jsonl"
            if segment := cls._lock(path, os.open(path, flags, 0o600)):
                return segment
            # Another process took the empty file for an orphan's between its creation and its lock.

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """Takes over the file of a dead process; None if its owner lives. Raises `OSError`."""
        segment = cls._lock(path, os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC))
        if segment is not None:
            segment.tried = segment.size  # its owner may have sent all of it
        return segment

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

    def _next_lines(self, most: int) -> list[bytes]:
        return self._lines_from(self.taken, most)

    def _lines_from(self, offset: int, most: int) -> list[bytes]:
        with open(self._descriptor, "rb", closefd=False) as file:
            file.seek(offset)
            return list(islice(file, most))

    async def sum_up(self) -> None:
        """Sums the costs of the undelivered records in `costs`, once; a part if reading fails."""
        if self.costs is not None:
            return
        costs: Counter[Account] = Counter()
        offset = self.taken
        with contextlib.suppress(OSError):
            while self._descriptor != _CLOSED and (lines := self._lines_from(offset, BATCH)):
                costs.update(spending_of(decode(lines)[0]))
                offset += sum(map(len, lines))
                await asyncio.sleep(0)  # or a large file would keep every other task waiting
        if self.costs is None:  # it may have been delivered meanwhile
            self.costs = costs

    def discard(self) -> None:
        """Deletes the delivered file, its corrupt lines kept aside. Raises `OSError`."""
        if self.corrupt:
            aside = self.path.with_suffix(".jsonl.corrupt")
            aside.touch(mode=0o600)
            aside.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for line in self.corrupt))
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def close(self) -> None:
        """Unlocks the file; if it is still there, it is an orphan now."""
        descriptor, self._descriptor = self._descriptor, _CLOSED
        os.close(descriptor)
