"""`tables migrate`: everything of the predecessor in our form, and no secret left in any table.

Keys become ours one by one (`adoption.py`). The usage rows and sums that stand under a
secret, also that of a deleted key or of the master key, move to its key id; the rows are counted in
our sums, but spent from no account, since what a key spent is imported as the predecessor summed
it. Names of models and prices are read where they are. Broken off anywhere and run again, it goes
on. The predecessor should not run meanwhile: what it writes later is moved by the next run, but not
counted for days that were.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from ...aws.dynamodb import DynamoDB
from ...aws.dynamodb_values import Item
from ..totals import sums_of
from . import legacy
from .adoption import Adoption
from .ledger import DynamoDBLedger
from .listing import KeyListing
from .once import Delivery
from .tables import TableNames, Tables
from .usage import DynamoDBUsage, row_of

_WRITER: Final = "predecessor"
_PAGE: Final = 100  # rows that are copied before their originals are deleted
_MOVED: Final = "moved"  # marks sums that stand under a key id


class MigrationReport(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of things brought into our form, or to be brought if it was a dry run."""

    keys: int = 0
    usage_rows: int = 0
    usage_stats: int = 0
    mappings: int = 0  # read in place, like prices
    prices: int = 0
    dry_run: bool = False


async def migrate_tables(
    client: DynamoDB,
    names: TableNames,
    *,
    dry_run: bool = False,
    now: Callable[[], float] = time.time,
) -> MigrationReport:
    """Brings the predecessor's tables into our form. Raises `StoreError`; then run it again."""
    tables = Tables(lambda: client, names)
    await tables.open()
    migration = _Migration(tables, dry_run=dry_run, now=now)
    return MigrationReport(
        keys=await migration.keys(),
        usage_rows=await migration.usage(),
        usage_stats=await migration.stats(),
        mappings=len([1 async for _ in tables.scan(names.model_mapping)]),
        prices=len([1 async for item in tables.scan(names.model_pricing) if legacy.price_of(item)]),
        dry_run=dry_run,
    )


class _Migration:
    """The steps of a migration: each counts its items, and moves them unless it is a dry run."""

    def __init__(self, tables: Tables, *, dry_run: bool, now: Callable[[], float]) -> None:
        ledger = DynamoDBLedger(tables)
        self._tables = tables
        self._names = tables.names
        self._dry_run = dry_run
        self._delivery = Delivery(_WRITER, 1, int(now()), 1)
        self._listing = KeyListing(tables)
        self._adoption = Adoption(tables, ledger, self._listing)
        self._usage = DynamoDBUsage(tables, ledger, ttl_days=None, now=now)

    async def keys(self) -> int:
        found = 0
        async for item in self._tables.scan(self._names.api_keys):
            if legacy.is_secret(item["api_key"]):
                found += 1
                if not self._dry_run:
                    await self._adoption.adopt(item)
        if not self._dry_run:
            await self._listing.complete()
        return found

    async def usage(self) -> int:
        secrets: dict[str, int] = {}
        async for row in self._tables.scan(
            self._names.usage,
            ProjectionExpression="api_key, #timestamp",
            ExpressionAttributeNames={"#timestamp": "timestamp"},
        ):
            if legacy.is_legacy_row(row):
                secrets[row["api_key"]] = secrets.get(row["api_key"], 0) + 1
        if not self._dry_run:
            for secret in secrets:
                await self._move_rows(secret)
        return sum(secrets.values())

    async def stats(self) -> int:
        found = 0
        async for item in self._tables.scan(self._names.usage_stats):
            if not item.get(_MOVED):
                found += 1
                if not self._dry_run:
                    await self._move_stats(item)
        return found

    async def _move_rows(self, secret: str) -> None:
        """Moves the rows of a secret; sums count all of them before the first is deleted."""
        key_id = legacy.key_id_of(secret)
        rows = [
            row
            async for row in self._tables.query(
                self._names.usage, "#pk = :pk", {":pk": secret}, names={"#pk": "api_key"}
            )
            if legacy.is_legacy_row(row)
        ]
        records = [legacy.usage_of(row, key_id) for row in rows]
        await self._usage.count(list(sums_of(records).values()), self._delivery)
        for start in range(0, len(rows), _PAGE):
            await self._move_page(rows[start : start + _PAGE], key_id)

    async def _move_page(self, rows: Sequence[Item], key_id: str) -> None:
        moved = [
            {
                **_kept(row),
                **row_of(legacy.usage_of(row, key_id)),
                "batch": self._delivery.name,
            }
            for row in rows
        ]
        await self._tables.put_many(self._names.usage, moved)
        await self._tables.delete_many(
            self._names.usage,
            [{"api_key": row["api_key"], "timestamp": row["timestamp"]} for row in rows],
        )

    async def _move_stats(self, item: Item) -> None:
        secret = item["api_key"]
        moved = {**item, "api_key": legacy.key_id_of(secret), _MOVED: True}
        await self._tables.put(self._names.usage_stats, moved)
        await self._tables.delete(self._names.usage_stats, {"api_key": secret})


def _kept(row: Item) -> Item:
    """Returns the fields of a row that our records lack, without those that repeat the secret."""
    fields = {**row, "predecessor_request_id": row.get("request_id")}
    return {
        name: fields[name]
        for name in ("predecessor_request_id", "error_message", "metadata", "ttl")
        if fields.get(name) is not None and row["api_key"] not in repr(fields[name])
    }
