"""One SQLite file, one thread: every statement of a store runs on the thread that opened it.

The asyncio side hands over functions and awaits their results. The connection is made inside the
thread, so it never crosses a fork, and two coroutines never share a transaction. Several processes
use the file at once: WAL lets them read while one writes, and writers begin IMMEDIATE, because a
reader that turns writer halfway would be refused without a wait.
This is the only place where `sqlite3.Error` becomes `StoreError`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .base import StoreError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

SQL = Path(__file__).parent / "sql"
# Primary result codes, which are the low byte of the extended ones.
EXPLANATIONS = {
    sqlite3.SQLITE_BUSY: "locked by another process for too long",
    sqlite3.SQLITE_LOCKED: "locked by another process for too long",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_NOTADB: "the file is not a SQLite database",
    sqlite3.SQLITE_CORRUPT: "the database is damaged; restore it from a backup",
    sqlite3.SQLITE_READONLY: "the file or its directory is read-only",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; check that it may be read and written",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write",
}


def queries(text: str) -> dict[str, str]:
    """The statements of a file whose blocks each begin with `-- name: NAME`."""
    blocks = (block.partition("\n") for block in text.split("-- name: ")[1:])
    return {name.strip(): statement for name, _, statement in blocks}


QUERIES = {
    name: statement
    for path in sorted(SQL.glob("*.sql"))
    for name, statement in queries(path.read_text("utf-8")).items()
}


class SQLiteFile:
    """A database file and the thread that alone may touch it."""

    def __init__(self, path: Path, *, busy_timeout_seconds: float = 5.0) -> None:
        self._path = path
        self._busy_timeout_seconds = busy_timeout_seconds
        self._executor: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._pid = 0

    async def open(self) -> None:
        """Creates what is missing and brings the schema up to date. Raises `StoreError`."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # not for memory://

        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._pid = os.getpid()
        try:
            await self._on_thread(self._connect)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Waits for the work handed over so far and closes the file."""
        if self._executor is not None:
            await self._on_thread(self._disconnect)
            self._executor.shutdown()
            self._executor = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work(connection)` on the thread. Raises `StoreError`."""

        def connected() -> T:
            if self._connection is None:
                raise StoreError(f"{self._path}: the store is not open")
            return work(self._connection)

        return await self._on_thread(connected)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        if self._executor is None:
            raise StoreError(f"{self._path}: the store is not open")
        if self._pid != os.getpid():
            # The thread stayed behind in the parent: waiting for it would never end.
            raise StoreError(f"{self._path}: opened before a fork; open it in each process")

        def explained() -> T:
            try:
                return work()
            except (sqlite3.Error, OverflowError, OSError) as error:
                raise StoreError(f"{self._path}: {_explain(error)}") from error

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, explained)

    def _connect(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(self._path.parent):
            _create(self._path)
            self._connection = connection = sqlite3.connect(
                self._path, timeout=self._busy_timeout_seconds, isolation_level=None
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection, SQL / "migrations")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, with the right to write taken at the start."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some failures, such as a full disk, have rolled back
            connection.execute("ROLLBACK")
        raise


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
    """The statements one by one: `executescript` would commit the open transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One process at a time makes the file and its schema.

    SQLite's own locks are not enough: the switch of a new file to WAL fails at once, whatever the
    busy timeout, if another process is doing the same.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _create(path: Path) -> None:
    """Makes a new file private. SQLite gives its -wal and -shm files the same mode.

    A file that exists is not opened here: closing it would drop the locks that another connection
    of this process holds on it (POSIX locks belong to the process, not to the descriptor).
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def _explain(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}" if error.filename else str(error)
    code = getattr(error, "sqlite_errorcode", None)
    explanation = EXPLANATIONS.get(code & 0xFF) if code is not None else None
    return f"{explanation} ({error})" if explanation else str(error)
