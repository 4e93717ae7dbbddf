"""A store that lives and dies with its process: the public fake of the store ports.

It passes the same conformance suite as the real ones. `down = True` makes every call raise
`StoreError`, so that tests can see what an outage does without breaking anything for real.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .base import KeyNotFoundError, StoreError
from .memory_catalog import MemoryCatalog
from .records import KeyRecord, UsageRecord, UsageTotal
from .totals import sum_by


class MemoryStore:
    """All ports over dictionaries."""

    def __init__(self) -> None:
        self.down = False
        self.keys = MemoryKeys(self)
        self.usage = MemoryUsage(self)
        self.catalog = MemoryCatalog(self.check)

    @classmethod
    def from_url(cls, rest: str) -> MemoryStore:
        """The store of `memory://`. Raises `StoreError` if anything follows."""
        if rest.strip("/"):
            raise StoreError("memory:// takes no path")
        return cls()

    def check(self) -> None:
        """Raises `StoreError` while the store is told to be down."""
        if self.down:
            raise StoreError("the in-memory store is down")

    async def open(self) -> None:
        """Nothing to connect to."""
        self.check()

    async def close(self) -> None:
        """Nothing to let go of: the contents stay, so a test may look at them afterwards."""


class MemoryKeys:
    """Keys by id and, beside them, the secrets that lead to them."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._keys: dict[str, KeyRecord] = {}
        self._secrets: dict[bytes, tuple[str, int | None]] = {}  # hash -> key id, lapses at

    def _known(self, key_id: str) -> KeyRecord:
        self._store.check()
        if key_id not in self._keys:
            raise KeyNotFoundError(f"no key has the id {key_id}")
        return self._keys[key_id]

    async def create(self, key: KeyRecord, secret_hash: bytes) -> None:
        """See `KeyStore.create`."""
        self._store.check()
        if key.id in self._keys or secret_hash in self._secrets:
            raise StoreError("this key or secret exists already")
        self._keys[key.id] = key
        self._secrets[secret_hash] = (key.id, None)

    async def find(self, secret_hash: bytes, *, now: int) -> KeyRecord | None:
        """See `KeyStore.find`."""
        self._store.check()
        key_id, expires_at = self._secrets.get(secret_hash, ("", None))
        return self._keys.get(key_id) if expires_at is None or expires_at > now else None

    async def get(self, key_id: str) -> KeyRecord | None:
        """See `KeyStore.get`."""
        self._store.check()
        return self._keys.get(key_id)

    async def list(self) -> Sequence[KeyRecord]:
        """See `KeyStore.list`."""
        self._store.check()
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
            raise StoreError("this key or secret exists already")
        lapse = now + overlap_seconds
        for old, (owner, expires_at) in self._secrets.items():
            if owner == key_id and (expires_at is None or expires_at > lapse):
                self._secrets[old] = (owner, lapse)
        self._secrets[secret_hash] = (key_id, None)
        self._keys[key_id] = key.rotated(secret_hint, now=now)
        return self._keys[key_id]


class MemoryUsage:
    """Usage records by id."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.records: dict[str, UsageRecord] = {}

    async def append(self, records: Sequence[UsageRecord]) -> None:
        """See `UsageLog.append`."""
        self._store.check()
        for record in records:
            self.records.setdefault(record.id, record)

    async def totals(
        self,
        *,
        by: Sequence[str] = ("key_id", "model"),
        since_ms: int | None = None,
        until_ms: int | None = None,
        key_id: str | None = None,
    ) -> Sequence[UsageTotal]:
        """See `UsageLog.totals`."""
        self._store.check()
        return sum_by(
            by,
            (
                record
                for record in self.records.values()
                if (since_ms is None or record.at_ms >= since_ms)
                and (until_ms is None or record.at_ms < until_ms)
                and (key_id is None or record.key_id == key_id)
            ),
        )
