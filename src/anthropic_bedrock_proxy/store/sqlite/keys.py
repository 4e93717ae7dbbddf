"""Keys, owners and the audit log in the SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..base import ConflictError, KeyNotFoundError
from ..records import AuditRecord, Caller, KeyRecord, OwnerRecord
from .file import SQLiteFile
from .schema import QUERIES, transaction

_LISTS = ("allowed_models", "allowed_tools", "allowed_networks", "admin_scopes")  # JSON arrays


class SQLiteKeys:
    """Keys, and the secrets that lead to them."""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file

    async def create(self, key: KeyRecord, secret_hash: bytes) -> None:
        """See `KeyStore.create`."""

        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute(QUERIES["create_key"], _key_row(key))
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
            key = _key(row)
            user = _owner_of(connection, "user", key.user_id)
            return Caller(key, user, _owner_of(connection, "team", key.team_id))

        return await self._file.run(work)

    async def get(self, key_id: str) -> KeyRecord | None:
        """See `KeyStore.get`."""

        def work(connection: sqlite3.Connection) -> KeyRecord | None:
            row = connection.execute(QUERIES["get_key"], {"id": key_id}).fetchone()
            return None if row is None else _key(row)

        return await self._file.run(work)

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


class SQLiteOwners:
    """Users and teams."""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file

    async def create(self, owner: OwnerRecord) -> None:
        """See `OwnerStore.create`."""
        if not await self._changed("create_owner", msgspec.structs.asdict(owner)):
            raise ConflictError(f"there is a {owner.kind} {owner.id} already")

    async def get(self, kind: str, owner_id: str) -> OwnerRecord | None:
        """See `OwnerStore.get`."""
        return await self._file.run(lambda connection: _owner_of(connection, kind, owner_id))

    async def list(self, kind: str) -> Sequence[OwnerRecord]:
        """See `OwnerStore.list`."""
        return await self._file.run(
            lambda connection: [
                _owner(row) for row in connection.execute(QUERIES["list_owners"], {"kind": kind})
            ]
        )

    async def replace(self, owner: OwnerRecord) -> None:
        """See `OwnerStore.replace`."""
        if not await self._changed("replace_owner", msgspec.structs.asdict(owner)):
            raise KeyNotFoundError(f"there is no {owner.kind} {owner.id}")

    async def remove(self, kind: str, owner_id: str) -> bool:
        """See `OwnerStore.remove`."""
        return await self._changed("remove_owner", {"kind": kind, "id": owner_id})

    async def _changed(self, query: str, parameters: dict[str, Any]) -> bool:
        return await self._file.run(
            lambda connection: connection.execute(QUERIES[query], parameters).rowcount > 0
        )


class SQLiteAudit:
    """Who changed what."""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file

    async def append(self, record: AuditRecord) -> None:
        """See `AuditLog.append`."""
        row = msgspec.structs.asdict(record)
        for side in ("before", "after"):
            row[side] = None if row[side] is None else msgspec.json.encode(row[side]).decode()
        await self._file.run(lambda connection: connection.execute(QUERIES["add_audit"], row))

    async def list(
        self, *, before: str | None = None, object_id: str | None = None, limit: int = 100
    ) -> Sequence[AuditRecord]:
        """See `AuditLog.list`."""
        query = QUERIES["list_audit" if object_id is None else "list_audit_of_object"]
        parameters = {"before": before, "object": object_id, "limit": limit}
        return await self._file.run(
            lambda connection: [_change(row) for row in connection.execute(query, parameters)]
        )


def _key_row(key: KeyRecord) -> dict[str, Any]:
    row = msgspec.structs.asdict(key)
    return row | {name: msgspec.json.encode(row[name]).decode() for name in _LISTS}


def _key(row: sqlite3.Row) -> KeyRecord:
    fields = dict(row)
    for name in _LISTS:
        # Most keys have none of the lists, and every request that is not cached comes by here.
        fields[name] = () if fields[name] == "[]" else tuple(msgspec.json.decode(fields[name]))
    fields["is_active"] = bool(fields["is_active"])
    return KeyRecord(**fields)


def _owner(row: sqlite3.Row) -> OwnerRecord:
    return OwnerRecord(**{**dict(row), "is_active": bool(row["is_active"])})


def _owner_of(
    connection: sqlite3.Connection, kind: str, owner_id: str | None
) -> OwnerRecord | None:
    if owner_id is None:
        return None
    row = connection.execute(QUERIES["get_owner"], {"kind": kind, "id": owner_id}).fetchone()
    return None if row is None else _owner(row)


def _change(row: sqlite3.Row) -> AuditRecord:
    fields = dict(row)
    for side in ("before", "after"):
        fields[side] = None if fields[side] is None else msgspec.json.decode(fields[side])
    return AuditRecord(**fields)


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
        connection.execute(QUERIES["replace_key"], _key_row(key))
        return key
