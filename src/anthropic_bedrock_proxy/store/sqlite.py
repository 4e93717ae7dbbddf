"""The embedded store: one SQLite file, shared by every process of a machine.

A function of a port is one function on the file's thread, and one transaction if it writes. SQL is
in `sql/*.sql`, the schema in `sql/migrations/`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from .base import KeyNotFoundError, StoreError
from .records import KeyRecord, UsageRecord, UsageTotal
from .sqlite_catalog import SQLiteCatalog
from .sqlite_file import QUERIES, SQLiteFile, transaction
from .totals import COLUMNS, checked_columns

FOREVER_MS = 2**63 - 1


class SQLiteStore:
    """All ports over one file."""

    def __init__(self, path: Path, *, busy_timeout_seconds: float = 5.0) -> None:
        """`busy_timeout_seconds` is how long a statement waits for another process."""
        self._file = SQLiteFile(path, busy_timeout_seconds=busy_timeout_seconds)
        self.keys = SQLiteKeys(self._file)
        self.usage = SQLiteUsage(self._file)
        self.catalog = SQLiteCatalog(self._file)

    @classmethod
    def from_url(cls, rest: str) -> SQLiteStore:
        """The store of `sqlite:///relative.db` or `sqlite:////absolute.db`. Raises `StoreError`."""
        path = rest.removeprefix("/")
        if path == rest or not path.strip("/") or "?" in path:
            raise StoreError(
                "a SQLite URL is sqlite:/// and a path (a fourth slash makes it absolute), "
                "without parameters"
            )
        if path == ":memory:":
            raise StoreError("for a store in memory use memory://")
        return cls(Path(path))

    async def open(self) -> None:
        """See `Store.open`."""
        await self._file.open()

    async def close(self) -> None:
        """See `Store.close`."""
        await self._file.close()


class SQLiteKeys:
    """Keys, and the secrets that lead to them."""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file

    async def create(self, key: KeyRecord, secret_hash: bytes) -> None:
        """See `KeyStore.create`."""

        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute(QUERIES["create_key"], msgspec.structs.asdict(key))
                _add_secret(connection, key.id, secret_hash, key.created_at)

        await self._file.run(work)

    async def find(self, secret_hash: bytes, *, now: int) -> KeyRecord | None:
        """See `KeyStore.find`."""
        return await self._one("find_key", {"secret_hash": secret_hash, "now": now})

    async def get(self, key_id: str) -> KeyRecord | None:
        """See `KeyStore.get`."""
        return await self._one("get_key", {"id": key_id})

    async def list(self) -> Sequence[KeyRecord]:
        """See `KeyStore.list`."""
        return await self._file.run(
            lambda connection: [_key(row) for row in connection.execute(QUERIES["list_keys"])]
        )

    async def update(self, key_id: str, changes: dict[str, Any], *, now: int) -> KeyRecord:
        """See `KeyStore.update`."""
        return await self._file.run(
            lambda connection: _replace(
                connection, key_id, lambda key: key.changed(changes, now=now)
            )
        )

    async def rotate(
        self, key_id: str, secret_hash: bytes, secret_hint: str, *, now: int, overlap_seconds: int
    ) -> KeyRecord:
        """See `KeyStore.rotate`."""

        def swap(connection: sqlite3.Connection, key: KeyRecord) -> KeyRecord:
            lapse = {"key_id": key_id, "lapse": now + overlap_seconds}
            connection.execute(QUERIES["let_secrets_lapse"], lapse)
            _add_secret(connection, key_id, secret_hash, now)
            return key.rotated(secret_hint, now=now)

        return await self._file.run(
            lambda connection: _replace(connection, key_id, lambda key: swap(connection, key))
        )

    async def _one(self, query: str, parameters: dict[str, Any]) -> KeyRecord | None:
        def work(connection: sqlite3.Connection) -> KeyRecord | None:
            row = connection.execute(QUERIES[query], parameters).fetchone()
            return None if row is None else _key(row)

        return await self._file.run(work)


_USAGE_COLUMNS = len(UsageRecord.__struct_fields__)


@lru_cache(maxsize=8)
def _append_usage(rows: int) -> str:
    """The statement that appends so many rows."""
    head, row, tail = re.split(r"(\([?,\s]+\))", QUERIES["append_usage"])
    return head + ", ".join([row] * rows) + tail


class SQLiteUsage:
    """Usage records."""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file

    async def append(self, records: Sequence[UsageRecord]) -> None:
        """See `UsageLog.append`."""

        def work(connection: sqlite3.Connection) -> None:
            step = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // _USAGE_COLUMNS
            with transaction(connection):
                for start in range(0, len(records), step):
                    rows = records[start : start + step]
                    # Not executemany: it gives up and takes the interpreter's lock for each row,
                    # and the thread that serves requests waits for it as often.
                    values = chain.from_iterable(map(msgspec.structs.astuple, rows))
                    connection.execute(_append_usage(len(rows)), tuple(values))

        await self._file.run(work)

    async def totals(
        self,
        *,
        by: Sequence[str] = ("key_id", "model"),
        since_ms: int | None = None,
        until_ms: int | None = None,
        key_id: str | None = None,
    ) -> Sequence[UsageTotal]:
        """See `UsageLog.totals`."""
        grouped = checked_columns(by)
        query = QUERIES["totals" if key_id is None else "totals_of_key"]
        parameters: dict[str, Any] = {f"by_{column}": column in grouped for column in COLUMNS}
        parameters["key_id"] = key_id
        parameters["since_ms"] = 0 if since_ms is None else since_ms
        parameters["until_ms"] = FOREVER_MS if until_ms is None else until_ms
        return await self._file.run(
            lambda connection: [
                UsageTotal(**dict(row)) for row in connection.execute(query, parameters)
            ]
        )


def _key(row: sqlite3.Row) -> KeyRecord:
    return KeyRecord(**{**dict(row), "is_active": bool(row["is_active"])})


def _add_secret(connection: sqlite3.Connection, key_id: str, secret_hash: bytes, now: int) -> None:
    connection.execute(
        QUERIES["add_secret"], {"secret_hash": secret_hash, "key_id": key_id, "now": now}
    )


def _replace(
    connection: sqlite3.Connection, key_id: str, change: Callable[[KeyRecord], KeyRecord]
) -> KeyRecord:
    """Reads, changes and writes one key with the right to write held all along."""
    with transaction(connection):
        row = connection.execute(QUERIES["get_key"], {"id": key_id}).fetchone()
        if row is None:
            raise KeyNotFoundError(f"no key has the id {key_id}")
        key = change(_key(row))
        connection.execute(QUERIES["replace_key"], msgspec.structs.asdict(key))
        return key
