"""The audit log in the SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from ..base.audit import AuditRecord
from .file import SQLiteFile
from .schema import QUERIES


class SQLiteAudit:
    """The audit log: changes by operators."""

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
            lambda connection: [_record(row) for row in connection.execute(query, parameters)]
        )


def _record(row: sqlite3.Row) -> AuditRecord:
    fields = dict(row)
    for side in ("before", "after"):
        fields[side] = None if fields[side] is None else msgspec.json.decode(fields[side])
    return AuditRecord(**fields)
