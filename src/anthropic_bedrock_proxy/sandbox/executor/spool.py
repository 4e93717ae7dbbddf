"""The files that the executor keeps: what clients sent, and what cells left.

They lie in a folder of its own, under their ids, and belong to an owner; the index is in memory, so
a new executor has none, and removes what it finds there (own_folder.py). Each file, each owner and
all together are bounded. An owner who has too many loses the oldest of those that cells left;
whoever else is full is told so.

A copy of another executor's file has an id made of that file's, so any proxy finds it that needs it
again. It is not listed, and gives way like what cells left.

Files are written in pieces of at most 1 MiB, to a temporary folder: that is quick enough for the
event loop.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hmac import compare_digest
from math import inf
from pathlib import Path
from time import time
from typing import BinaryIO, Final

import msgspec

from ..base import FileRecord
from ..wire import COPY_PREFIX
from .own_folder import OwnFolder

_FILE_BYTES: Final = 10 * 1024 * 1024
_OWNER_TIMES: Final = 20
_TOTAL_TIMES: Final = 200


class SpoolBounds(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of what is kept, and of the time for which it is."""

    file_bytes: int = _FILE_BYTES
    owner_bytes: int = _OWNER_TIMES * _FILE_BYTES
    owner_files: int = 1000
    total_bytes: int = _TOTAL_TIMES * _FILE_BYTES
    seconds: float = 86400.0

    @classmethod
    def of_files(cls, file_bytes: int, seconds: float) -> SpoolBounds:
        """Returns the bounds where one file may have so many bytes; others are in proportion."""
        return cls(
            file_bytes=file_bytes,
            owner_bytes=_OWNER_TIMES * file_bytes,
            total_bytes=_TOTAL_TIMES * file_bytes,
            seconds=seconds,
        )


class FileTooLargeError(Exception):
    """A file over the bound of one file."""


class SpoolFullError(Exception):
    """There is no room for a file; the message says whose."""


class FileMissingError(Exception):
    """No such file, or it belongs to another owner: nobody is told which."""


class _OwnedFile(msgspec.Struct, frozen=True):
    owner: str
    record: FileRecord


def _is_copy(file: _OwnedFile) -> bool:
    return file.record.id.startswith(COPY_PREFIX)


class SpoolFile:
    """A file on its way into the spool. `finish` or `drop` it."""

    def __init__(self, spool: Spool, owner: str, path: Path) -> None:
        self._spool = spool
        self._owner = owner
        self._path = path
        self._file: BinaryIO = path.open("xb")
        self.size = 0

    def write(self, data: bytes) -> None:
        """Appends bytes. Raises `FileTooLargeError`, `SpoolFullError`."""
        self._spool.reserve(self._owner, len(data), self.size + len(data))
        self.size += len(data)
        with _told_as_full():
            self._file.write(data)
            self._file.flush()  # now, so that `finish` cannot fail

    def finish(
        self,
        filename: str,
        mime_type: str,
        *,
        downloadable: bool,
        seconds: float = inf,
        copy_id: str = "",
    ) -> FileRecord:
        """Keeps the file under the id of its record, which it returns; a copy under `copy_id`.

        `seconds` may shorten the time for which it is kept. Raises `SpoolFullError`.
        """
        self._file.close()
        if copy_id:
            with _told_as_full():
                self._path = self._path.rename(self._path.with_name(copy_id))
        now = self._spool.now()
        record = FileRecord(
            id=self._path.name,
            filename=filename,
            mime_type=mime_type,
            size_bytes=self.size,
            created_at=now,
            downloadable=downloadable,
            expires_at=now + min(seconds, self._spool.seconds),
        )
        self._spool.keep(self._owner, record)
        return record

    def drop(self) -> None:
        """Removes what was written."""
        with suppress(OSError):  # what could not be written cannot be now
            self._file.close()
        self._path.unlink(missing_ok=True)
        self._spool.release(self._owner, self.size)


class Spool:
    """All files of an executor."""

    def __init__(
        self,
        bounds: SpoolBounds | None = None,
        now: Callable[[], float] = time,
        *,
        folder: Path | None = None,
    ) -> None:
        """`folder` is emptied; without one it has one of its own. Raises `OwnFolderError`."""
        self._bounds = bounds or SpoolBounds()
        self.now = now
        self.seconds = self._bounds.seconds
        self._own = OwnFolder(folder)
        self._folder = self._own.path
        self._kept: dict[str, _OwnedFile] = {}  # the oldest first
        self._bytes: dict[str, int] = {}  # by owner

    def begin(self, owner: str) -> SpoolFile:
        """Begins a file. Raises `SpoolFullError`."""
        mine = [one for one in self._kept.values() if one.owner == owner]
        if len(mine) >= self._bounds.owner_files and not self._drop_oldest(owner):
            raise SpoolFullError(f"an API key may keep {self._bounds.owner_files} files")
        with _told_as_full():
            return SpoolFile(self, owner, self._folder / f"file_{os.urandom(12).hex()}")

    def find(self, owner: str, name: str) -> FileRecord:
        """Returns the record of a file. Raises `FileMissingError`."""
        kept = self._kept.get(name)
        if (
            kept is None
            or not compare_digest(kept.owner.encode(), owner.encode())
            or self._lapsed(kept)
        ):
            raise FileMissingError
        return kept.record

    def open(self, owner: str, name: str) -> BinaryIO:
        """Opens a file for reading. Raises `FileMissingError`."""
        return (self._folder / self.find(owner, name).id).open("rb")

    def list(self, owner: str) -> list[FileRecord]:
        """Lists the files of an owner, newest first."""
        kept = reversed(self._kept.values())
        return [
            one.record
            for one in kept
            if one.owner == owner and not self._lapsed(one) and not _is_copy(one)
        ]

    def remove(self, owner: str, name: str) -> None:
        """Removes a file. Raises `FileMissingError`."""
        self._drop(self.find(owner, name).id)

    def sweep(self) -> None:
        """Removes the files whose time is over."""
        for name in [name for name, one in self._kept.items() if self._lapsed(one)]:
            self._drop(name)

    def close(self) -> None:
        """Removes all files."""
        self._kept.clear()
        self._own.close()

    # For `SpoolFile`

    def reserve(self, owner: str, size: int, file_size: int) -> None:
        """Counts bytes that are about to be written. Raises as `SpoolFile.write`."""
        bounds = self._bounds
        if file_size > bounds.file_bytes:
            raise FileTooLargeError(f"a file may have {bounds.file_bytes} bytes")
        while self._bytes.get(owner, 0) + size > bounds.owner_bytes:
            if not self._drop_oldest(owner):
                raise SpoolFullError(f"the files of an API key may have {bounds.owner_bytes} bytes")
        if sum(self._bytes.values()) + size > bounds.total_bytes:
            raise SpoolFullError("the executor keeps as many files as it may")
        self._bytes[owner] = self._bytes.get(owner, 0) + size

    def release(self, owner: str, size: int) -> None:
        """Takes bytes off the count."""
        self._bytes[owner] = self._bytes.get(owner, 0) - size
        if not self._bytes[owner]:
            del self._bytes[owner]

    def keep(self, owner: str, record: FileRecord) -> None:
        """Adds a file that is complete; two proxies may bring the same copy at once."""
        before = self._kept.pop(record.id, None)
        if before is not None:
            self.release(before.owner, before.record.size_bytes)
        self._kept[record.id] = _OwnedFile(owner, record)

    def _lapsed(self, kept: _OwnedFile) -> bool:
        expires = kept.record.expires_at
        return expires is not None and self.now() >= expires

    def _drop_oldest(self, owner: str) -> bool:
        for name, one in self._kept.items():
            if one.owner == owner and (one.record.downloadable or _is_copy(one)):
                self._drop(name)
                return True
        return False

    def _drop(self, name: str) -> None:
        kept = self._kept.pop(name)
        (self._folder / name).unlink(missing_ok=True)
        self.release(kept.owner, kept.record.size_bytes)


@contextmanager
def _told_as_full() -> Iterator[None]:
    """Raises `SpoolFullError` where the system has no room, of whatever kind."""
    try:
        yield
    except OSError as error:
        raise SpoolFullError(f"the executor cannot keep files now: {error.strerror}") from error
