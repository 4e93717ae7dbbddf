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
# Judges a key before and after; may give it a new secret, which replaces all others.
KeyJudge = Callable[[KeyRecord, KeyRecord], NewSecret | None]
# Judges a user or team (None: not recorded yet) and the keys with admin scopes that name it.
OwnerJudge = Callable[[OwnerRecord | None, Sequence[KeyRecord]], None]


class KeyStore(Protocol):
    """API keys, found by the SHA-256 of their secret."""

    async def create(self, key: KeyRecord, secret_hash: bytes) -> None:
        """Stores a new key; `secret_hash` is the 32-byte SHA-256 of its secret."""
        ...

    async def find(
        self, secret_hash: bytes, *, now: int, secret: str | None = None
    ) -> Caller | None:
        """Finds the key of this secret, active or not; None if the secret lapsed after a rotation.

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
        """Adds a secret; the return value of `judge` is not used.

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
        """Replaces the named fields and returns the changed owner.

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
        day and total), and taken off the holds of the batch's writer there.
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
        """Lists records by id, which is the order of time; `after` is the id of the last one seen.

        With `key_id` only that key's. For exports: never on a request's path.
        """
        ...

    async def expire(self, before_ms: int) -> int:
        """Deletes records (not sums) from before that moment; returns how many.

        0 from a store that expires records by itself.
        """
        ...


# Seconds for which a hold lasts that is only for undelivered usage: nobody may borrow that money,
# and the hold is to outlive a restart. The store ends it when the usage is delivered.
LASTING_SECONDS: Final = 86_400


class Ledger(Protocol):
    """The money spent per account, and what processes hold of the rest.

    A hold lapses unless its process renews it, so that a dead one blocks nobody. It may be
    negative: the process has spent more than it held. For others that counts as 0; what the process
    borrows next makes up for it first.
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
        """Ends a part of a hold that was not spent; a negative amount adds to the hold."""
        ...

    async def renew(self, accounts: Sequence[Account], *, holder: str, until: int) -> None:
        """Keeps the holds of a living process."""
        ...

    async def hold(self, holds: Mapping[Account, int], *, holder: str, until: int) -> None:
        """Sets the holds of `holder` to these amounts until then, lapsed ones too; 0 ends one.

        They may exceed what a budget has left: the money is known to be spent already.
        """
        ...

    async def standings(self, owner: str, *, now: int) -> Sequence[Standing]:
        """Lists every period of an owner, oldest first; "total" last."""
        ...

    async def import_spent(self, account: Account, spent_nano: int) -> bool:
        """Records what was spent elsewhere; False, and nothing done, if the account exists."""
        ...


class AuditLog(Protocol):
    """The log of changes by operators. Nothing in it is ever changed or removed."""

    async def append(self, record: AuditRecord) -> None:
        """Stores a record; storing it again changes nothing."""
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
        """Returns a number that grows with every change of the catalog by any process. Cheap."""
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
        """Replaces the last listing by a new one, all or nothing."""
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
        """Finishes what was accepted, and closes connections and files."""
        ...
