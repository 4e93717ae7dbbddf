"""Adoption of one key of the predecessor: brought into our form, its secret is nowhere any more.

The order is: its spending is written, its record, the item that points to it; only then the item
with the secret is deleted. Broken off anywhere, the key works all the time: by the old item until
the pointer is there, by the record from then on. Done again, each step finds itself done; the
record is
`adopting` until the old item is gone, and is written anew from it as long as nobody changed it.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import Any, Final

from ...aws.dynamodb_values import Item
from ..base.callers import KeyRecord
from ..base.errors import StoreError
from ..secrets import ID_PREFIX, hash_secret
from . import legacy
from .items import ItemChange, new_write, plain
from .ledger import DynamoDBLedger
from .listing import KeyListing
from .tables import Tables

_DERIVED: Final = re.compile(rf"{ID_PREFIX}[0-9a-f]{{16}}")
_MOST_ATTEMPTS: Final = 5
# The fields by which a change of an item of the predecessor is noticed.
_WATCHED: Final = ("is_active", "deactivated_reason", "monthly_budget", "updated_at", "rate_limit")


class Adoption:
    """Takes over keys of the predecessor."""

    def __init__(self, tables: Tables, ledger: DynamoDBLedger, listing: KeyListing) -> None:
        self._tables = tables
        self._ledger = ledger
        self._listing = listing

    async def find(self, key_id: str) -> Item | None:
        """Finds the item of the predecessor whose key has this id. Reads the whole table."""
        if not _DERIVED.fullmatch(key_id):
            return None
        async with aclosing(self._tables.scan(self._tables.names.api_keys)) as items:
            async for item in items:
                secret = item["api_key"]
                if legacy.is_secret(secret) and legacy.key_id_of(secret) == key_id:
                    return item
        return None

    async def adopt(self, item: Item) -> None:
        """Takes over one key. Raises `StoreError`."""
        names = self._tables.names
        secret = item["api_key"]
        key = legacy.key_of(item)
        digest = hash_secret(secret).hex()
        found: Item | None = item
        for _ in range(_MOST_ATTEMPTS):
            if found is None:
                return
            for account, spent in legacy.spending_of_key(found):
                await self._ledger.import_spent(account, spent)
            record = record_item(legacy.key_of(found), {digest: 0}, new_write())
            await self._tables.put(names.state, {**record, "adopting": True}, _UNLESS_CHANGED)
            await self._listing.add(key)
            await self._tables.put(names.api_keys, *pointing(digest, key.id))
            if await self._tables.delete(names.api_keys, {"api_key": secret}, _as_seen(found)):
                return
            found = await self._tables.get(names.api_keys, {"api_key": secret})
        raise StoreError(f"the predecessor keeps changing the key {key.id}; stop it and try again")


_UNLESS_CHANGED: Final = ItemChange(
    condition="attribute_not_exists(pk) OR attribute_exists(adopting)"
)


def record_item(key: KeyRecord, secrets: dict[str, int], write: str) -> Item:
    """Makes the item of a key's record."""
    return {
        **plain(key),
        "pk": f"key#{key.id}",
        "sk": "key",
        "secrets": secrets,
        "write": write,
    }


def pointer(digest: str) -> Item:
    """Returns the primary key of the item that points from a secret's hash to its API key."""
    return {"api_key": f"{legacy.HASHED}{digest}"}


def pointing(digest: str, key_id: str) -> tuple[Item, ItemChange]:
    """Makes that item, and the condition on which to write it."""
    # Not active, because the predecessor would take the item's hash key for a secret.
    item = {**pointer(digest), "key_id": key_id, "is_active": False}
    unless = ItemChange(
        condition="attribute_not_exists(api_key) OR key_id = :key_id",
        values={":key_id": key_id},
    )
    return item, unless


def _as_seen(item: Item) -> ItemChange:
    """Demands that an item of the predecessor has not changed since it was read."""
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    conditions: list[str] = ["attribute_exists(api_key)"]
    for name in _WATCHED:
        names[f"#{name}"] = name
        if name in item:
            values[f":{name}"] = item[name]
            conditions.append(f"#{name} = :{name}")
        else:
            conditions.append(f"attribute_not_exists(#{name})")
    return ItemChange(condition=" AND ".join(conditions), names=names, values=values)
