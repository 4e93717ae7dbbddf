"""API keys in the SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from ..base.callers import Caller, KeyRecord, NewSecret
from ..base.errors import AlreadyExistsError, NoSuchObjectError
from ..base.keys import KeyJudge
from .file import SQLiteFile
from .owners import owner_of
from .rows import key_record, key_row
from .schema import QUERIES, transaction


class SQLiteKeys:
    """Keys, and the secrets that lead to them."""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file

    async def create(self, key: KeyRecord, secret_hash: bytes, *, first: bool = False) -> None:
        """See `KeyStore.create`."""

        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                if first and connection.execute(QUERIES["any_key"]).fetchone() is not None:
                    raise AlreadyExistsError("the store has keys already")
                connection.execute(QUERIES["create_key"], key_row(key))
                _add_secret(connection, key.id, secret_hash, key.created_at)

        await self._file.run(work)

    async def find(
        self,
        secret_hash: bytes,
        *,
        now: int,
        secret: str | None = None,  # noqa: ARG002  # only for tables of the predecessor
    ) -> Caller | None:
        """See `KeyStore.find`."""

        def work(connection: sqlite3.Connection) -> Caller | None:
            # Three look-ups at most, each a few microseconds, not one join with all columns twice.
            parameters = {"secret_hash": secret_hash, "now": now}
            row = connection.execute(QUERIES["find_key"], parameters).fetchone()
            if row is None:
                return None
            key = key_record(row)
            user = owner_of(connection, "user", key.user_id)
            return Caller(key, user, owner_of(connection, "team", key.team_id))

        return await self._file.run(work)

    async def get(self, key_id: str) -> KeyRecord | None:
        """See `KeyStore.get`."""

        def work(connection: sqlite3.Connection) -> KeyRecord | None:
            row = connection.execute(QUERIES["get_key"], {"id": key_id}).fetchone()
            return None if row is None else key_record(row)

        return await self._file.run(work)

    async def list(
        self, *, after: str | None = None, limit: int | None = None
    ) -> Sequence[KeyRecord]:
        """See `KeyStore.list`."""

        def work(connection: sqlite3.Connection) -> list[KeyRecord]:
            last = None if after is None else _get(connection, after)
            created_at, key_id = (-1, "") if last is None else (last.created_at, last.id)
            parameters = {
                "created_at": created_at,
                "id": key_id,
                "limit": -1 if limit is None else limit,
            }
            return [key_record(row) for row in connection.execute(QUERIES["list_keys"], parameters)]

        return await self._file.run(work)

    async def update(
        self, key_id: str, changes: dict[str, Any], *, now: int, judge: KeyJudge | None = None
    ) -> KeyRecord:
        """See `KeyStore.update`."""

        def change(before: KeyRecord) -> tuple[KeyRecord, NewSecret | None]:
            after = before.changed(changes, now=now)
            return after, judge(before, after) if judge is not None else None

        return await self._file.run(lambda connection: _replace(connection, key_id, change, now))

    async def rotate(
        self, key_id: str, secret: NewSecret, *, now: int, judge: KeyJudge | None = None
    ) -> KeyRecord:
        """See `KeyStore.rotate`."""

        def change(key: KeyRecord) -> tuple[KeyRecord, NewSecret | None]:
            if judge is not None:
                judge(key, key)
            return key, secret

        return await self._file.run(lambda connection: _replace(connection, key_id, change, now))


def _add_secret(connection: sqlite3.Connection, key_id: str, secret_hash: bytes, now: int) -> None:
    connection.execute(
        QUERIES["add_secret"], {"secret_hash": secret_hash, "key_id": key_id, "now": now}
    )


def _get(connection: sqlite3.Connection, key_id: str) -> KeyRecord:
    """Returns the key with this id. Raises `NoSuchObjectError`."""
    row = connection.execute(QUERIES["get_key"], {"id": key_id}).fetchone()
    if row is None:
        raise NoSuchObjectError(f"no key has the id {key_id[:200]}")
    return key_record(row)


def _replace(
    connection: sqlite3.Connection,
    key_id: str,
    change: Callable[[KeyRecord], tuple[KeyRecord, NewSecret | None]],
    now: int,
) -> KeyRecord:
    """Reads, changes and writes one key with the right to write held all along."""
    with transaction(connection):
        key, secret = change(_get(connection, key_id))
        if secret is not None:
            lapse = {"key_id": key_id, "lapse": now + secret.overlap_seconds}
            connection.execute(QUERIES["let_secrets_lapse"], lapse)
            _add_secret(connection, key_id, secret.hash, now)
            key = key.rotated(secret.hint, now=now)
        connection.execute(QUERIES["replace_key"], key_row(key))
        return key
