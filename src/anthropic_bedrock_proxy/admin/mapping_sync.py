"""The names of the last sync (MODEL_MAPPING_SYNC_URL): under the operator's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..store.base.catalog import SyncedMappings
from .call import AdminCall, Change, SyncQuery
from .models import Alias, targets_of
from .moments import timestamp

BedrockId = Annotated[str, Meta(min_length=1, max_length=200)]
# Few enough for one item in any store: DynamoDB takes 400 KB.
Names = Annotated[dict[Alias, BedrockId], Meta(max_length=1000)]


class NewMappings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names of models, and where they came from."""

    source: Annotated[str, Meta(min_length=1, max_length=300)]
    mappings: Names


async def sync(call: AdminCall[NewMappings, SyncQuery]) -> Change | dict[str, Any]:
    """Replaces the names of the last sync, and returns what changes by it.

    A name whose model cannot be routed here is left out: a client that asks for it is served as
    without it. Names that are the same are no change to record.
    """
    body, catalog = call.body, call.store.catalog
    last = await catalog.synced_mappings()
    # Without any names: an alias stands for a model, not for another alias.
    registry = call.site.registry([], {})
    found = {alias: name for alias, name in body.mappings.items() if targets_of(registry, name)}
    before = last.mappings if last is not None else {}
    difference = _difference(before, found)
    report = {
        "source": body.source,
        "synced_at": timestamp(call.now),
        "mappings": len(found),
        **difference,
        "left_out": sorted(body.mappings.keys() - found.keys()),
        "stored": not call.query.dry_run,
    }
    if call.query.dry_run:
        return report
    await catalog.put_synced_mappings(
        SyncedMappings(source=body.source, synced_at=call.now, mappings=found)
    )
    if last is not None and (last.source, before) == (body.source, found):
        return report
    return Change(document=report, object="mappings", after={"source": body.source, **difference})


def _difference(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, list[str]]:
    return {
        "new": sorted(after.keys() - before.keys()),
        "changed": sorted(
            alias for alias in after.keys() & before.keys() if after[alias] != before[alias]
        ),
        "gone": sorted(before.keys() - after.keys()),
    }
