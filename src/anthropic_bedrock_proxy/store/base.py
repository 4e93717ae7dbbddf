"""The ports of the store: what the gateway and the command line may ask of any store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from .records import (
    BedrockModel,
    CapabilityOverride,
    KeyRecord,
    ModelMapping,
    ProviderRecord,
    UsageRecord,
    UsageTotal,
)


class StoreError(Exception):
    """The store cannot be reached or refused the operation; the message says which and why."""


class KeyNotFoundError(StoreError):
    """No key has this id."""


class KeyStore(Protocol):
    """API keys, found by the SHA-256 of their secret."""

    async def create(self, key: KeyRecord, secret_hash: bytes) -> None:
        """Stores a new key; `secret_hash` is the 32-byte SHA-256 of its secret."""
        ...

    async def find(self, secret_hash: bytes, *, now: int) -> KeyRecord | None:
        """The key that owns this secret, active or not; None once a rotated-out secret lapsed."""
        ...

    async def get(self, key_id: str) -> KeyRecord | None:
        """The key with this id."""
        ...

    async def list(self) -> Sequence[KeyRecord]:
        """Every key, oldest first."""
        ...

    async def update(self, key_id: str, changes: dict[str, Any], *, now: int) -> KeyRecord:
        """Replaces the named fields and returns the key.

        Raises `KeyNotFoundError`, and `ValueError` for a field that cannot be changed.
        """
        ...

    async def rotate(
        self, key_id: str, secret_hash: bytes, secret_hint: str, *, now: int, overlap_seconds: int
    ) -> KeyRecord:
        """Adds a secret; earlier ones stop working after `overlap_seconds`, 0 meaning at once.

        Never lengthens what an earlier rotation granted. Raises `KeyNotFoundError`.
        """
        ...


class UsageLog(Protocol):
    """Usage records, each counted once however often it is appended."""

    async def append(self, records: Sequence[UsageRecord]) -> None:
        """Stores the records that are not there yet (by id), all or none."""
        ...

    async def totals(
        self,
        *,
        by: Sequence[str] = ("key_id", "model"),
        since_ms: int | None = None,
        until_ms: int | None = None,
        key_id: str | None = None,
    ) -> Sequence[UsageTotal]:
        """Sums grouped by any of key_id, model, day; since inclusive, until exclusive.

        Sorted by day, key_id, model. Raises `ValueError` for another column.
        """
        ...


class Catalog(Protocol):
    """What the operator, and Bedrock itself, said about models and places.

    Small enough to be read as a whole; who wants to know of changes polls `version`.
    """

    async def version(self) -> int:
        """Grows with every change of anything below, in every process. Cheap."""
        ...

    async def put_mapping(self, mapping: ModelMapping) -> None:
        """Adds or replaces what an alias stands for."""
        ...

    async def remove_mapping(self, alias: str) -> bool:
        """False if there was none."""
        ...

    async def mappings(self) -> Sequence[ModelMapping]:
        """Every mapping, by alias."""
        ...

    async def replace_models(self, models: Sequence[BedrockModel]) -> None:
        """Takes a new listing in place of the last, all or nothing."""
        ...

    async def models(self) -> Sequence[BedrockModel]:
        """The last listing, by id."""
        ...

    async def put_override(self, override: CapabilityOverride) -> bool:
        """Adds or replaces a verdict; False if it is learned and the operator's word stands."""
        ...

    async def remove_override(self, key: tuple[str, str, str, str]) -> bool:
        """Forgets a verdict by its (model, dialect, kind, name); False if there was none."""
        ...

    async def overrides(self) -> Sequence[CapabilityOverride]:
        """Every verdict, by kind, name, model and dialect."""
        ...

    async def put_provider(self, provider: ProviderRecord) -> None:
        """Adds or replaces a place."""
        ...

    async def remove_provider(self, name: str) -> bool:
        """False if there was none."""
        ...

    async def providers(self) -> Sequence[ProviderRecord]:
        """Every place, enabled or not, by name."""
        ...

    async def provider(self, name: str) -> ProviderRecord | None:
        """The place with this name."""
        ...


class Store(Protocol):
    """One backend with all its ports."""

    @property
    def keys(self) -> KeyStore:
        """The API keys."""
        ...

    @property
    def usage(self) -> UsageLog:
        """The usage records."""
        ...

    @property
    def catalog(self) -> Catalog:
        """Models, verdicts and places."""
        ...

    async def open(self) -> None:
        """Connects and brings the schema up to date. Raises `StoreError`."""
        ...

    async def close(self) -> None:
        """Finishes what was accepted and lets go."""
        ...
