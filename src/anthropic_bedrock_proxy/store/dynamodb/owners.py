"""Users and teams in DynamoDB: partition "owner#user" or "owner#team", by id.

A change of an owner may be judged by the keys with admin scopes that name it, and those are items
elsewhere. So once a key is stored that names an owner, the owner's `write` is renewed: a change
that was judged before that fails, and is judged again. An owner that is being created, and still to
be judged, is an item that is `pending`, which nothing else takes for an owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ...aws.dynamodb_values import Item
from ..base.callers import KeyRecord, OwnerRecord
from ..base.errors import AlreadyExistsError, NoSuchObjectError, StoreError
from ..base.owners import OwnerJudge
from . import legacy
from .items import ItemChange, new_write, plain, read
from .tables import Tables

_MOST_ATTEMPTS: Final = 24
_PENDING_SECONDS: Final = 3600


class DynamoDBOwners:
    """An `OwnerStore` in the state table."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def create(self, owner: OwnerRecord, *, judge: OwnerJudge | None = None) -> None:
        """See `OwnerStore.create`."""
        if judge is None:
            # A write that was sent again after a lost answer finds itself, which is no conflict.
            write = new_write()
            made = await self._put(_item(owner, write), _unless_made(write))
            if not made:
                raise _exists(owner)
            return
        for attempt in range(_MOST_ATTEMPTS):
            pending = _pending(owner, new_write())
            if not await self._put(pending, _unless_made(pending["write"])):
                raise _exists(owner)
            try:
                judge(None, await self._scoped(owner.kind, owner.id))
            except BaseException:
                key = _key(owner.kind, owner.id)
                await self._tables.delete(self._tables.names.state, key, _unchanged(pending))
                raise
            if await self._put(_item(owner, pending["write"]), _unchanged(pending)):
                return
            await self._tables.contended(attempt)
        raise _busy(owner.kind, owner.id)

    async def get(self, kind: str, owner_id: str) -> OwnerRecord | None:
        """See `OwnerStore.get`."""
        item = await self._get(kind, owner_id)
        return None if item is None else _owner(item)

    async def of_key(
        self, user_id: str | None, team_id: str | None
    ) -> tuple[OwnerRecord | None, OwnerRecord | None]:
        """Returns the user and the team that a key names, as far as they are recorded."""
        named = [("user", user_id), ("team", team_id)]
        keys = [_key(kind, owner_id) for kind, owner_id in named if owner_id]
        if not keys:
            return None, None
        items = await self._tables.get_many(self._tables.names.state, keys)
        owners = {owner.kind: owner for owner in map(_owner, filter(_is_made, items))}
        return owners.get("user"), owners.get("team")

    async def list(self, kind: str) -> Sequence[OwnerRecord]:
        """See `OwnerStore.list`."""
        values = {":pk": f"owner#{kind}"}
        items = self._tables.query(self._tables.names.state, "#pk = :pk", values)
        return [_owner(item) async for item in items if _is_made(item)]

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
        write = new_write()
        for attempt in range(_MOST_ATTEMPTS):
            item = await self._get(kind, owner_id)
            if item is None:
                raise NoSuchObjectError(f"no {kind} has the id {owner_id}")
            before = _owner(item)
            if item["write"] == write:
                return before
            after = before.changed(changes, now=now)
            if judge is not None:
                judge(before, await self._scoped(kind, owner_id))
            if await self._put(_item(after, write), _unchanged(item)):
                return after
            await self._tables.contended(attempt)
        raise _busy(kind, owner_id)

    async def remove(self, kind: str, owner_id: str, *, judge: OwnerJudge | None = None) -> bool:
        """See `OwnerStore.remove`."""
        key = _key(kind, owner_id)
        for attempt in range(_MOST_ATTEMPTS):
            item = await self._get(kind, owner_id)
            if item is None:
                # A delete that was sent again after a lost answer finds nothing any more.
                return attempt > 0
            if judge is not None:
                judge(_owner(item), await self._scoped(kind, owner_id))
            if await self._tables.delete(self._tables.names.state, key, _unchanged(item)):
                return True
            await self._tables.contended(attempt)
        raise _busy(kind, owner_id)

    async def tell(self, key: KeyRecord) -> None:
        """Makes changes of a key's owners that were judged without this key fail."""
        if not key.admin_scopes:
            return
        for kind, owner_id in (("user", key.user_id), ("team", key.team_id)):
            if owner_id is not None:
                change = ItemChange(
                    update="SET #write = :mine",
                    condition="attribute_exists(pk)",
                    names={"#write": "write"},
                    values={":mine": new_write()},
                )
                state = self._tables.names.state
                await self._tables.update(state, _key(kind, owner_id), change)

    async def _get(self, kind: str, owner_id: str) -> Item | None:
        item = await self._tables.get(self._tables.names.state, _key(kind, owner_id))
        return item if item is not None and _is_made(item) else None

    async def _put(self, item: Item, unless: ItemChange) -> bool:
        return await self._tables.put(self._tables.names.state, item, unless)

    async def _scoped(self, kind: str, owner_id: str) -> Sequence[KeyRecord]:
        """Returns the keys with admin scopes that name an owner. Reads every key."""
        ids = {
            item.get("key_id", "")
            async for item in self._tables.scan(self._tables.names.api_keys)
            if not legacy.is_secret(item["api_key"])  # the predecessor knew no scopes
        }
        keys = [{"pk": f"key#{key_id}", "sk": "key"} for key_id in ids]
        items = await self._tables.get_many(self._tables.names.state, keys)
        found = [read(item, KeyRecord) for item in items]
        return [key for key in found if key.admin_scopes and key.names(kind, owner_id)]


def _unchanged(item: Item) -> ItemChange:
    """Demands that an item has not changed since it was read or written."""
    return ItemChange(
        condition="#write = :seen", names={"#write": "write"}, values={":seen": item["write"]}
    )


def _unless_made(write: str) -> ItemChange:
    """Demands that there is no such owner, or only the one that this write made."""
    return ItemChange(
        condition="attribute_not_exists(pk) OR attribute_exists(pending) OR #write = :write",
        names={"#write": "write"},
        values={":write": write},
    )


def _pending(owner: OwnerRecord, write: str) -> Item:
    """Makes the item of an owner that is to be judged; it expires if that never happens."""
    until = owner.created_at + _PENDING_SECONDS
    return {**_key(owner.kind, owner.id), "write": write, "pending": True, "ttl": until}


def _is_made(item: Item) -> bool:
    return "pending" not in item


def _exists(owner: OwnerRecord) -> AlreadyExistsError:
    return AlreadyExistsError(f"there is a {owner.kind} {owner.id} already")


def _busy(kind: str, owner_id: str) -> StoreError:
    return StoreError(f"the {kind} {owner_id} is being changed by too many at once")


def _key(kind: str, owner_id: str) -> Item:
    return {"pk": f"owner#{kind}", "sk": owner_id}


def _item(owner: OwnerRecord, write: str) -> Item:
    return {**_key(owner.kind, owner.id), "write": write, **plain(owner)}


def _owner(item: Item) -> OwnerRecord:
    return read(item, OwnerRecord)
