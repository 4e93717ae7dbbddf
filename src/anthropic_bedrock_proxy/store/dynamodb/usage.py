"""Usage in DynamoDB: rows in the predecessor's usage table, sums in ours.

A row has the key id for its `api_key`, "<milliseconds, 15 digits>#<request id>" for its timestamp,
and says which batch it came with. The sums of a day are in partition "sum#<day>", sorted by key;
partition "days" names the days that have sums.

A batch is written in this order: rows, sums, accounts; each sum and each account is changed once
for a batch (see `once.py`), so a batch that was broken off is completed by coming again. Only a
batch that comes again looks for its rows: one that another batch wrote is counted by that. Two
processes that deliver the same record in different batches at the same moment could both count it;
the journal never does that, since a file of it has one owner at a time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from ...aws.dynamodb_values import Item
from ..base.ledger import DAY_MS
from ..base.usage import UsageBatch, UsageRecord, UsageTotal
from ..totals import (
    COLUMNS,
    COUNTED,
    checked_columns,
    spending_of_sums,
    sum_by,
    sums_of,
)
from .each import each
from .items import ItemChange, plain, read
from .ledger import DynamoDBLedger
from .once import Delivery, change_once, delivery_of, is_done, is_unnamed, mark_done
from .tables import Tables

_ROW_NAMES: Final = {"#pk": "api_key", "#sk": "timestamp"}
_OUR_ID: Final = re.compile(r"req_([0-9a-f]{11})")  # begins with the milliseconds
_END_OF_TIME_MS: Final = 253_402_300_799_999  # the year 9999 ends, as for `Moment`


class DynamoDBUsage:
    """A `UsageLog` over the usage table and the state table."""

    # Several batches touch hardly more sums and accounts than one does, and each is one write.
    batches_at_once = 4

    def __init__(
        self,
        tables: Tables,
        ledger: DynamoDBLedger,
        *,
        ttl_days: int | None,
        now: Callable[[], float],
    ) -> None:
        self._tables = tables
        self._ledger = ledger
        self._ttl_seconds = None if ttl_days is None else ttl_days * DAY_MS // 1000
        self._now = now
        self._known_days: set[str] = set()
        self._appending = asyncio.Lock()

    async def append(self, batch: UsageBatch) -> None:
        """See `UsageLog.append`."""
        delivery = delivery_of(batch, now=self._tables.at(int(self._now())))
        rows = {(key := _row_key(r))["api_key"] + key["timestamp"]: r for r in batch.records[::-1]}
        records, fresh = list(rows.values()), batch.through is not None
        if fresh:
            await self._put(records, delivery)
        elif await is_done(self._tables, delivery):
            if batch.writer and (overlooked := await self._overlooked(records)):
                await self.append(UsageBatch(overlooked))
            return
        else:
            # In turn: two of this process must not both find that a row is missing.
            async with self._appending:
                records = await self._new(delivery, records)
                await self._put(records, delivery)
        sums = list(sums_of(records).values())
        await self.count(sums, delivery)
        await self._ledger.spend(spending_of_sums(sums), delivery, fresh=fresh)
        await mark_done(self._tables, delivery)

    async def count(self, sums: Sequence[UsageTotal], delivery: Delivery) -> None:
        """Adds to the sums, once for a delivery."""
        days = {total.day for total in sums if total.day} - self._known_days
        await self._tables.put_many(
            self._tables.names.state, ({"pk": "days", "sk": day} for day in days)
        )
        self._known_days |= days
        await each(lambda total: self._add(total, delivery), sums)

    async def totals(
        self,
        *,
        by: Sequence[str] = ("key_id", "model"),
        since: str | None = None,
        until: str | None = None,
        key_id: str | None = None,
    ) -> Sequence[UsageTotal]:
        """See `UsageLog.totals`."""
        checked_columns(by)
        days = await self._days(since, until)
        found = await each(lambda day: self._sums(day, key_id), days)
        return sum_by(by, (total for sums in found for total in sums))

    async def records(
        self,
        *,
        since_ms: int = 0,
        until_ms: int | None = None,
        key_id: str | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> Sequence[UsageRecord]:
        """See `UsageLog.records`."""
        if after is not None and (ours := _OUR_ID.match(after)):
            since_ms = max(since_ms, int(ours[1], 16))
        last_ms = _END_OF_TIME_MS if until_ms is None else min(until_ms - 1, _END_OF_TIME_MS)
        found: list[UsageRecord] = []
        if since_ms > last_ms or limit < 1 or key_id == "":
            return found
        if key_id is not None:
            return await self._rows(key_id, since_ms, last_ms, after, limit)
        for day in await self._days(_day(since_ms), None):
            keys = {total.key_id for total in await self._sums(day, None) if total.key_id}
            start, end = _bounds(day)
            first, last = max(start, since_ms), min(end, last_ms)
            if first > last_ms:
                break
            pages = await each(lambda key: self._rows(key, first, last, after, limit), keys)  # noqa: B023  # awaited before the loop goes on
            rows = sorted((row for page in pages for row in page), key=lambda row: row.id)
            found += rows[: limit - len(found)]
            if len(found) == limit:
                break
        return found

    async def expire(self, before_ms: int) -> int:  # noqa: ARG002  # the port's name
        """Always 0: DynamoDB deletes rows by their `ttl`, at no cost."""
        return 0

    async def _new(self, delivery: Delivery, records: list[UsageRecord]) -> list[UsageRecord]:
        """Returns the records whose rows do not exist, or were written by this very batch."""
        rows = await self._rows_of(records)
        return [r for r in records if r.id not in rows or delivery.wrote(rows[r.id])]

    async def _overlooked(self, records: list[UsageRecord]) -> tuple[UsageRecord, ...]:
        """Returns the missing records of a batch after which a later one was counted already.

        The journal's order is broken where a file could not be read at its time. The missing
        records become a batch of their own, named by their ids; rows that it has written before
        still belong to it.
        """
        rows = await self._rows_of(records)
        oldest = 0 if self._ttl_seconds is None else int(self._now()) - self._ttl_seconds
        return tuple(
            record
            for record in records
            if (is_unnamed(rows[record.id]) if record.id in rows else record.at_ms >= oldest * 1000)
        )

    async def _rows_of(self, records: Sequence[UsageRecord]) -> dict[str, Item]:
        """Returns the rows that exist, by request id, with their batches."""
        found = await self._tables.get_many(
            self._tables.names.usage,
            map(_row_key, records),
            ProjectionExpression="request_id, #batch",
            ExpressionAttributeNames={"#batch": "batch"},
        )
        return {row["request_id"]: row for row in found}

    async def _put(self, records: Sequence[UsageRecord], delivery: Delivery) -> None:
        items = (self._row(record, delivery) for record in records)
        await self._tables.put_many(self._tables.names.usage, items)

    def _row(self, record: UsageRecord, delivery: Delivery) -> Item:
        row = {**row_of(record), "batch": delivery.name}
        if self._ttl_seconds is not None:
            row["ttl"] = record.at_ms // 1000 + self._ttl_seconds
        return row

    async def _add(self, total: UsageTotal, delivery: Delivery) -> None:
        """Adds one sum to its item, once for a delivery."""
        columns = {name: getattr(total, name) for name in COLUMNS}
        counted = {name: getattr(total, name) for name in (*COUNTED, "cost_nano")}
        change = _addition(
            {name: value for name, value in columns.items() if value is not None},
            {name: value for name, value in counted.items() if value},
        )
        group = sha256(msgspec.json.encode(list(columns.values()))).hexdigest()[:32]
        key = {"pk": f"sum#{total.day}", "sk": f"{total.key_id}#{group}"}
        await change_once(self._tables, key, delivery, change)

    async def _sums(self, day: str, key_id: str | None) -> list[UsageTotal]:
        condition, values = "#pk = :pk", {":pk": f"sum#{day}"}
        if key_id is not None:
            condition += " AND begins_with(#sk, :key)"
            values[":key"] = f"{key_id}#"
        items = self._tables.query(self._tables.names.state, condition, values)
        return [read(item, UsageTotal) async for item in items]

    async def _days(self, since: str | None, until: str | None) -> list[str]:
        """Lists the days that have sums, in order."""
        condition, values = "#pk = :pk", {":pk": "days"}
        if since is not None:
            condition += " AND #sk >= :since"
            values[":since"] = since
        items = self._tables.query(self._tables.names.state, condition, values)
        return [item["sk"] async for item in items if until is None or item["sk"] < until]

    async def _rows(
        self, key_id: str, first_ms: int, last_ms: int, after: str | None, limit: int
    ) -> list[UsageRecord]:
        values = {":pk": key_id, ":first": _stamp(first_ms), ":last": _stamp(last_ms + 1)}
        found: list[UsageRecord] = []
        rows = self._tables.query(
            self._tables.names.usage,
            "#pk = :pk AND #sk BETWEEN :first AND :last",
            values,
            names=_ROW_NAMES,
            Limit=limit,
        )
        async with aclosing(rows):
            async for row in rows:
                if after is None or row["request_id"] > after:
                    found.append(_record(row))
                    if len(found) == limit:
                        break
        return found


def row_of(record: UsageRecord) -> Item:
    """Makes the row of a record, without its batch."""
    row = plain(record)
    del row["key_id"]
    row["request_id"] = row.pop("id")
    return {**row, **_row_key(record)}


def _row_key(record: UsageRecord) -> Item:
    return {"api_key": record.key_id, "timestamp": f"{_stamp(record.at_ms)}#{record.id}"}


def _record(row: Item) -> UsageRecord:
    return read({**row, "id": row["request_id"], "key_id": row["api_key"]}, UsageRecord)


def _stamp(at_ms: int) -> str:
    return f"{at_ms:015}"


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).date().isoformat()


def _bounds(day: str) -> tuple[int, int]:
    """Returns the first and the last millisecond of a day."""
    start = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) * 1000
    return start, start + DAY_MS - 1


def _addition(columns: Item, counted: dict[str, Any]) -> ItemChange:
    """Makes the change that sets the columns of a sum and adds to its counts."""
    names = {f"#{name}": name for name in (*columns, *counted)}
    values = {f":{name}": value for name, value in (columns | counted).items()}
    update = "SET " + ", ".join(f"#{name} = :{name}" for name in columns)
    update += " ADD " + ", ".join(f"#{name} :{name}" for name in counted)
    return ItemChange(update=update, names=names, values=values)
