"""The commands of `users` and `teams`, which differ in one word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from .allowances import ALLOWANCE_OPTIONS, budgets_text, limits_text, options_of
from .client import admin
from .columns import Column, print_table
from .common import confirm, json_option, print_changed, print_fields, where_options, yes_option
from .naming import call_one
from .terminal import say, say_json
from .values import given
from .wire import Where


def owner_commands(kind: str) -> click.Group:
    """Makes the group of commands for "user" or "team"."""
    kinds = f"{kind}s"
    group = click.Group(
        kinds,
        help=f"What the keys of a {kind} may use together.\n\n"
        "Options that take a value take `none` too, for no value.",
    )

    @group.command(help=f"Create a {kind}; keys name it by ID.")
    @click.argument("owner_id", metavar="ID")
    @click.option("--name", help="Its name; without one, its id.")
    @options_of(ALLOWANCE_OPTIONS)
    @json_option
    @where_options
    def create(
        *, owner_id: str, name: str | None, as_json: bool, where: Where, **options: Any
    ) -> None:
        body = {"id": owner_id, **given(options)} | ({"name": name} if name is not None else {})
        with admin(where, without_store="make") as client:
            print_changed(client.call("POST", kinds, body=body), as_json=as_json)

    @group.command("list", help=f"List every {kind}, by id.")
    @json_option
    @where_options
    def list_(*, as_json: bool, where: Where) -> None:
        with admin(where) as client:
            found = client.call("GET", kinds)
        if as_json:
            say_json(found)
            return
        print_table(
            (
                "ID",
                Column("NAME", cut=True),
                "STATUS",
                Column("LIMITS", cut=True, rank=2),
                Column("BUDGET USD", cut=True),
                Column("CREATED", rank=1),
            ),
            [_cells(row) for row in found[kinds]],
            empty=f"no {kinds}: `{kinds} create` makes one",
        )

    @group.command(help=f"Show one {kind}.")
    @click.argument("owner_id", metavar="ID|NAME")
    @json_option
    @where_options
    def show(*, owner_id: str, as_json: bool, where: Where) -> None:
        with admin(where) as client:
            print_fields(call_one(client, "GET", kinds, owner_id), as_json=as_json)

    @group.command(help=f"Change the given settings of a {kind}; `none` clears one.")
    @click.argument("owner_id", metavar="ID|NAME")
    @click.option("--name", help="Its name.")
    @click.option("--active/--inactive", "is_active", default=None, help="Whether its keys work.")
    @options_of(ALLOWANCE_OPTIONS)
    @json_option
    @where_options
    def update(*, owner_id: str, as_json: bool, where: Where, **options: Any) -> None:
        body = given(options)
        if not body:
            raise click.UsageError("nothing to change: give at least one option")
        with admin(where) as client:
            document = call_one(client, "PATCH", kinds, owner_id, body=body)
        print_changed(document, as_json=as_json)

    @group.command(help=f"Forget the limits and budgets of a {kind}; its keys stay.")
    @click.argument("owner_id", metavar="ID|NAME")
    @yes_option
    @json_option
    @where_options
    def remove(*, owner_id: str, yes: bool, as_json: bool, where: Where) -> None:
        with admin(where) as client:  # which names the store that is asked about
            confirm(f"Forget the limits and budgets of the {kind} {owner_id}?", yes=yes)
            removed = call_one(client, "DELETE", kinds, owner_id)
        if as_json:
            say_json(removed)
        else:
            say(f"{removed['id']} is removed")

    return group


def _cells(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        row["id"],
        row["name"],
        "active" if row["is_active"] else row["deactivated_reason"] or "inactive",
        limits_text(row),
        budgets_text(row),
        row["created_at"],
    )
