"""The audit log in DynamoDB.

Each record is an item in partition "audit#<object>" and one in "audit", by id, written in this
order: a record that the whole log shows is in that of its object too.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

import msgspec

from ...aws.dynamodb_values import Item
from ..base.audit import AuditRecord
from .items import ItemChange
from .tables import Tables

_UNLESS_THERE = ItemChange(condition="attribute_not_exists(pk)")


class DynamoDBAudit:
    """An `AuditLog` in the state table."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def append(self, record: AuditRecord) -> None:
        """See `AuditLog.append`."""
        # As JSON text: records hold numbers and shapes that DynamoDB would change.
        item: Item = {"sk": record.id, "record": msgspec.json.encode(record).decode()}
        for partition in (f"audit#{record.object}", "audit"):
            await self._tables.put(
                self._tables.names.state, {"pk": partition, **item}, _UNLESS_THERE
            )

    async def list(
        self, *, before: str | None = None, object_id: str | None = None, limit: int = 100
    ) -> Sequence[AuditRecord]:
        """See `AuditLog.list`."""
        if limit < 1 or before == "":
            return []
        values = {":pk": "audit" if object_id is None else f"audit#{object_id}"}
        condition = "#pk = :pk"
        if before is not None:
            condition += " AND #sk < :before"
            values[":before"] = before
        found: list[AuditRecord] = []
        async with aclosing(
            self._tables.query(
                self._tables.names.state, condition, values, ScanIndexForward=False, Limit=limit
            )
        ) as items:
            async for item in items:
                found.append(msgspec.json.decode(item["record"], type=AuditRecord))
                if len(found) == limit:
                    break
        return found
