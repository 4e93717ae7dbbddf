"""`usage`: sums of usage and cost, and the records behind them.

It reads the store; the last second or so may still be in the journal of a running proxy.
"""

from __future__ import annotations

from typing import Any

import click

from ..admin.usage import COLUMNS, csv_text
from .client import admin, pages
from .columns import Column, print_table
from .common import json_option, where_options
from .naming import id_for_filter
from .terminal import say_exactly, say_json
from .values import day, moment, usd_text
from .wire import Where

HEADER = (
    "REQUESTS",
    Column("ERRORS", rank=3),
    "INPUT",
    "OUTPUT",
    Column("CACHE READ", rank=2),
    Column("CACHE WRITE", rank=2),
    "COST USD",
    Column("UNPRICED", rank=4),
)
_PAGE = 10_000


@click.group(invoke_without_command=True)
@click.option("--key", "key_id", metavar="ID|NAME", help="Only this key.")
@click.option("--since", metavar="DATE", type=day, help="From this day on (UTC).")
@click.option("--until", metavar="DATE", type=day, help="Up to this day, exclusive.")
@click.option(
    "--by",
    type=click.Choice(list(COLUMNS)),
    multiple=True,
    default=("key", "model"),
    show_default=True,
    help="One row for each; may be given several times.",
)
@json_option
@where_options
@click.pass_context
def command(
    context: click.Context,
    *,
    key_id: str | None,
    since: str | None,
    until: str | None,
    by: tuple[str, ...],
    as_json: bool,
    where: Where,
) -> None:
    """Show requests, tokens and cost per key, user, team, model or day.

    Sums are kept per day (UTC), so a DATE is a day.
    """
    if context.invoked_subcommand is not None:
        return
    with admin(where) as client:
        key = key_id and id_for_filter(client, "keys", key_id)
        query = {"by": ",".join(by), "since": since, "until": until, "key": key}
        found = client.call("GET", "usage", query=query)
    if as_json:
        say_json(found)
        return
    names = [name for name in ("day", "key", "user", "team", "model") if name in by]
    print_table(
        (*(Column(name.upper(), cut=name == "model") for name in names), *HEADER),
        [
            *((*(row[COLUMNS[name]] for name in names), *_cells(row)) for row in found["rows"]),
            ("total", *[""] * (len(names) - 1), *_cells(found["total"])),
        ],
    )


@command.command()
@click.option("--key", "key_id", metavar="ID|NAME", help="Only this key.")
@click.option("--since", metavar="DATE", type=moment, help="From here on (UTC).")
@click.option("--until", metavar="DATE", type=moment, help="Up to here, exclusive.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "json"]),
    default="csv",
    show_default=True,
    help="A table, or one JSON document for each line.",
)
@where_options
def export(
    *, key_id: str | None, since: str | None, until: str | None, form: str, where: Where
) -> None:
    """Print every usage record, oldest first.

    A DATE is a day (its first moment) or an ISO-8601 timestamp, in UTC unless it says otherwise.
    """
    with admin(where) as client:
        key = key_id and id_for_filter(client, "keys", key_id)
        query: dict[str, Any] = {"key": key, "since": since, "until": until, "limit": _PAGE}
        if form == "csv":
            say_exactly(csv_text((), header=True))
        for record in pages(client, "usage/records", "records", **query):
            if form == "csv":
                say_exactly(csv_text((record,), header=False))
            else:
                say_json(record, on_one_line=True)


def _cells(total: dict[str, Any]) -> tuple[object, ...]:
    return (
        total["requests"],
        total["errors"],
        total["input_tokens"],
        total["output_tokens"],
        total["cache_read_input_tokens"],
        total["cache_creation_input_tokens"],
        usd_text(total["cost_usd"]),
        total["unpriced"] or "",
    )
