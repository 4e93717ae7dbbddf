"""Connections to a file with this version's schema, and the SQL statements by name."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..base.errors import StoreError

SQL = Path(__file__).parent / "sql"
# How much longer one process waits for another to make the schema than for a statement: a
# migration may rewrite what years have written.
_WAITS = 6
_POLL_SECONDS = 0.01


def queries(text: str) -> dict[str, str]:
    """Reads the statements of a file whose blocks each begin with `-- name: NAME`."""
    blocks = (block.partition("\n") for block in text.split("-- name: ")[1:])
    return {name.strip(): statement for name, _, statement in blocks}


QUERIES = {
    name: statement
    for path in sorted(SQL.glob("*.sql"))
    for name, statement in queries(path.read_text("utf-8")).items()
}


def connect(
    path: Path, busy_timeout_seconds: float, *, makes: bool = True
) -> tuple[sqlite3.Connection, tuple[int, int] | None]:
    """Returns a connection, and the identity of the file that it leads to.

    `makes` what is missing; the schema it makes in any case. Raises `StoreError`, `sqlite3.Error`,
    `OSError`.
    """
    if makes:
        make_file(path)
    elif identity_of(path) is None:
        # A new file here would be an empty store: no key would be known.
        raise StoreError(f"{path}: the file is gone; put it back")
    with _locked(path.parent, busy_timeout_seconds * _WAITS):
        # Before the connection: should the file be replaced in between, that is seen next time.
        identity = identity_of(path)
        connection = sqlite3.connect(path, timeout=busy_timeout_seconds, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection, SQL / "migrations")
            # What a statement would need to undo itself: in a file it costs half of an append.
            connection.execute("PRAGMA temp_store = MEMORY")
        except BaseException:
            connection.close()
            raise
        return connection, identity


def identity_of(path: Path) -> tuple[int, int] | None:
    """Returns (device, inode) of the file at `path`; None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116  # for every statement, and half the price
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Runs a transaction, all or nothing, with the right to write taken at the start."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some failures, such as a full disk, have rolled back
            connection.execute("ROLLBACK")
        raise


@contextmanager
def spilling(connection: sqlite3.Connection) -> Iterator[None]:
    """Lets large sorts spill to a file, instead of the memory of the process that serves."""
    connection.execute("PRAGMA temp_store = FILE")
    try:
        yield
    finally:
        connection.execute("PRAGMA temp_store = MEMORY")


def migrate(connection: sqlite3.Connection, directory: Path) -> None:
    """Applies, in order of their names, the migrations that the file has not seen.

    The caller sees to it that only one process does this at a time.
    Raises `StoreError` if the file has seen one that this version does not know.
    """
    connection.execute(QUERIES["create_migrations"])
    known = {path.name: path for path in sorted(directory.glob("*.sql"))}
    applied = {row["name"] for row in connection.execute(QUERIES["list_migrations"])}
    if newer := applied - known.keys():
        raise StoreError(
            f"the database was migrated by a newer version ({', '.join(sorted(newer))}); "
            "run that version, or restore a backup made before"
        )
    for name, path in known.items():
        if name in applied:
            continue
        with transaction(connection):
            for statement in _statements(path.read_text("utf-8")):
                connection.execute(statement)
            connection.execute(QUERIES["record_migration"], {"name": name})


def _statements(script: str) -> Iterator[str]:
    """Yields the statements one by one: `executescript` would commit the open transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def _locked(directory: Path, wait_seconds: float) -> Iterator[None]:
    """Lets one process at a time make the file and its schema.

    SQLite's own locks are not enough: the switch of a new file to WAL fails at once, whatever the
    busy timeout, if another process is doing the same.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + wait_seconds
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise StoreError(f"{directory}: locked by another process for too long")
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make_file(path: Path) -> None:
    """Makes the file, private, and its folder. SQLite gives its -wal and -shm files the same mode.

    A file that exists is not opened here: closing it would drop the locks that another connection
    of this process holds on it (POSIX locks belong to the process, not to the descriptor).
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
