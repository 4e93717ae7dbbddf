"""Users and teams in DynamoDB: partition "owner#user" or "owner#team", by id."""

from __future__ import annotations

from collections.abc import Sequence

from ...aws.dynamodb_values import Item
from ..base import ConflictError, KeyNotFoundError
from ..records import OwnerRecord
from .tables import Change, Tables, new_write, plain, read


class DynamoDBOwners:
    """An `OwnerStore` in the state table."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def create(self, owner: OwnerRecord) -> None:
        """See `OwnerStore.create`."""
        # Sent again after a lost answer it finds itself, and that is no conflict.
        mine = Change(
            condition="attribute_not_exists(pk) OR #write = :write",
            names={"#write": "write"},
            values={":write": (write := new_write())},
        )
        if not await self._tables.put(self._tables.names.state, _item(owner, write), mine):
            raise ConflictError(f"there is a {owner.kind} {owner.id} already")

    async def get(self, kind: str, owner_id: str) -> OwnerRecord | None:
        """See `OwnerStore.get`."""
        item = await self._tables.get(self._tables.names.state, _key(kind, owner_id))
        return None if item is None else _owner(item)

    async def of_key(
        self, user_id: str | None, team_id: str | None
    ) -> tuple[OwnerRecord | None, OwnerRecord | None]:
        """The user and the team that a key names, as far as they are recorded."""
        named = [("user", user_id), ("team", team_id)]
        keys = [_key(kind, owner_id) for kind, owner_id in named if owner_id]
        if not keys:
            return None, None
        found = map(_owner, await self._tables.get_many(self._tables.names.state, keys))
        owners = {owner.kind: owner for owner in found}
        return owners.get("user"), owners.get("team")

    async def list(self, kind: str) -> Sequence[OwnerRecord]:
        """See `OwnerStore.list`."""
        values = {":pk": f"owner#{kind}"}
        items = self._tables.query(self._tables.names.state, "#pk = :pk", values)
        return [_owner(item) async for item in items]

    async def replace(self, owner: OwnerRecord) -> None:
        """See `OwnerStore.replace`."""
        there = Change(condition="attribute_exists(pk)")
        item = _item(owner, new_write())
        if not await self._tables.put(self._tables.names.state, item, there):
            raise KeyNotFoundError(f"no {owner.kind} has the id {owner.id}")

    async def remove(self, kind: str, owner_id: str) -> bool:
        """See `OwnerStore.remove`."""
        return await self._tables.remove(self._tables.names.state, _key(kind, owner_id))


def _key(kind: str, owner_id: str) -> Item:
    return {"pk": f"owner#{kind}", "sk": owner_id}


def _item(owner: OwnerRecord, write: str) -> Item:
    return {**_key(owner.kind, owner.id), "write": write, **plain(owner)}


def _owner(item: Item) -> OwnerRecord:
    return read(item, OwnerRecord)
