"""`models`: those that clients may ask for, the operator's names, and Bedrock's listing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ..models.table import DIALECTS
from .client import admin
from .columns import Column, print_table
from .common import json_option, where_options
from .terminal import say, say_json
from .wire import Where, load


@click.group()
def command() -> None:
    """The models, and the names that clients know them by."""


@command.command("list")
@click.option("--all", "all_", is_flag=True, help="Retired models too.")
@json_option
@where_options
def list_(*, all_: bool, as_json: bool, where: Where) -> None:
    """List every model with the Bedrock id that its requests go to in this region."""
    with admin(where, without_store="built in") as client:
        found = client.call("GET", "models", query={"all": all_})
    if as_json:
        say_json(found)
        return
    print_table(
        (
            "ID",
            Column("BEDROCK ID", rank=1),
            Column("DIALECTS", rank=4),
            Column("STATE", rank=2),
            Column("INPUT", rank=3),
            Column("OUTPUT", rank=3),
            Column("ALIASES", cut=True, rank=5),
        ),
        [
            (
                row["id"],
                row["bedrock_model_id"],
                ",".join(row["dialects"]),
                row["lifecycle"],
                row["context_tokens"],
                row["output_tokens"],
                ", ".join(row["aliases"]),
            )
            for row in found["models"]
        ],
    )
    if found["mapped"]:
        say()
        print_table(
            ("ALIAS", "STANDS FOR", Column("BEDROCK ID", rank=2), Column("SOURCE", rank=1)),
            [
                (row["alias"], row["bedrock_id"], row["bedrock_model_id"], _source(row))
                for row in found["mapped"]
            ],
        )
    if found["chains"]:
        say()
        print_table(
            ("CHAIN", "TARGETS", "LEFT OUT"),
            [(row["model"], _targets(row), _left_out(row)) for row in found["chains"]],
        )


@command.command("map")
@click.argument("alias")
@click.argument("bedrock_id", metavar="BEDROCK_ID")
@click.option("--dialect", type=click.Choice(DIALECTS), help="Call it in this dialect.")
@json_option
@where_options
def map_(*, alias: str, bedrock_id: str, dialect: str | None, as_json: bool, where: Where) -> None:
    """Let clients ask for BEDROCK_ID as ALIAS.

    BEDROCK_ID is a Bedrock model id, an inference profile, an ARN, or an Anthropic id.
    """
    if not alias.strip() or alias != alias.strip():
        raise click.BadParameter("an alias has no spaces around it", param_hint="ALIAS")
    body = {"alias": alias, "bedrock_id": bedrock_id, "dialect": dialect}
    with admin(where, without_store="make") as client:
        mapped = client.call("PUT", "models/mappings", body=body)
    if as_json:
        say_json(mapped)
    else:
        dialects = ", ".join(mapped["dialects"])
        say(f"{alias} goes to {mapped['bedrock_model_id']} ({dialects})")


@command.command()
@click.argument("alias")
@json_option
@where_options
def unmap(*, alias: str, as_json: bool, where: Where) -> None:
    """Take back what `models map` did."""
    with admin(where) as client:
        removed = client.call("DELETE", "models/mappings", query={"alias": alias})
    if as_json:
        say_json(removed)
    else:
        say(f"{alias} is not mapped any more")


@command.command()
@click.option("--dry-run", is_flag=True, help="Only tell what has changed since the last one.")
@json_option
@where_options
def sync(*, dry_run: bool, as_json: bool, where: Where) -> None:
    """Ask Bedrock which models and inference profiles this account has, and keep the answer.

    Bedrock is asked from here, with the credentials of the configuration, also with --url.
    """
    from .sync import offered  # noqa: PLC0415  # heavy

    models = offered(load(where.config_file))
    with admin(where, without_store="built in" if dry_run else "make") as client:
        report = client.call(
            "PUT", "models/offered", query={"dry_run": dry_run}, body={"models": models}
        )
    if as_json:
        say_json(report)
        return
    if not dry_run:
        print_table(
            ("ID", Column("BEDROCK ID", rank=2), Column("PROFILES", cut=True, rank=1)),
            [(row["id"], row["bedrock"], _profiles(row)) for row in report["registry"]],
        )
        say()
    stored = "nothing was stored" if dry_run else "stored"
    say(f"{len(report['models'])} models are offered here; {stored}.")
    for word in ("new", "gone"):
        for name in report[word]:
            say(f"{word:<9}{name}")
    for row in report["changed"]:
        profiles = [f"+{name}" for name in row["new_profiles"]]
        profiles += [f"-{name}" for name in row["gone_profiles"]]
        say(f"changed  {row['id']}: {' '.join(profiles)}")


def _targets(row: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{target['provider']}/{target['dialect']}={target['bedrock_model_id']}"
        for target in row["targets"]
    )


def _left_out(row: Mapping[str, Any]) -> str:
    gaps = [f"{gap['provider'] or 'every target'}: {gap['reason']}" for gap in row["left_out"]]
    return "; ".join(gaps)


def _source(row: Mapping[str, Any]) -> str:
    source: str = row["source"]
    return source if row["in_force"] else f"{source} (not in force)"


def _profiles(row: Mapping[str, Any]) -> str:
    return ", ".join(row["profiles"]) or ("on demand" if row["offered"] else "not offered")
