"""Users and teams in the SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from ..base.callers import OwnerRecord
from ..base.errors import AlreadyExistsError, NoSuchObjectError
from ..base.owners import OwnerJudge
from .file import SQLiteFile
from .rows import key_record, owner_record
from .schema import QUERIES, transaction


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
                owner_record(row)
                for row in connection.execute(QUERIES["list_owners"], {"kind": kind})
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
    return None if row is None else owner_record(row)


def _ask(
    judge: OwnerJudge | None, connection: sqlite3.Connection, kind: str, owner_id: str
) -> None:
    if judge is not None:
        rows = connection.execute(QUERIES["list_keys_with_scopes"])
        named = [key for key in map(key_record, rows) if key.names(kind, owner_id)]
        judge(owner_of(connection, kind, owner_id), named)
