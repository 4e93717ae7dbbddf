"""`usage`: what was used and what it cost, summed by key, model or day.

It reads the store; the last second or so may still be in the journal of a running proxy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from ..store.records import UsageTotal
from ..store.totals import add
from .common import config_option, json_option, print_json, print_table, with_store
from .values import moment, usd, usd_text

COLUMNS = {"key": "key_id", "model": "model", "day": "day"}
HEADER = ("REQUESTS", "ERRORS", "INPUT", "OUTPUT", "CACHE READ", "CACHE WRITE", "COST USD")


@click.command()
@click.option("--key", "key_id", metavar="ID", help="Only this key.")
@click.option("--since", "since_ms", metavar="DATE", type=moment, help="From here on (UTC).")
@click.option("--until", "until_ms", metavar="DATE", type=moment, help="Up to here, exclusive.")
@click.option(
    "--by",
    type=click.Choice(list(COLUMNS)),
    multiple=True,
    default=("key", "model"),
    show_default=True,
    help="One row for each; may be given several times.",
)
@json_option
@config_option
def command(
    *,
    key_id: str | None,
    since_ms: int | None,
    until_ms: int | None,
    by: tuple[str, ...],
    as_json: bool,
    config_file: Path | None,
) -> None:
    """Show requests, tokens and cost per key, model or day.

    A DATE is a day (its first moment) or an ISO-8601 timestamp, in UTC unless it says otherwise.
    """
    columns = [COLUMNS[name] for name in by]
    rows = with_store(
        config_file,
        lambda store: store.usage.totals(
            by=columns, since_ms=since_ms, until_ms=until_ms, key_id=key_id
        ),
    )
    total = add(rows)
    if as_json:
        print_json({"rows": [_row(row, columns) for row in rows], "total": _sums(total)})
        return
    shown = [column for column in ("day", "key_id", "model") if column in columns]
    print_table(
        (*(column.removesuffix("_id").upper() for column in shown), *HEADER),
        [
            *((*(getattr(row, column) for column in shown), *_cells(row)) for row in rows),
            ("total", *[""] * (len(shown) - 1), *_cells(total)),
        ],
    )


def _cells(total: UsageTotal) -> tuple[object, ...]:
    return (
        total.requests,
        total.errors,
        total.input_tokens,
        total.output_tokens,
        total.cache_read_input_tokens,
        total.cache_creation_input_tokens,
        usd_text(total.cost_nano),
    )


def _row(row: UsageTotal, columns: list[str]) -> dict[str, Any]:
    document = {"key_id": row.key_id, "model": row.model} | _sums(row)
    return {"day": row.day} | document if "day" in columns else document


def _sums(total: UsageTotal) -> dict[str, Any]:
    document = msgspec.structs.asdict(total)
    for column in COLUMNS.values():
        del document[column]
    document["cost_usd"] = usd(document.pop("cost_nano"))
    return document
