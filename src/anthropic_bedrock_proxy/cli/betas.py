"""`betas`: which beta flags, body fields and service tiers may be sent to which model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import click

from ..models.table import DIALECTS
from ..store.base.catalog import ANY
from .client import admin
from .columns import Column, print_table
from .common import json_option, where_options
from .terminal import say, say_json
from .wire import Where

_NAMES: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._*-]{0,127}")
Kind = Literal["beta", "field", "tier"]

field_option = click.option(
    "--field", "kind", flag_value="field", help="A body field (a.b, a.*.b), not a beta flag."
)
tier_option = click.option(
    "--tier", "kind", flag_value="tier", help="A service tier, not a beta flag."
)
model_option = click.option("--model", metavar="MODEL", help="Only for this model.")
dialect_option = click.option(
    "--dialect", type=click.Choice([*DIALECTS, ANY]), help="Only in this dialect."
)


def _name(text: str) -> str:
    if not _NAMES.fullmatch(text):
        raise click.BadParameter(f"{text!r} is not the name of one flag or field")
    return text


def override_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of the commands about one override."""
    for option in (
        where_options,
        json_option,
        tier_option,
        field_option,
        dialect_option,
        model_option,
        click.argument("name", metavar="FLAG", type=_name),
    ):
        command = option(command)
    return command


@click.group()
def command() -> None:
    """Allow or block beta flags and body fields for models."""


@command.command("list")
@model_option
@field_option
@tier_option
@json_option
@where_options
def list_(*, model: str | None, kind: Kind | None, as_json: bool, where: Where) -> None:
    """List the overrides; with --model, also what the built-in table says of it."""
    kind = kind or "beta"
    with admin(where, without_store="built in") as client:
        found = client.call("GET", "betas", query={"kind": kind, "model": model})
    if as_json:
        say_json(found)
        return
    print_table(
        (
            kind.upper(),
            "OVERRIDE",
            Column("MODEL", cut=True),
            Column("DIALECT", rank=2),
            Column("SOURCE", rank=1),
            Column("REASON", cut=True, rank=3),
            Column("EVIDENCE", cut=True, rank=4),
        ),
        [
            (
                row["name"],
                "allow" if row["allowed"] else "block",
                row["model"],
                row["dialect"],
                row["source"],
                row["reason"],
                _evidence(row),
            )
            for row in found[f"{kind}s"]
        ],
        empty="no overrides",
    )


@command.command()
@override_options
@click.option("--reason", default="", help="Why; kept with the override.")
def allow(**options: Any) -> None:
    """Send FLAG, whatever the built-in table says."""
    _put(allowed=True, **options)


@command.command()
@override_options
@click.option("--reason", default="", help="Why; kept with the override.")
def block(**options: Any) -> None:
    """Leave FLAG out, whatever the built-in table says."""
    _put(allowed=False, **options)


@command.command()
@override_options
def forget(
    *,
    name: str,
    model: str | None,
    dialect: str | None,
    kind: Kind | None,
    as_json: bool,
    where: Where,
) -> None:
    """Take back every override on FLAG, learned or given; --model and --dialect narrow it down."""
    query = {"name": name, "kind": kind, "model": model, "dialect": dialect}
    with admin(where) as client:
        removed = client.call("DELETE", "betas", query=query)
    if as_json:
        say_json(removed)
        return
    for row in removed["forgotten"]:
        say(f"the override on {name} for {_where(row)} is forgotten")


def _put(
    *,
    allowed: bool,
    name: str,
    model: str | None,
    dialect: str | None,
    kind: Kind | None,
    reason: str,
    as_json: bool,
    where: Where,
) -> None:
    body = {"name": name, "allowed": allowed, "model": model, "reason": reason}
    body |= {"kind": kind or "beta", "dialect": dialect or ANY}
    with admin(where, without_store="make") as client:
        override = client.call("PUT", "betas", body=body)
    if as_json:
        say_json(override)
        return
    verb = "is sent" if allowed else "is left out"
    say(f"{name} {verb} for {_where(override)}")


def _evidence(row: Mapping[str, Any]) -> str:
    """Tells what a learned override is founded on, and for whom it counts."""
    if row["source"] != "learned":
        return ""
    if row["allowed"]:
        return f"withdrawn {row['updated_at']}: Bedrock took it again"
    witnesses = row["witnesses"]
    if not witnesses:
        return "learned by an earlier version; counts for nobody"
    whom = "all" if len(witnesses) > 1 else "this key only"
    times = "once" if row["confirmations"] == 1 else f"{row['confirmations']} times"
    return (
        f"met {times} by {', '.join(witnesses)}, since {row['learned_at']}; "
        f"counts for {whom}; tried again {row['expires_at']}"
    )


def _where(override: Mapping[str, Any]) -> str:
    model = "every model" if override["model"] == ANY else override["model"]
    dialect = "every dialect" if override["dialect"] == ANY else override["dialect"]
    return f"{model} in {dialect}"
