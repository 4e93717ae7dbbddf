"""The ports of the store: what the gateway and the command line may ask of any store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from .records import (
    Account,
    AuditRecord,
    BedrockModel,
    Caller,
    CapabilityOverride,
    KeyRecord,
    ModelMapping,
    NewSecret,
    OwnerRecord,
    PriceRecord,
    ProviderRecord,
    Standing,
    UsageBatch,
    UsageRecord,
    UsageTotal,
)


class StoreError(Exception):
    """The store cannot be reached or refused the operation; the message says which and why."""


class KeyNotFoundError(StoreError):
    """No key has this id."""


class AlreadyExistsError(StoreError):
    """An object to be created that exists already."""


# Judges of a change, asked inside the write and of what is really there then, so that nothing comes
# between the judgement and the change. Whatever one raises ends the write, with nothing done; it
# may be asked more than once, on another thread, and must not wait.
#
# A key before and after; may give it a secret, before which all others give way.
KeyJudge = Callable[[KeyRecord, KeyRecord], NewSecret | None]
# A user or team as it is (None: not recorded yet), and the keys with admin scopes that name it.
OwnerJudge = Callable[[OwnerRecord | None, Sequence[KeyRecord]], None]


class KeyStore(Protocol):
    """API keys, found by the SHA-256 of their secret."""

    async def create(self, key: KeyRecord, secret_hash: bytes) -> None:
        """Stores a new key; `secret_hash` is the 32-byte SHA-256 of its secret."""
        ...

    async def find(
        self, secret_hash: bytes, *, now: int, secret: str | None = None
    ) -> Caller | None:
        """Finds the key that owns this secret, active or not; None if that lapsed after a rotation.

        `secret` is for tables of the predecessor, which hold secrets as they are.
        """
        ...

    async def get(self, key_id: str) -> KeyRecord | None:
        """Returns the key with this id."""
        ...

    async def list(
        self, *, after: str | None = None, limit: int | None = None
    ) -> Sequence[KeyRecord]:
        """Lists every key, or no more than `limit`, oldest first; `after` the id of one seen.

        Reads only those. Raises `KeyNotFoundError` if there is no key `after`.
        """
        ...

    async def update(
        self, key_id: str, changes: dict[str, Any], *, now: int, judge: KeyJudge | None = None
    ) -> KeyRecord:
        """Replaces the named fields and returns the key, with the secret that `judge` gives it.

        Raises `KeyNotFoundError`, `ValueError` for a field that cannot be changed, and whatever
        `judge` raises.
        """
        ...

    async def rotate(
        self, key_id: str, secret: NewSecret, *, now: int, judge: KeyJudge | None = None
    ) -> KeyRecord:
        """Adds a secret; what `judge` returns is of no account.

        Never lengthens what an earlier rotation granted. Raises `KeyNotFoundError`, and whatever
        `judge` raises.
        """
        ...


class OwnerStore(Protocol):
    """Users and teams."""

    async def create(self, owner: OwnerRecord, *, judge: OwnerJudge | None = None) -> None:
        """Stores a new one.

        Raises `AlreadyExistsError` if this kind has one with its id, and whatever `judge` raises.
        """
        ...

    async def get(self, kind: str, owner_id: str) -> OwnerRecord | None:
        """Returns the user or team with this id."""
        ...

    async def list(self, kind: str) -> Sequence[OwnerRecord]:
        """Lists all of a kind, by id."""
        ...

    async def update(
        self,
        kind: str,
        owner_id: str,
        changes: dict[str, Any],
        *,
        now: int,
        judge: OwnerJudge | None = None,
    ) -> OwnerRecord:
        """Replaces the named fields and returns what it is then.

        Raises `KeyNotFoundError`, `ValueError` for a field that cannot be changed, and whatever
        `judge` raises.
        """
        ...

    async def remove(self, kind: str, owner_id: str, *, judge: OwnerJudge | None = None) -> bool:
        """Removes an owner; returns False if there was none. Keys that name it stay as they are.

        Raises whatever `judge` raises.
        """
        ...


class UsageLog(Protocol):
    """Usage records, each counted once however often it is appended."""

    @property
    def batches_at_once(self) -> int:
        """Bounds how many batches of a writer may come as one; see `UsageBatch.through`."""
        ...

    async def append(self, batch: UsageBatch) -> None:
        """Stores the records that are not there yet (by id), counts them, all or none.

        In the same step their cost is spent from the accounts of their key, user and team (month,
        day and total), and leaves what the batch's writer holds there.
        """
        ...

    async def totals(
        self,
        *,
        by: Sequence[str] = ("key_id", "model"),
        since: str | None = None,
        until: str | None = None,
        key_id: str | None = None,
    ) -> Sequence[UsageTotal]:
        """Sums grouped by any of day, key_id, user_id, team_id, model.

        `since` (inclusive) and `until` (exclusive) are days, YYYY-MM-DD. Costs as much as there
        are days, keys and models, not records. Sorted by day, key, user, team, model. Raises
        `ValueError` for another column.
        """
        ...

    async def records(
        self,
        *,
        since_ms: int = 0,
        until_ms: int | None = None,
        key_id: str | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> Sequence[UsageRecord]:
        """Records in the order of their ids, which is that of time; `after` the last one seen.

        With `key_id` only that key's. For exports: never on a request's path.
        """
        ...

    async def expire(self, before_ms: int) -> int:
        """Deletes records (not sums) from before; how many. A store may do so by itself: 0."""
        ...


# What is spent and undelivered, and nothing else, is held for so long: nobody may be lent it, and
# it is to outlive a restart. The store takes it off when it is delivered.
LASTING_SECONDS: Final = 86_400


class Ledger(Protocol):
    """The money spent per account, and what processes hold of the rest.

    A hold lapses unless its process renews it, so that a dead one blocks nobody. It may be below
    nothing: what a process spent beyond it. For others that counts as nothing; what the process
    borrows next makes good for it first.
    """

    async def borrow(
        self,
        account: Account,
        *,
        holder: str,
        amount_nano: int,
        budget_nano: int,
        now: int,
        until: int,
    ) -> tuple[int, Standing]:
        """Adds to what `holder` holds as much of `amount_nano` as the budget has left.

        Returns what was granted (maybe 0), and the standing afterwards. However many borrow at
        once, spent and held together never exceed the budget by it. Times in epoch seconds.
        """
        ...

    async def give_back(self, account: Account, *, holder: str, amount_nano: int) -> None:
        """Lets go of what was held and not spent; below 0, holds what was spent beyond it."""
        ...

    async def renew(self, accounts: Sequence[Account], *, holder: str, until: int) -> None:
        """Keeps the holds of a living process."""
        ...

    async def hold(self, holds: Mapping[Account, int], *, holder: str, until: int) -> None:
        """Makes what `holder` holds exactly this until then, also what had lapsed; 0 ends it.

        It may exceed what a budget has left: it is what is known to be spent already.
        """
        ...

    async def standings(self, owner: str, *, now: int) -> Sequence[Standing]:
        """Lists every period of an owner, oldest first; "total" last."""
        ...

    async def import_spent(self, account: Account, spent_nano: int) -> bool:
        """Records what was spent elsewhere; False, and nothing done, if the account exists."""
        ...


class AuditLog(Protocol):
    """Records who changed what. Nothing in it is ever changed or removed."""

    async def append(self, record: AuditRecord) -> None:
        """Stores a record; once more is the same."""
        ...

    async def list(
        self, *, before: str | None = None, object_id: str | None = None, limit: int = 100
    ) -> Sequence[AuditRecord]:
        """Lists the newest first; `before` an id seen already; maybe only of one object."""
        ...


class Catalog(Protocol):
    """The statements of the operator, and of Bedrock itself, about models and providers.

    Small enough to be read as a whole; who wants to know of changes polls `version`.
    """

    async def version(self) -> int:
        """Grows with every change of anything below, in every process. Cheap."""
        ...

    async def put_mapping(self, mapping: ModelMapping) -> None:
        """Adds or replaces what an alias stands for."""
        ...

    async def remove_mapping(self, alias: str) -> bool:
        """Removes a mapping; returns False if there was none."""
        ...

    async def mappings(self) -> Sequence[ModelMapping]:
        """Lists every mapping, by alias."""
        ...

    async def replace_models(self, models: Sequence[BedrockModel]) -> None:
        """Takes a new listing in place of the last, all or nothing."""
        ...

    async def models(self) -> Sequence[BedrockModel]:
        """Lists the models of the last listing, by id."""
        ...

    async def put_override(self, override: CapabilityOverride) -> bool:
        """Adds or replaces an override; False if it is learned and the operator's word stands."""
        ...

    async def remove_override(self, key: tuple[str, str, str, str]) -> bool:
        """Forgets an override by its (model, dialect, kind, name); False if there was none."""
        ...

    async def overrides(self) -> Sequence[CapabilityOverride]:
        """Lists every override, by kind, name, model and dialect."""
        ...

    async def put_price(self, price: PriceRecord) -> None:
        """Adds or replaces a price."""
        ...

    async def remove_price(self, key: tuple[str, str, int]) -> bool:
        """Forgets the price of a (model, region, valid_from); False if there was none."""
        ...

    async def prices(self) -> Sequence[PriceRecord]:
        """Lists every price, by model, region and beginning."""
        ...

    async def put_provider(self, provider: ProviderRecord) -> None:
        """Adds or replaces a provider."""
        ...

    async def remove_provider(self, name: str) -> bool:
        """Removes a provider; returns False if there was none."""
        ...

    async def providers(self) -> Sequence[ProviderRecord]:
        """Lists every provider, enabled or not, by name."""
        ...

    async def provider(self, name: str) -> ProviderRecord | None:
        """Returns the provider with this name."""
        ...


class Store(Protocol):
    """One backend with all its ports."""

    @property
    def keys(self) -> KeyStore:
        """The API keys."""
        ...

    @property
    def owners(self) -> OwnerStore:
        """Users and teams."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Budgets."""
        ...

    @property
    def audit(self) -> AuditLog:
        """Changes by operators."""
        ...

    @property
    def usage(self) -> UsageLog:
        """The usage records."""
        ...

    @property
    def catalog(self) -> Catalog:
        """Models, overrides and providers."""
        ...

    async def open(self) -> None:
        """Connects and brings the schema up to date. Raises `StoreError`.

        A store that could not be opened may be opened again, and serves from then on.
        """
        ...

    async def close(self) -> None:
        """Finishes what was accepted and lets go."""
        ...
