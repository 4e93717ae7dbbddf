"""One SQLite file, one thread: every statement of a store runs on the thread that opened it.

The asyncio side hands over functions and awaits their results. The connection is made inside the
thread, so it never crosses a fork, and two coroutines never share a transaction. Several processes
use the file at once: WAL lets them read while one writes, and writers begin IMMEDIATE, because a
reader that turns writer halfway would be refused without a wait.

An open store outlives its connection. One that could not be made, that broke, or whose file was
replaced by another is made anew by the next statement; how often, `RETRY_SECONDS` says. What
failed halfway is never repeated here: only the caller knows whether it may be.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..base.errors import AlreadyExistsError, StoreError
from .schema import connect, identity_of, make_file

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

RETRY_SECONDS = 1.0  # at least, from one attempt to connect to the next
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
# After these a connection is not worth keeping: the file may have been repaired or replaced.
BROKEN = {
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PROTOCOL,
}
TAKEN = {sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE}


class SQLiteFile:
    """A database file and the thread that alone may touch it."""

    def __init__(
        self,
        path: Path,
        *,
        busy_timeout_seconds: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`monotonic`, in seconds, tells when to try a lost connection again."""
        self._path = path
        self._busy_timeout_seconds = busy_timeout_seconds
        self._monotonic = monotonic
        self._executor: ThreadPoolExecutor | None = None
        self._pid = 0
        self._makes = True
        # Used by the thread alone:
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None  # (device, inode) of the connected file
        self._retry_at = 0.0
        self._failure = ""

    def make(self) -> None:
        """Makes the file if it is missing, and never again, in forks of this process neither.

        Raises `StoreError`; then it is made later, as without this call.
        """
        with explained(self._path):
            make_file(self._path)
        self._makes = False

    async def open(self) -> None:
        """Creates what is missing and brings the schema up to date.

        Raises `StoreError`; the file counts as open all the same, and statements try again.
        """
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # not for memory://

        if self._executor is None or self._pid != os.getpid():
            self._executor = ThreadPoolExecutor(
                max_workers=1, thread_name_prefix="sqlite", initializer=_take_no_signals
            )
            self._pid = os.getpid()
            self._connection = self._identity = None
        await self._on_thread(self._open)

    async def close(self) -> None:
        """Waits for the work handed over so far and closes the file."""
        if self._executor is not None:
            await self._on_thread(self._disconnect)
            self._executor.shutdown()
            self._executor = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `work(connection)` on the thread. Raises `StoreError`."""

        def connected() -> T:
            try:
                return work(self._connected())
            except sqlite3.Error as error:
                if _code(error) & 0xFF in BROKEN:
                    self._disconnect()
                raise

        return await self._on_thread(connected)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        if self._executor is None:
            raise StoreError(f"{self._path}: the store is not open")
        if self._pid != os.getpid():
            # The thread stayed behind in the parent: waiting for it would never end.
            raise StoreError(f"{self._path}: opened before a fork; open it in each process")

        def guarded() -> T:
            with explained(self._path):
                return work()

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, guarded)

    def _open(self) -> None:
        if self._connection is None or identity_of(self._path) != self._identity:
            self._identity = None  # `open` takes whatever file is there, or makes one
            self._connect()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and identity_of(self._path) == self._identity:
            return self._connection
        if self._monotonic() < self._retry_at:
            raise StoreError(self._failure or f"{self._path}: the connection was lost just now")
        if self._identity is not None and identity_of(self._path) is None:
            # A new file here would be an empty store: no key would be known.
            self._disconnect()
            raise StoreError(f"{self._path}: the file is gone; put it back")
        connection = self._connect()
        self._retry_at = self._monotonic() + RETRY_SECONDS
        return connection

    def _connect(self) -> sqlite3.Connection:
        self._disconnect()
        try:
            with explained(self._path):
                connection, self._identity = connect(
                    self._path, self._busy_timeout_seconds, makes=self._makes
                )
        except StoreError as error:
            self._failure = str(error)
            self._retry_at = self._monotonic() + RETRY_SECONDS
            raise
        self._connection = connection
        self._failure = ""
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(sqlite3.Error):  # it may be broken: that is why it goes
                connection.close()


def _take_no_signals() -> None:
    """Blocks SIGTERM and SIGINT in this thread: the main thread alone takes them.

    Joining a thread returns a moment before the system has ended it: until then a signal that
    nobody else takes would go to it, and end the process.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what SQLite and the system raise about `path` into `StoreError`."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        if _code(error) in TAKEN:  # told to clients of the admin API: no path, no column
            raise AlreadyExistsError("this exists already") from error
        raise StoreError(f"{path}: {_explain(error)}") from error
    except (sqlite3.Error, OverflowError, OSError) as error:
        raise StoreError(f"{path}: {_explain(error)}") from error


def _code(error: BaseException) -> int:
    code = getattr(error, "sqlite_errorcode", None)  # errors of the module itself have none
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror}: {error.filename}" if error.filename else str(error)
    explanation = EXPLANATIONS.get(_code(error) & 0xFF)
    return f"{explanation} ({error})" if explanation else str(error)
