"""The listing of keys by age, a page at a time.

Partition "keys" of the state table has an entry for each key: its sort key is the second of its
creation, in 12 digits, and its id. Item ("listing", "keys") says that none is missing. It is not
there before all keys were read once, nor while there are keys of the predecessor, which writes no
entries: then all are read each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from typing import Any, Final

from ...aws.dynamodb_values import Item
from ..base.callers import KeyRecord
from . import legacy
from .items import read
from .tables import Tables

_COMPLETE: Final = {"pk": "listing", "sk": "keys"}
_PARTITION: Final = "keys"
_PART: Final = 100  # records that are read at once


class KeyListing:
    """The order of the keys in the state table."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def add(self, key: KeyRecord) -> None:
        """Lists a key; called before the key works, so that none works unlisted."""
        await self._tables.put(self._tables.names.state, _entry(key))

    async def remove(self, key: KeyRecord) -> None:
        """Removes the entry of a key whose creation failed after `add`."""
        await self._tables.delete(self._tables.names.state, _entry(key))

    async def doubt(self) -> None:
        """Makes the next listing read all keys again: there is one of the predecessor."""
        await self._tables.delete(self._tables.names.state, _COMPLETE)

    async def page(self, after: KeyRecord | None, limit: int | None) -> Sequence[KeyRecord]:
        """Returns the keys behind `after`, oldest first, reading no others if it can."""
        if limit == 0:
            return []
        if await self._tables.get(self._tables.names.state, _COMPLETE) is None:
            keys = await self.complete()
            later = [key for key in keys if after is None or _age(key) > _age(after)]
            return later[:limit]
        options: dict[str, Any] = {} if limit is None else {"Limit": limit}
        entries = self._tables.query(
            self._tables.names.state,
            "#pk = :pk AND #sk > :sk",
            {":pk": _PARTITION, ":sk": "0" if after is None else _age(after)},
            **options,
        )
        found: list[KeyRecord] = []
        part: list[str] = []
        async with aclosing(entries):
            async for entry in entries:
                part.append(entry["sk"].partition("#")[2])
                if len(part) == _PART or len(found) + len(part) == limit:
                    found += await self._records(part)
                    part = []
                    if len(found) == limit:
                        return found
        return [*found, *await self._records(part)]

    async def complete(self) -> Sequence[KeyRecord]:
        """Reads every key and lists ours; if the predecessor has none, the listing is complete."""
        theirs: dict[str, KeyRecord] = {}
        ids: set[str] = set()
        async for item in self._tables.scan(self._tables.names.api_keys):
            if legacy.is_secret(item["api_key"]):
                key = legacy.key_of(item)
                theirs[key.id] = key
            else:
                ids.add(item.get("key_id", ""))
        ours = await self._records(ids | theirs.keys())
        await self._tables.put_many(self._tables.names.state, map(_entry, ours))
        if not theirs:
            await self._tables.put(self._tables.names.state, _COMPLETE)
        found = theirs | {key.id: key for key in ours}
        return sorted(found.values(), key=_age)

    async def _records(self, ids: Iterable[str]) -> list[KeyRecord]:
        keys = ({"pk": f"key#{key_id}", "sk": "key"} for key_id in ids)
        items = await self._tables.get_many(self._tables.names.state, keys)
        return sorted((read(item, KeyRecord) for item in items), key=_age)


def _entry(key: KeyRecord) -> Item:
    return {"pk": _PARTITION, "sk": _age(key)}


def _age(key: KeyRecord) -> str:
    return f"{key.created_at:012}#{key.id}"
