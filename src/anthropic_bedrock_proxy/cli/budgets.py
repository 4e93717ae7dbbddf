"""`budgets`: money spent, held and left of a key, a user or a team."""

from __future__ import annotations

import click

from ..store.base.ledger import CHARGED
from .client import admin
from .columns import Column, print_table
from .common import json_option, where_options
from .naming import call_one
from .terminal import say_json
from .values import usd_text
from .wire import Where

_KINDS = click.Choice(CHARGED)


@click.group()
def command() -> None:
    """Show what was spent, and what is left of budgets."""


@command.command()
@click.argument("kind", type=_KINDS)
@click.argument("owner_id", metavar="ID|NAME")
@json_option
@where_options
def show(*, kind: str, owner_id: str, as_json: bool, where: Where) -> None:
    """Show the current month, the current day, and all time."""
    with admin(where) as client:
        found = call_one(client, "GET", f"{kind}s", owner_id, f"budgets/{kind}/{{}}")
    if as_json:
        say_json(found)
        return
    print_table(
        (
            "PERIOD",
            "BUDGET USD",
            "SPENT USD",
            Column("HELD USD", rank=1),
            "LEFT USD",
            Column("BEGINS AGAIN", rank=2),
        ),
        [
            (
                row["period"],
                *(
                    usd_text(row[f"{name}_usd"])
                    for name in ("budget", "spent", "held", "remaining")
                ),
                row["resets_at"],
            )
            for row in found["budgets"]
        ],
    )


@command.command()
@click.argument("kind", type=_KINDS)
@click.argument("owner_id", metavar="ID|NAME")
@json_option
@where_options
def history(*, kind: str, owner_id: str, as_json: bool, where: Where) -> None:
    """Show every period that something was spent in, oldest first."""
    with admin(where) as client:
        found = call_one(client, "GET", f"{kind}s", owner_id, f"budgets/{kind}/{{}}/history")
    if as_json:
        say_json(found)
        return
    print_table(
        ("PERIOD", "SPENT USD", "HELD USD"),
        [
            (row["period"], usd_text(row["spent_usd"]), usd_text(row["held_usd"]))
            for row in found["history"]
        ],
        empty="nothing was spent yet",
    )
