"""Usage and its cost: sums, and the records behind them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from ..store.base.usage import UsageRecord, UsageTotal
from ..store.totals import add
from .call import AdminCall, Nothing, TextDocument
from .documents import shown
from .moments import day, moment_ms, timestamp_ms
from .validation import field

# A user's name of a column -> the records'.
COLUMNS: Final = {
    "key": "key_id",
    "user": "user_id",
    "team": "team_id",
    "model": "model",
    "day": "day",
}
_ALWAYS: Final = ("key_id", "model")  # in a row, whatever it is grouped by
# Characters that begin a formula in a spreadsheet, also in full width and after a line end.
_FORMULAS: Final = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class Sums(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A query of sums: `by` is a comma list, `since` (inclusive), `until` (exclusive) are days."""

    by: str = "key,model"
    since: str | None = None
    until: str | None = None
    key: str | None = None


class Export(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A query of records: since and until are days or timestamps, `after` the last id seen."""

    key: str | None = None
    since: str | None = None
    until: str | None = None
    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    format: Literal["json", "jsonl", "csv"] = "json"


async def totals(call: AdminCall[Nothing, Sums]) -> dict[str, Any]:
    """Returns rows of sums and their total."""
    query = call.query
    columns = field("by", _columns, query.by)
    rows = await call.store.usage.totals(
        by=columns,
        since=_optional("since", query.since),
        until=_optional("until", query.until),
        key_id=query.key,
    )
    return {"rows": [_row(row, columns) for row in rows], "total": _sums(add(rows))}


async def records(call: AdminCall[Nothing, Export]) -> dict[str, Any] | TextDocument:
    """Returns a page of records, oldest first; `next` is the `after` of the following page."""
    query = call.query
    since = 0 if query.since is None else field("since", moment_ms, query.since)
    until = None if query.until is None else field("until", moment_ms, query.until)
    found = await call.store.usage.records(
        since_ms=since, until_ms=until, key_id=query.key, after=query.after, limit=query.limit
    )
    rows = [record_document(record) for record in found]
    following = found[-1].id if len(found) == query.limit else None
    if query.format == "csv":
        body = csv_text(rows, header=query.after is None).encode()
        return TextDocument(body=body, content_type="text/csv; charset=utf-8", next=following)
    if query.format == "jsonl":
        lines = b"".join(_encode(row) + b"\n" for row in rows)
        return TextDocument(body=lines, content_type="application/jsonl", next=following)
    return {"records": rows, "next": following}


def record_document(record: UsageRecord) -> dict[str, Any]:
    """Renders a record with its time as ISO-8601 and its cost in USD."""
    fields = msgspec.structs.asdict(record)
    at_ms = fields.pop("at_ms")
    return {"id": fields.pop("id"), "at": timestamp_ms(at_ms), **shown(fields)}


FIELDS: Final = tuple(
    record_document(
        UsageRecord(id="", key_id="", at_ms=0, model="", bedrock_model_id="", dialect="")
    )
)


def csv_text(rows: Iterable[Mapping[str, Any]], *, header: bool) -> str:
    """Renders rows as CSV; a quote goes before what a spreadsheet would take for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    if header:
        writer.writerow(FIELDS)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in FIELDS])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    # The model's name is the client's to choose.
    if isinstance(value, str) and value.startswith(_FORMULAS):
        return f"'{value}"
    return value


def _columns(by: str) -> list[str]:
    names = [name.strip() for name in by.split(",")]
    for name in names:
        if name not in COLUMNS:
            raise ValueError(f"{name[:100]!r} is none of {', '.join(COLUMNS)}")
    return list(dict.fromkeys(COLUMNS[name] for name in names))


def _optional(name: str, text: str | None) -> str | None:
    return None if text is None else field(name, day, text)


def _row(row: UsageTotal, columns: Sequence[str]) -> dict[str, Any]:
    shown_columns = [
        column for column in COLUMNS.values() if column in columns or column in _ALWAYS
    ]
    shown_columns.sort(key=lambda column: column != "day")
    return {column: getattr(row, column) for column in shown_columns} | _sums(row)


def _sums(total: UsageTotal) -> dict[str, Any]:
    fields = msgspec.structs.asdict(total)
    for column in COLUMNS.values():
        del fields[column]
    return shown(fields)
