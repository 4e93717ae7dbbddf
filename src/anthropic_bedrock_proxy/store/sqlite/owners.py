"""Users and teams in the SQLite file, and rows as the records of keys and owners."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from ..base.callers import KeyRecord, OwnerRecord
from ..base.errors import AlreadyExistsError, NoSuchObjectError
from ..base.owners import OwnerJudge
from .file import SQLiteFile
from .schema import QUERIES, transaction

LISTS = ("allowed_models", "allowed_tools", "allowed_networks", "admin_scopes")  # JSON arrays


class SQLiteOwners:
    """Users and teams."""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file

    async def create(self, owner: OwnerRecord, *, judge: OwnerJudge | None = None) -> None:
        """See `OwnerStore.create`."""

        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                if owner_of(connection, owner.kind, owner.id) is not None:
                    raise AlreadyExistsError(f"there is a {owner.kind} {owner.id} already")
                _ask(judge, connection, owner.kind, owner.id)
                connection.execute(QUERIES["create_owner"], msgspec.structs.asdict(owner))

        await self._file.run(work)

    async def get(self, kind: str, owner_id: str) -> OwnerRecord | None:
        """See `OwnerStore.get`."""
        return await self._file.run(lambda connection: owner_of(connection, kind, owner_id))

    async def list(self, kind: str) -> Sequence[OwnerRecord]:
        """See `OwnerStore.list`."""
        return await self._file.run(
            lambda connection: [
                _owner(row) for row in connection.execute(QUERIES["list_owners"], {"kind": kind})
            ]
        )

    async def update(
        self,
        kind: str,
        owner_id: str,
        changes: dict[str, Any],
        *,
        now: int,
        judge: OwnerJudge | None = None,
    ) -> OwnerRecord:
        """See `OwnerStore.update`."""

        def work(connection: sqlite3.Connection) -> OwnerRecord:
            with transaction(connection):
                before = owner_of(connection, kind, owner_id)
                if before is None:
                    raise NoSuchObjectError(f"no {kind} has the id {owner_id}")
                after = before.changed(changes, now=now)
                _ask(judge, connection, kind, owner_id)
                connection.execute(QUERIES["replace_owner"], msgspec.structs.asdict(after))
                return after

        return await self._file.run(work)

    async def remove(self, kind: str, owner_id: str, *, judge: OwnerJudge | None = None) -> bool:
        """See `OwnerStore.remove`."""

        def work(connection: sqlite3.Connection) -> bool:
            with transaction(connection):
                if owner_of(connection, kind, owner_id) is None:
                    return False
                _ask(judge, connection, kind, owner_id)
                connection.execute(QUERIES["remove_owner"], {"kind": kind, "id": owner_id})
                return True

        return await self._file.run(work)


def owner_of(connection: sqlite3.Connection, kind: str, owner_id: str | None) -> OwnerRecord | None:
    """Returns the owner that a key names, if it is recorded."""
    if owner_id is None:
        return None
    row = connection.execute(QUERIES["get_owner"], {"kind": kind, "id": owner_id}).fetchone()
    return None if row is None else _owner(row)


def key_of(row: sqlite3.Row) -> KeyRecord:
    """Makes the record of a row of `keys`."""
    fields = dict(row)
    for name in LISTS:
        # Most keys have none of the lists, and every request that is not cached comes by here.
        fields[name] = () if fields[name] == "[]" else tuple(msgspec.json.decode(fields[name]))
    fields["is_active"] = bool(fields["is_active"])
    return KeyRecord(**fields)


def _owner(row: sqlite3.Row) -> OwnerRecord:
    return OwnerRecord(**{**dict(row), "is_active": bool(row["is_active"])})


def _ask(
    judge: OwnerJudge | None, connection: sqlite3.Connection, kind: str, owner_id: str
) -> None:
    if judge is not None:
        rows = connection.execute(QUERIES["list_keys_with_scopes"])
        named = [key for key in map(key_of, rows) if key.names(kind, owner_id)]
        judge(owner_of(connection, kind, owner_id), named)
