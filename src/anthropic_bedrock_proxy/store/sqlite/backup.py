"""A copy of a database that is in use.

The copy is made by SQLite over a connection of its own, so it is what one reader saw at one moment;
the store's thread and other processes go on meanwhile. It gets its name only when it is whole.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from ..base.errors import AlreadyExistsError
from .file import explained


async def back_up(source: Path, target: Path) -> None:
    """Copies the database to a new file. Raises `StoreError`, `AlreadyExistsError` if it exists."""

    def work() -> None:
        partial = target.with_name(target.name + ".partial")
        with explained(target):
            if os.path.lexists(target):
                raise _taken(target)
            try:
                _create_private(partial)
            except FileExistsError:
                raise AlreadyExistsError(
                    f"{partial} exists: another backup runs, or was killed; then remove it"
                ) from None
            try:
                with explained(source):
                    _copy(source, partial)
                _sync(partial)
                _name(partial, target)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise

    await asyncio.to_thread(work)


def _taken(target: Path) -> AlreadyExistsError:
    return AlreadyExistsError(f"{target} exists; a backup overwrites nothing")


def _name(partial: Path, target: Path) -> None:
    """Gives the whole copy its name, taken by an empty file first: nobody's is overwritten.

    Not before: whoever is killed meanwhile would leave an empty file that looks like a backup.
    """
    try:
        _create_private(target)
    except FileExistsError:
        raise _taken(target) from None
    try:
        partial.replace(target)
        _sync(target.parent)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _create_private(path: Path) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    os.close(os.open(path, flags, 0o600))


def _copy(source: Path, target: Path) -> None:
    # mode=rw: a source that is missing must not come into being by this.
    uri = f"{source.absolute().as_uri()}?mode=rw"
    with (
        closing(sqlite3.connect(uri, uri=True)) as reader,
        closing(sqlite3.connect(target)) as copy,
    ):
        reader.backup(copy)
        # One file: a copy in WAL mode would grow two more beside it when it is read.
        copy.execute("PRAGMA journal_mode = DELETE")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
