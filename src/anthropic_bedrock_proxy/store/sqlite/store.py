"""The embedded store: one SQLite file, shared by every process of a machine.

A function of a port is one function on the file's thread, and one transaction if it writes. SQL is
in `sql/*.sql`, the schema in `sql/migrations/`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ..base.errors import StoreError
from .audit import SQLiteAudit
from .catalog import SQLiteCatalog
from .file import SQLiteFile
from .kept_secrets import SQLiteKeptSecrets
from .keys import SQLiteKeys
from .ledger import SQLiteLedger
from .owners import SQLiteOwners
from .schema import QUERIES
from .usage import SQLiteUsage


class SQLiteStore:
    """All ports over one file."""

    def __init__(
        self,
        path: Path,
        *,
        busy_timeout_seconds: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`busy_timeout_seconds` is how long a statement waits for another process."""
        self._path = path
        self._file = SQLiteFile(
            path, busy_timeout_seconds=busy_timeout_seconds, monotonic=monotonic
        )
        self.keys = SQLiteKeys(self._file)
        self.owners = SQLiteOwners(self._file)
        self.ledger = SQLiteLedger(self._file)
        self.audit = SQLiteAudit(self._file)
        self.usage = SQLiteUsage(self._file)
        self.catalog = SQLiteCatalog(self._file)
        self.kept_secrets = SQLiteKeptSecrets(self._file)

    @classmethod
    def from_url(cls, rest: str) -> SQLiteStore:
        """Makes the store of `sqlite:///relative.db` or `sqlite:////absolute.db`.

        Raises `StoreError`.
        """
        path = rest.removeprefix("/")
        if path == rest or not path.strip("/") or "?" in path:
            raise StoreError(
                "a SQLite URL is sqlite:/// and a path (a fourth slash makes it absolute), "
                "without parameters"
            )
        if path == ":memory:":
            raise StoreError("for a store in memory use memory://")
        return cls(Path(path))

    def make(self) -> None:
        """See `SQLiteFile.make`."""
        self._file.make()

    async def open(self) -> None:
        """See `Store.open`."""
        await self._file.open()

    async def ping(self) -> None:
        """See `Store.ping`."""
        await self._file.run(lambda connection: connection.execute(QUERIES["any_key"]).fetchone())

    async def close(self) -> None:
        """See `Store.close`."""
        await self._file.close()

    async def backup(self, target: Path) -> None:
        """Copies the store to a new private file, while others go on writing.

        Raises `AlreadyExistsError` if the file exists, and `StoreError`; neither leaves a file.
        """
        from .backup import back_up  # noqa: PLC0415  # for the command alone

        await back_up(self._path, target)
