"""Keys, owners and the audit log of the store in memory: see `memory.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..base import ConflictError, KeyNotFoundError
from ..records import AuditRecord, Caller, KeyRecord, OwnerRecord


class MemoryOwners:
    """Users and teams by kind and id."""

    def __init__(self, check: Callable[[], None]) -> None:
        """`check` raises `StoreError` while the store is down."""
        self._check = check
        self._owners: dict[tuple[str, str], OwnerRecord] = {}

    async def create(self, owner: OwnerRecord) -> None:
        """See `OwnerStore.create`."""
        self._check()
        if (owner.kind, owner.id) in self._owners:
            raise ConflictError(f"there is a {owner.kind} {owner.id} already")
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

    async def replace(self, owner: OwnerRecord) -> None:
        """See `OwnerStore.replace`."""
        self._check()
        if (owner.kind, owner.id) not in self._owners:
            raise KeyNotFoundError(f"there is no {owner.kind} {owner.id}")
        self._owners[owner.kind, owner.id] = owner

    async def remove(self, kind: str, owner_id: str) -> bool:
        """See `OwnerStore.remove`."""
        self._check()
        return self._owners.pop((kind, owner_id), None) is not None

    def named(self, kind: str, owner_id: str | None) -> OwnerRecord | None:
        """The owner that a key names, if it is recorded."""
        return None if owner_id is None else self._owners.get((kind, owner_id))


class MemoryKeys:
    """Keys by id and, beside them, the secrets that lead to them."""

    def __init__(self, check: Callable[[], None], owners: MemoryOwners) -> None:
        """`check` as for the owners; `owners` are those that keys may belong to."""
        self._check = check
        self._owners = owners
        self._keys: dict[str, KeyRecord] = {}
        self._secrets: dict[bytes, tuple[str, int | None]] = {}  # hash -> key id, lapses at

    def _known(self, key_id: str) -> KeyRecord:
        self._check()
        if key_id not in self._keys:
            raise KeyNotFoundError(f"no key has the id {key_id}")
        return self._keys[key_id]

    async def create(self, key: KeyRecord, secret_hash: bytes) -> None:
        """See `KeyStore.create`."""
        self._check()
        if key.id in self._keys or secret_hash in self._secrets:
            raise ConflictError("this key or secret exists already")
        self._keys[key.id] = key
        self._secrets[secret_hash] = (key.id, None)

    async def find(
        self,
        secret_hash: bytes,
        *,
        now: int,
        secret: str | None = None,  # noqa: ARG002  # only for tables of the predecessor
    ) -> Caller | None:
        """See `KeyStore.find`."""
        self._check()
        key_id, expires_at = self._secrets.get(secret_hash, ("", None))
        key = self._keys.get(key_id) if expires_at is None or expires_at > now else None
        if key is None:
            return None
        named = self._owners.named
        return Caller(key, named("user", key.user_id), named("team", key.team_id))

    async def get(self, key_id: str) -> KeyRecord | None:
        """See `KeyStore.get`."""
        self._check()
        return self._keys.get(key_id)

    async def list(self) -> Sequence[KeyRecord]:
        """See `KeyStore.list`."""
        self._check()
        return sorted(self._keys.values(), key=lambda key: (key.created_at, key.id))

    async def update(self, key_id: str, changes: dict[str, Any], *, now: int) -> KeyRecord:
        """See `KeyStore.update`."""
        self._keys[key_id] = self._known(key_id).changed(changes, now=now)
        return self._keys[key_id]

    async def rotate(
        self, key_id: str, secret_hash: bytes, secret_hint: str, *, now: int, overlap_seconds: int
    ) -> KeyRecord:
        """See `KeyStore.rotate`."""
        key = self._known(key_id)
        if secret_hash in self._secrets:
            raise ConflictError("this secret exists already")
        lapse = now + overlap_seconds
        for old, (owner, expires_at) in self._secrets.items():
            if owner == key_id and (expires_at is None or expires_at > lapse):
                self._secrets[old] = (owner, lapse)
        self._secrets[secret_hash] = (key_id, None)
        self._keys[key_id] = key.rotated(secret_hint, now=now)
        return self._keys[key_id]


class MemoryAudit:
    """Changes by id."""

    def __init__(self, check: Callable[[], None]) -> None:
        """`check` raises `StoreError` while the store is down."""
        self._check = check
        self._records: dict[str, AuditRecord] = {}

    async def append(self, record: AuditRecord) -> None:
        """See `AuditLog.append`."""
        self._check()
        self._records.setdefault(record.id, record)

    async def list(
        self, *, before: str | None = None, object_id: str | None = None, limit: int = 100
    ) -> Sequence[AuditRecord]:
        """See `AuditLog.list`."""
        self._check()
        found = [
            record
            for identity, record in sorted(self._records.items(), reverse=True)
            if (before is None or identity < before)
            and (object_id is None or record.object == object_id)
        ]
        return found[:limit]
