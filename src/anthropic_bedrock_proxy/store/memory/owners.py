"""Users and teams of the store in memory: see `store.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..base.callers import KeyRecord, OwnerRecord
from ..base.errors import AlreadyExistsError, NoSuchObjectError
from ..base.owners import OwnerJudge


class MemoryOwners:
    """Users and teams by kind and id."""

    def __init__(self, check: Callable[[], None], keys: Mapping[str, KeyRecord]) -> None:
        """`check` raises `StoreError` while the store is down; `keys` are those of the store."""
        self._check = check
        self._keys = keys
        self._owners: dict[tuple[str, str], OwnerRecord] = {}

    async def create(self, owner: OwnerRecord, *, judge: OwnerJudge | None = None) -> None:
        """See `OwnerStore.create`."""
        self._check()
        if (owner.kind, owner.id) in self._owners:
            raise AlreadyExistsError(f"there is a {owner.kind} {owner.id} already")
        self._judge(judge, owner.kind, owner.id)
        self._owners[owner.kind, owner.id] = owner

    async def get(self, kind: str, owner_id: str) -> OwnerRecord | None:
        """See `OwnerStore.get`."""
        self._check()
        return self.named(kind, owner_id)

    async def list(self, kind: str) -> Sequence[OwnerRecord]:
        """See `OwnerStore.list`."""
        self._check()
        return sorted(
            (owner for owner in self._owners.values() if owner.kind == kind),
            key=lambda owner: owner.id,
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
        self._check()
        if (kind, owner_id) not in self._owners:
            raise NoSuchObjectError(f"no {kind} has the id {owner_id}")
        after = self._owners[kind, owner_id].changed(changes, now=now)
        self._judge(judge, kind, owner_id)
        self._owners[kind, owner_id] = after
        return after

    async def remove(self, kind: str, owner_id: str, *, judge: OwnerJudge | None = None) -> bool:
        """See `OwnerStore.remove`."""
        self._check()
        if (kind, owner_id) not in self._owners:
            return False
        self._judge(judge, kind, owner_id)
        del self._owners[kind, owner_id]
        return True

    def named(self, kind: str, owner_id: str | None) -> OwnerRecord | None:
        """Returns the owner that a key names, if it is recorded."""
        return None if owner_id is None else self._owners.get((kind, owner_id))

    def _judge(self, judge: OwnerJudge | None, kind: str, owner_id: str) -> None:
        if judge is not None:
            named = [key for key in self._keys.values() if key.names(kind, owner_id)]
            judge(self._owners.get((kind, owner_id)), [key for key in named if key.admin_scopes])
