"""The file that the processes of a machine count in: mapped into each, used by one at a time.

Theory of operation: four tables of fixed size, little-endian, behind a header of 64 bytes.

    holders   128 rows      name 16 B | lives until 8 B
    buckets   65 536 rows   key 16 B | level 8 B | moment of the level 8 B | full at 8 B
    slots     8192 rows     key 16 B
    counts    8192 x 128    2 B each: how many of a slot a holder has

- A key is in one of the 16 rows from where its first four bytes point, so rows are found, made and
  given up without moving others. The row of a full bucket is free; so is a slot that nobody holds.
  Without a free row, the bucket that is nearest to full is forgotten (it begins full again).
- A holder is a process. It renews its row every 15 s; 45 s without that and its slots are freed.
- The kernel releases a dead process's lock. What it left half written is one row with numbers that
  do not fit together; they drain, lapse or are overwritten like any others.
- Times are microseconds of the wall clock.

Example: the key 2a 00 01 00 ... points to row 0x1002a % 65 536 = 42 of the buckets; rows 42 to 57
are looked at.

    row 42   another key, full at 12:00:20
    row 43   another key, full at 12:00:05
    ...      (42 to 57 are all taken by other keys)

At 12:00:10 the bucket of row 43 has long been full, so the key gets row 43, with level 0.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import time
from functools import partial
from pathlib import Path
from secrets import token_hex
from struct import Struct
from weakref import WeakSet

MAGIC = b"abp limits 1\n\0\0\0"  # another layout gets another number, and select.py another name
BUCKETS, HOLDERS, SLOTS = 65_536, 128, 8192
NEIGHBOURS = 16  # rows that a key may be in
MOST_HELD = 65_535
LAPSE_US = 45_000_000
_WAIT_SECONDS = 0.05
_WAIT_TO_MAKE_SECONDS = 5.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.000_02, 0.001

_BUCKET = Struct("<16sqqq")
_HOLDER = Struct("<16sq")
_HOLDERS_AT = 64
_BUCKETS_AT = _HOLDERS_AT + HOLDERS * _HOLDER.size
_SLOTS_AT = _BUCKETS_AT + BUCKETS * _BUCKET.size
_COUNTS_AT = _SLOTS_AT + SLOTS * 16
_SIZE = _COUNTS_AT + SLOTS * HOLDERS * 2
_NO_KEY = bytes(16)
NOWHERE = 0  # the header, which is never a row
_TRY, _RELEASE = fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN
_flock = fcntl.flock


class Table:
    """The open file. Only `with table:` may anything in it be read or written."""

    def __init__(self, path: Path) -> None:
        """Makes the file if there is none that fits. Raises `OSError`."""
        self.inherited = False  # True after a fork in the child: file and lock are the parent's
        _opened.add(self)
        self._impatient_until = 0.0
        self._descriptor = self._open(path)
        self._map = mmap.mmap(self._descriptor, _SIZE)
        # Reads and writes a bucket's row by its place, in C all the way.
        self.read = partial(_BUCKET.unpack_from, self._map)
        self.write = partial(_BUCKET.pack_into, self._map)
        self._view = memoryview(self._map)[_COUNTS_AT:]
        self._counts = self._view.cast("H")

    def close(self) -> None:
        """Lets go of the file."""
        self._counts.release()
        self._view.release()
        self._map.close()
        os.close(self._descriptor)

    def __enter__(self) -> None:
        try:
            _flock(self._descriptor, _TRY)
        except OSError:
            self._wait(self._descriptor, _WAIT_SECONDS)

    def __exit__(self, *_: object) -> None:
        _flock(self._descriptor, _RELEASE)

    def bucket(self, key: bytes, now: int) -> tuple[int, int, int]:
        """Returns (place, level, moment of the level) of a bucket; makes a row of a full one."""
        first = int.from_bytes(key[:4], "little")
        best, soonest = NOWHERE, 0
        for index in range(first, first + NEIGHBOURS):
            at = _BUCKETS_AT + index % BUCKETS * _BUCKET.size
            found, level, since, full_at = self.read(at)
            if found == key:
                return at, level, since
            if best == NOWHERE or full_at < soonest:
                best, soonest = at, full_at
        # The one nearest to full, maybe long full. Written now: a request may need several rows.
        self.write(best, key, 0, now, now + 1)
        return best, 0, now

    def slot(self, key: bytes) -> tuple[int, bool]:
        """Returns (a slot's row, True), or (the row that it would get, False)."""
        first = int.from_bytes(key[:4], "little")
        best, least = 0, -1
        for index in range(first, first + NEIGHBOURS):
            row = index % SLOTS
            at = _SLOTS_AT + row * 16
            if self._map[at : at + 16] == key:
                return row, True
        for index in range(first, first + NEIGHBOURS):
            row = index % SLOTS
            total = self.held(row)
            if least < 0 or total < least:
                best, least = row, total
            if not total:
                break
        return best, False

    def held(self, row: int) -> int:
        """Returns how many of a slot all holders have together."""
        return sum(self._counts[row * HOLDERS : (row + 1) * HOLDERS])

    def hold(self, key: bytes, holder: int, count: int) -> None:
        """Writes how many of a slot a holder has."""
        row, found = self.slot(key)
        if not found:
            at = _SLOTS_AT + row * 16
            self._counts[row * HOLDERS : (row + 1) * HOLDERS] = _NOBODY
            self._map[at : at + 16] = key
        self._counts[row * HOLDERS + holder] = min(count, MOST_HELD)

    def is_holder(self, holder: int, name: bytes) -> bool:
        """Tells whether a holder row still belongs to the process of this name."""
        at = _HOLDERS_AT + holder * _HOLDER.size
        return self._map[at : at + 16] == name

    def enlist(self, name: bytes, now: int) -> int:
        """Makes the row of a new holder: a free one, or that of the holder seen longest ago."""
        self.bury(now)
        rows = [_HOLDER.unpack_from(self._map, self._holder_at(row)) for row in range(HOLDERS)]
        holder = min(range(HOLDERS), key=lambda row: rows[row][1])
        self._clear(holder)
        self.keep(holder, name, now)
        return holder

    def keep(self, holder: int, name: bytes, now: int) -> None:
        """Writes that a holder lives for another 45 s."""
        _HOLDER.pack_into(self._map, self._holder_at(holder), name, now + LAPSE_US)

    def leave(self, holder: int) -> None:
        """Frees a holder's row and all its slots."""
        self._clear(holder)
        _HOLDER.pack_into(self._map, self._holder_at(holder), _NO_KEY, 0)

    def bury(self, now: int) -> None:
        """Frees the rows and slots of holders that have not renewed in time."""
        for holder in range(HOLDERS):
            name, until = _HOLDER.unpack_from(self._map, self._holder_at(holder))
            # A moment far in the future comes from a clock that has stepped back since.
            if name != _NO_KEY and not now < until <= now + 2 * LAPSE_US:
                self.leave(holder)

    def _clear(self, holder: int) -> None:
        self._counts[holder::HOLDERS] = _NO_COUNTS

    @staticmethod
    def _holder_at(holder: int) -> int:
        return _HOLDERS_AT + holder * _HOLDER.size

    def _wait(self, descriptor: int, seconds: float) -> None:
        """Waits for the lock, but not for a process that was stopped while it had it.

        Going on without it costs the others a few tokens; waiting on costs every request. Asleep,
        because whoever has the lock may be waiting for this very core.
        """
        if time.monotonic() < self._impatient_until:
            return
        until, pause = time.monotonic() + seconds, _FIRST_PAUSE_SECONDS
        while time.monotonic() < until:
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            with contextlib.suppress(OSError):
                _flock(descriptor, _TRY)
                return
        self._impatient_until = time.monotonic() + 1.0

    def _open(self, path: Path) -> int:
        """Opens the file; returns its descriptor. Raises `OSError`.

        One of another layout is replaced, never changed: somebody may have it mapped.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            descriptor = os.open(path, flags, 0o600)
            try:
                if _fits(descriptor):
                    return descriptor
                self._wait(descriptor, _WAIT_TO_MAKE_SECONDS)
                if _is_at(descriptor, path):  # else another process has just replaced it
                    _replace(path)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)


_opened: WeakSet[Table] = WeakSet()


def _forked() -> None:
    for table in _opened:
        table.inherited = True


os.register_at_fork(after_in_child=_forked)  # asking for the pid in every take costs more
_NOBODY = memoryview(bytes(2 * HOLDERS)).cast("H")
_NO_COUNTS = memoryview(bytes(2 * SLOTS)).cast("H")


def _is_at(descriptor: int, path: Path) -> bool:
    """Tells whether `path` still names the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _fits(descriptor: int) -> bool:
    return os.fstat(descriptor).st_size == _SIZE and os.pread(descriptor, len(MAGIC), 0) == MAGIC


def _replace(path: Path) -> None:
    new = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        # Written in full: touching a hole of a mapped file on a full disk would kill the process.
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123  # with a mode
            file.write(MAGIC.ljust(_SIZE, b"\0"))
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
