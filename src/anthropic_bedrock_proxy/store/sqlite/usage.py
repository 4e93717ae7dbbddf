"""Usage in the SQLite file: records, their sums by day, and what they cost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec

from ..base.usage import UsageBatch, UsageRecord, UsageTotal
from ..totals import COLUMNS, COUNTED, checked_columns, spending_of_sums, sums_of
from .file import SQLiteFile
from .ledger import spend
from .schema import QUERIES, spilling, transaction

FOREVER_MS = 2**63 - 1
_LAST_DAY = "A"  # comes after every digit
_INSERTED_AT_ONCE = 128  # rows; SQLite takes 32766 values
_EXPIRED_AT_ONCE = 5000  # rows: others may write in between
_FLAGS = ("stream", "estimated", "disconnected")
_DEFAULTS = tuple(field.default for field in msgspec.structs.fields(UsageRecord))
_LITERALS: dict[Any, str] = {None: "NULL", 0: "0", "": "''"}  # of every default
_BOUND = "?"
_DAILY_ROW = f"({', '.join(_BOUND * len(UsageTotal.__struct_fields__))})"


class SQLiteUsage:
    """Usage records."""

    batches_at_once = 1  # one transaction each, which others wait for

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file
        self._row = UsageRow()  # used by the file's thread alone

    async def append(self, batch: UsageBatch) -> None:
        """See `UsageLog.append`."""
        if not batch.records:
            return

        def work(connection: sqlite3.Connection) -> None:
            # Before the transaction, since nearly always all records are new.
            sums = sums_of(batch.records)
            with transaction(connection):
                new = _insert(connection, batch.records, self._row)
                counted = sums if len(new) == len(batch.records) else sums_of(new)
                daily = map(_daily_row, counted.values())
                _insert_rows(connection, "append_daily", _DAILY_ROW, daily)
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

        def work(connection: sqlite3.Connection) -> list[UsageTotal]:
            with spilling(connection):
                try:
                    rows = connection.execute(query, parameters)
                    return [UsageTotal(**dict(row)) for row in rows]
                except sqlite3.OperationalError as error:
                    if "integer overflow" not in str(error):
                        raise
                    return _exact_totals(connection, query, parameters)

        return await self._file.run(work)

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


class ExactSum:
    """The aggregate function `exact_sum`, for sums of more than 64 bits: as text then."""

    def __init__(self) -> None:
        self._sum = 0

    def step(self, value: int) -> None:
        """Adds one number."""
        self._sum += value

    def finalize(self) -> int | str:
        """Returns the sum."""
        return self._sum if self._sum <= FOREVER_MS else str(self._sum)


def _exact_totals(
    connection: sqlite3.Connection, query: str, parameters: dict[str, Any]
) -> list[UsageTotal]:
    """Sums up beyond 64 bits, where SQLite's own sums end; some ten times slower."""
    connection.create_aggregate("exact_sum", 1, ExactSum)  # type: ignore[arg-type]  # see finalize
    rows = connection.execute(query.replace("sum(", "exact_sum("), parameters)
    return [_exact_total(dict(row)) for row in rows]


def _exact_total(fields: dict[str, Any]) -> UsageTotal:
    for name in (*COUNTED, "cost_nano"):
        if isinstance(fields[name], str):
            fields[name] = int(fields[name])
    return UsageTotal(**fields)


class UsageRow:
    """The row of values in the statement that appends usage.

    A column that has had its default in every record so far is a literal, and most columns are:
    binding None or a bool costs three times a number. A column that has differed once stays bound,
    so that there are few statements: prepared ones take up to 1 KB a row, and stay.
    """

    def __init__(self) -> None:
        self._values = [_LITERALS.get(default, _BOUND) for default in _DEFAULTS]

    def bind(self, records: Sequence[UsageRecord]) -> tuple[str, Iterable[tuple[Any, ...]]]:
        """Returns the row's SQL, and the values to bind for each of `records` (one at least)."""
        bound: list[tuple[Any, ...]] = []
        columns = zip(*map(msgspec.structs.astuple, records), strict=True)
        for position, (column, default) in enumerate(zip(columns, _DEFAULTS, strict=True)):
            if self._values[position] is not _BOUND and column.count(default) < len(column):
                self._values[position] = _BOUND
            if self._values[position] is _BOUND:
                bound.append(column)
        return f"({', '.join(self._values)})", zip(*bound, strict=True)


def _insert(
    connection: sqlite3.Connection, records: Sequence[UsageRecord], row: UsageRow
) -> Sequence[UsageRecord]:
    """Inserts `records`; returns those that were not there before."""
    connection.execute(QUERIES["before_append"])
    inserted = _insert_rows(connection, "append_usage", *row.bind(records))
    if inserted == len(records):
        return records
    # SQLite told how many were there already, not which.
    connection.execute(QUERIES["undo_append"])
    new = {record.id: record for record in reversed(records)}  # of two, the first counts
    for identity in list(new):
        if connection.execute(QUERIES["has_usage"], (identity,)).fetchone():
            del new[identity]
    if new:
        _insert_rows(connection, "append_usage", *row.bind(list(new.values())))
    return list(new.values())


def _insert_rows(
    connection: sqlite3.Connection, query: str, row: str, values: Iterable[tuple[Any, ...]]
) -> int:
    """Inserts rows by few statements; returns how many were not there before.

    Not `executemany`: it gives up and takes the interpreter's lock for each row, and the thread
    that serves requests waits for it as often. Each statement is for a power of two of rows, `row`
    as often, so that there are few and small ones.
    """
    waiting = list(values)
    inserted = start = 0
    while left := len(waiting) - start:
        count = 1 << min(left, _INSERTED_AT_ONCE).bit_length() - 1
        bound = tuple(chain.from_iterable(waiting[start : start + count]))
        inserted += connection.execute(_repeated(query, row, count), bound).rowcount
        start += count
    return inserted


@lru_cache(maxsize=64)
def _repeated(query: str, row: str, rows: int) -> str:
    """Returns the statement with `row` as often as there are rows."""
    return QUERIES[query] % ", ".join([row] * rows)


def _daily_row(total: UsageTotal) -> tuple[Any, ...]:
    day, key_id, user_id, team_id, *rest, cost_nano = msgspec.structs.astuple(total)
    return (day, key_id, user_id or "", team_id or "", *rest, cost_nano)


def _record(row: sqlite3.Row) -> UsageRecord:
    fields = dict(row)
    for flag in _FLAGS:
        fields[flag] = bool(fields[flag])
    return UsageRecord(**fields)
