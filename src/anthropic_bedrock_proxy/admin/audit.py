"""The audit log: records of changes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from .call import AdminCall, Nothing
from .documents import shown
from .moments import timestamp_ms


class Trail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A query of records; `before` is the last id seen."""

    object: str | None = None
    before: str | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


async def list_(call: AdminCall[Nothing, Trail]) -> dict[str, Any]:
    """Lists a page of records, newest first; `next` is the `before` of the page that follows."""
    query = call.query
    found = await call.store.audit.list(
        before=query.before, object_id=query.object, limit=query.limit
    )
    rows = [
        {
            "id": record.id,
            "at": timestamp_ms(record.at_ms),
            "actor": record.actor,
            "action": record.action,
            "object": record.object,
            "before": None if record.before is None else shown(record.before),
            "after": None if record.after is None else shown(record.after),
        }
        for record in found
    ]
    return {"records": rows, "next": found[-1].id if len(found) == query.limit else None}
