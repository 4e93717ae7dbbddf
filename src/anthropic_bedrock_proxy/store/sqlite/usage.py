"""Usage in the SQLite file: records, their sums by day, and what they cost."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec

from ..records import UsageBatch, UsageRecord, UsageTotal
from ..totals import COLUMNS, checked_columns, spending_of_sums, sums_of
from .file import SQLiteFile
from .ledger import spend
from .schema import QUERIES, transaction

FOREVER_MS = 2**63 - 1
_LAST_DAY = "A"  # comes after every digit
_INSERTED_AT_ONCE = 128  # rows; SQLite takes 32766 values
_EXPIRED_AT_ONCE = 5000  # rows: others may write in between
_FLAGS = ("stream", "estimated", "disconnected")
_DEFAULTS = tuple(field.default for field in msgspec.structs.fields(UsageRecord))
_LITERALS = {None: "NULL", 0: "0", "": "''"}  # of every default


class SQLiteUsage:
    """Usage records."""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file

    async def append(self, batch: UsageBatch) -> None:
        """See `UsageLog.append`."""
        if not batch.records:
            return

        def work(connection: sqlite3.Connection) -> None:
            # Before the transaction, since nearly always all records are new.
            sums = sums_of(batch.records)
            with transaction(connection):
                new = _insert(connection, batch.records)
                counted = sums if len(new) == len(batch.records) else sums_of(new)
                _insert_rows(connection, "append_daily", map(_daily_row, counted.values()))
                spend(connection, spending_of_sums(counted.values()), batch.writer)

        await self._file.run(work)

    async def totals(
        self,
        *,
        by: Sequence[str] = ("key_id", "model"),
        since: str | None = None,
        until: str | None = None,
        key_id: str | None = None,
    ) -> Sequence[UsageTotal]:
        """See `UsageLog.totals`."""
        grouped = checked_columns(by)
        query = QUERIES["totals" if key_id is None else "totals_of_key"]
        parameters: dict[str, Any] = {f"by_{column}": column in grouped for column in COLUMNS}
        parameters["key_id"] = key_id
        parameters["since"] = since or ""
        parameters["until"] = _LAST_DAY if until is None else until
        return await self._file.run(
            lambda connection: [
                UsageTotal(**dict(row)) for row in connection.execute(query, parameters)
            ]
        )

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
        query = QUERIES["list_usage" if key_id is None else "list_usage_of_key"]
        parameters = {
            "since_ms": since_ms,
            "until_ms": FOREVER_MS if until_ms is None else until_ms,
            "key_id": key_id,
            "after": after or "",
            "limit": limit,
        }
        return await self._file.run(
            lambda connection: [_record(row) for row in connection.execute(query, parameters)]
        )

    async def expire(self, before_ms: int) -> int:
        """See `UsageLog.expire`."""
        parameters = {"before_ms": before_ms, "limit": _EXPIRED_AT_ONCE}
        expired = 0
        while some := await self._file.run(
            lambda connection: connection.execute(QUERIES["expire_usage"], parameters).rowcount
        ):
            expired += some
        return expired


def _insert(
    connection: sqlite3.Connection, records: Sequence[UsageRecord]
) -> Sequence[UsageRecord]:
    """Those of `records` that were not there, now that they are."""
    connection.execute(QUERIES["before_append"])
    inserted = _insert_records(connection, records)
    if inserted == len(records):
        return records
    # SQLite told how many were there already, not which.
    connection.execute(QUERIES["undo_append"])
    new = {record.id: record for record in reversed(records)}  # of two, the first counts
    for identity in list(new):
        if connection.execute(QUERIES["has_usage"], (identity,)).fetchone():
            del new[identity]
    _insert_records(connection, list(new.values()))
    return list(new.values())


def _insert_records(connection: sqlite3.Connection, records: Sequence[UsageRecord]) -> int:
    """As `_insert_rows`. What no record tells is written into the statement.

    That is most of a record, and binding None or a bool costs three times a number.
    """
    if not records:
        return 0
    bound: list[tuple[Any, ...]] = []
    row: list[str] = []
    columns = zip(*map(msgspec.structs.astuple, records), strict=True)
    for column, default in zip(columns, _DEFAULTS, strict=True):
        if column.count(default) == len(column):
            row.append(_LITERALS[default])
        else:
            row.append("?")
            bound.append(column)
    rows = zip(*bound, strict=True)
    return _insert_rows(connection, "append_usage", rows, row=f"({', '.join(row)})")


def _insert_rows(
    connection: sqlite3.Connection, query: str, rows: Iterable[tuple[Any, ...]], *, row: str = ""
) -> int:
    """Inserts the rows by few statements; how many there are now and were not.

    Not `executemany`: it gives up and takes the interpreter's lock for each row, and the thread
    that serves requests waits for it as often. Each statement is for a power of two of rows: a
    prepared one takes 1 KB a row and stays, so there must be few and small ones.
    `row` stands in the place of the query's own row of placeholders.
    """
    waiting = list(rows)
    inserted = start = 0
    while left := len(waiting) - start:
        count = 1 << min(left, _INSERTED_AT_ONCE).bit_length() - 1
        values = tuple(chain.from_iterable(waiting[start : start + count]))
        inserted += connection.execute(_repeated(query, row, count), values).rowcount
        start += count
    return inserted


@lru_cache(maxsize=64)
def _repeated(query: str, row: str, rows: int) -> str:
    """The statement with a row of placeholders as often as there are rows."""
    head, own, tail = re.split(r"(\([?,\s]+\))", QUERIES[query])
    return head + ", ".join([row or own] * rows) + tail


def _daily_row(total: UsageTotal) -> tuple[Any, ...]:
    day, key_id, user_id, team_id, *rest, cost_nano = msgspec.structs.astuple(total)
    return (day, key_id, user_id or "", team_id or "", *rest, cost_nano or 0)


def _record(row: sqlite3.Row) -> UsageRecord:
    fields = dict(row)
    for flag in _FLAGS:
        fields[flag] = bool(fields[flag])
    return UsageRecord(**fields)
