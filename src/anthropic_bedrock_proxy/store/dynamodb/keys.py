"""API keys in DynamoDB.

In partition "key#<id>" of the state table there is the record of a key, with its `secrets`: the
SHA-256 of each, in hex, and when it lapses (0: never). In the api-keys table an item under
"sha256:<hex>" names the `key_id` that a secret may belong to; whether it does, the record says. So
a rotation is one conditional write: the new secret is pointed to before it, and works after it.

Items of the predecessor have the secret itself for their hash key. They are found by it as long as
they are there; a change of such a key brings it into our form first (`adoption.py`).

Item ("first-key", "claim") is of whoever makes the first key of a store: one of several that start
at once. After a minute it counts no longer: its owner has made the key, or has died.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ...aws.dynamodb_values import Item
from ..base.callers import Caller, KeyRecord, NewSecret
from ..base.errors import AlreadyExistsError, NoSuchObjectError, StoreError
from ..base.keys import KeyJudge
from ..base.ledger import TOTAL
from . import legacy
from .adoption import Adoption, pointer, pointing, record_item
from .items import ItemChange, new_write, read
from .ledger import DynamoDBLedger
from .listing import KeyListing
from .owners import DynamoDBOwners
from .tables import Tables

_MOST_ATTEMPTS: Final = 24
_CLAIM: Final = {"pk": "first-key", "sk": "claim"}
_CLAIM_SECONDS: Final = 60
_CLAIM_KEPT_SECONDS: Final = 86_400
_EXISTS: Final = "this key or secret exists already"

Secrets = dict[str, int]  # hex SHA-256 -> when it lapses, epoch seconds; 0: never


class DynamoDBKeys:
    """A `KeyStore` over the api-keys table and the state table."""

    def __init__(self, tables: Tables, owners: DynamoDBOwners, ledger: DynamoDBLedger) -> None:
        self._tables = tables
        self._owners = owners
        self._ledger = ledger
        self._listing = KeyListing(tables)
        self._adoption = Adoption(tables, ledger, self._listing)
        self._imported: set[tuple[str, str]] = set()  # key id, month

    async def create(self, key: KeyRecord, secret_hash: bytes, *, first: bool = False) -> None:
        """See `KeyStore.create`."""
        write = new_write()
        if first and not await self._is_first(key, write):
            raise AlreadyExistsError("the store has keys already, or somebody makes the first now")
        state = self._tables.names.state
        mine = ItemChange(
            condition="attribute_not_exists(pk) OR #write = :mine",
            names={"#write": "write"},
            values={":mine": write},
        )
        item = record_item(key, {secret_hash.hex(): 0}, write)
        if not await self._tables.put(state, item, mine):
            raise AlreadyExistsError(_EXISTS)
        await self._listing.add(key)
        if not await self._point(secret_hash, key.id):
            ours = ItemChange(
                condition="#write = :mine", names={"#write": "write"}, values={":mine": write}
            )
            await self._tables.delete(state, _key(key.id), ours)
            await self._listing.remove(key)
            raise AlreadyExistsError(_EXISTS)
        await self._owners.tell(key)

    async def _is_first(self, key: KeyRecord, write: str) -> bool:
        """Claims the right to make the first key; tells whether there is none, and none comes."""
        at = self._tables.at(key.created_at)
        claim = {**_CLAIM, "write": write, "at": at, "ttl": at + _CLAIM_KEPT_SECONDS}
        free = ItemChange(
            condition="attribute_not_exists(pk) OR #at < :old OR #write = :mine",
            names={"#at": "at", "#write": "write"},
            values={":old": at - _CLAIM_SECONDS, ":mine": write},
        )
        if not await self._tables.put(self._tables.names.state, claim, free):
            return False
        return not await self._listing.page(None, 1)

    async def find(
        self, secret_hash: bytes, *, now: int, secret: str | None = None
    ) -> Caller | None:
        """See `KeyStore.find`."""
        key = await self._hashed(secret_hash, now)
        # A hash is no secret: whoever has read the table must not be let in by what it says.
        if key is None and secret and legacy.is_secret(secret):
            key = await self._legacy(secret, now)
        if key is None:
            return None
        user, team = await self._owners.of_key(key.user_id, key.team_id)
        return Caller(key, user, team)

    async def get(self, key_id: str) -> KeyRecord | None:
        """See `KeyStore.get`."""
        item = await self._tables.get(self._tables.names.state, _key(key_id))
        if item is not None:
            return _record(item)
        found = await self._adoption.find(key_id)
        return None if found is None else legacy.key_of(found)

    async def list(
        self, *, after: str | None = None, limit: int | None = None
    ) -> Sequence[KeyRecord]:
        """See `KeyStore.list`."""
        last = None if after is None else await self.get(after)
        if after is not None and last is None:
            raise _unknown(after)
        return await self._listing.page(last, limit)

    async def update(
        self, key_id: str, changes: dict[str, Any], *, now: int, judge: KeyJudge | None = None
    ) -> KeyRecord:
        """See `KeyStore.update`."""

        def change(before: KeyRecord) -> tuple[KeyRecord, NewSecret | None]:
            after = before.changed(changes, now=now)
            return after, judge(before, after) if judge is not None else None

        key = await self._replace(key_id, change, now)
        await self._owners.tell(key)
        return key

    async def rotate(
        self, key_id: str, secret: NewSecret, *, now: int, judge: KeyJudge | None = None
    ) -> KeyRecord:
        """See `KeyStore.rotate`."""

        def change(key: KeyRecord) -> tuple[KeyRecord, NewSecret | None]:
            if judge is not None:
                judge(key, key)
            return key, secret

        return await self._replace(key_id, change, now)

    async def _hashed(self, secret_hash: bytes, now: int) -> KeyRecord | None:
        digest = secret_hash.hex()
        found = await self._tables.get(self._tables.names.api_keys, pointer(digest))
        if found is None:
            return None
        item = await self._tables.get(self._tables.names.state, _key(found.get("key_id", "")))
        lapse = None if item is None else item["secrets"].get(digest)
        if item is None or lapse is None or 0 < lapse <= self._tables.at(now):
            return None
        return _record(item)

    async def _legacy(self, secret: str, now: int) -> KeyRecord | None:
        """Finds a key of the predecessor, whose spending is imported before we add to it."""
        item = await self._tables.get(self._tables.names.api_keys, {"api_key": secret})
        if item is None:
            return None
        key = legacy.key_of(item)
        month = f"{datetime.fromtimestamp(now, UTC):%Y-%m}"
        if (key.id, month) not in self._imported:
            for account, spent in legacy.spending_of_key(item):
                if account.period in {month, TOTAL}:
                    await self._ledger.import_spent(account, spent)
            await self._listing.doubt()
            self._imported.add((key.id, month))
        return key

    async def _point(self, secret_hash: bytes, key_id: str) -> bool:
        item, unless = pointing(secret_hash.hex(), key_id)
        return await self._tables.put(self._tables.names.api_keys, item, unless)

    async def _unpoint(self, digests: Sequence[str]) -> None:
        for digest in digests:
            await self._tables.delete(self._tables.names.api_keys, pointer(digest))

    async def _own(self, key_id: str) -> Item:
        """Returns the item of a key, brought into our form. Raises `NoSuchObjectError`."""
        state = self._tables.names.state
        item = await self._tables.get(state, _key(key_id))
        if item is None or item.get("adopting"):
            found = await self._adoption.find(key_id)
            if found is not None:
                await self._adoption.adopt(found)
                item = await self._tables.get(state, _key(key_id))
        if item is None:
            raise _unknown(key_id)
        return item

    async def _replace(
        self,
        key_id: str,
        change: Callable[[KeyRecord], tuple[KeyRecord, NewSecret | None]],
        now: int,
    ) -> KeyRecord:
        """Changes a key and its secrets in one write, unless they changed since they were read."""
        write = new_write()
        gone: list[str] = []
        for attempt in range(_MOST_ATTEMPTS):
            item = await self._own(key_id)
            if item["write"] == write:
                await self._unpoint(gone)
                return _record(item)
            key, secret = change(_record(item))
            secrets: Secrets = dict(item["secrets"])
            if secret is not None:
                if secret.hash.hex() in secrets or not await self._point(secret.hash, key_id):
                    raise AlreadyExistsError(_EXISTS)
                secrets, gone = _rotated(secrets, secret, self._tables.at(now))
                key = key.rotated(secret.hint, now=now)
            unchanged = ItemChange(
                condition="#write = :seen",
                names={"#write": "write"},
                values={":seen": item["write"]},
            )
            new = record_item(key, secrets, write)
            if await self._tables.put(self._tables.names.state, new, unchanged):
                await self._unpoint(gone)
                return key
            await self._tables.contended(attempt)
        raise StoreError(f"the key {key_id} is being changed by too many at once")


def _unknown(key_id: str) -> NoSuchObjectError:
    return NoSuchObjectError(f"no key has the id {key_id[:200]}")


def _key(key_id: str) -> Item:
    return {"pk": f"key#{key_id}", "sk": "key"}


def _rotated(secrets: Secrets, added: NewSecret, now: int) -> tuple[Secrets, list[str]]:
    """Adds a secret; returns (the secrets that are valid then, the hashes of those that ended)."""
    lapse = now + added.overlap_seconds
    later = {digest: min(at or lapse, lapse) for digest, at in secrets.items()}
    kept = {digest: at for digest, at in later.items() if at > now}
    return {**kept, added.hash.hex(): 0}, [digest for digest in later if digest not in kept]


def _record(item: Item) -> KeyRecord:
    return read(item, KeyRecord)
