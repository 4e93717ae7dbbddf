"""`audit`: changes by operators, with their actors."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import click

from .client import admin, pages
from .columns import Column, print_table
from .common import json_option, where_options
from .terminal import say_json
from .wire import Where

_PAGE = 1000


@click.command()
@click.option("--object", "object_id", metavar="ID", help="Only changes of this one.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="How many."
)
@json_option
@where_options
def command(*, object_id: str | None, limit: int, as_json: bool, where: Where) -> None:
    """Show changes that were made by commands and through the admin API, newest first."""
    with admin(where) as client:
        query = {"object": object_id, "limit": min(limit, _PAGE)}
        found = list(islice(pages(client, "audit", "records", cursor="before", **query), limit))
    if as_json:
        say_json({"records": found})
        return
    print_table(
        ("AT", "ACTOR", "ACTION", "OBJECT", Column("CHANGED", cut=True, rank=1)),
        [
            (row["at"], row["actor"], row["action"], row["object"], ", ".join(_changed(row)))
            for row in found
        ],
    )


def _changed(row: Mapping[str, Any]) -> list[str]:
    """Lists the fields that differ, where there is a before and an after."""
    before, after = row["before"], row["after"]
    if before is None or after is None:
        return []
    names = dict.fromkeys((*before, *after))
    return [name for name in names if before.get(name) != after.get(name) and name != "updated_at"]
