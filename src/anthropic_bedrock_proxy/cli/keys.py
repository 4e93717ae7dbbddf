"""`keys`: create, list and change API keys.

A secret is printed once, by the command that made it. Everything else works on key ids, which stay
the same for a key's whole life.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

import click

from ..admin.keys import LONGEST_OVERLAP_SECONDS
from ..admin.scopes import SCOPES
from .allowances import ALLOWANCE_OPTIONS, options_of
from .client import admin
from .common import json_option, print_changed, print_fields, where_options
from .key_list import list_
from .naming import call_one
from .terminal import say
from .values import given, moment
from .wire import Where

TIERS = ["default", "flex", "priority", "reserved"]
TTLS = ["5m", "1h"]


def _network(text: str) -> str:
    try:
        return text if text in ("", "none") else str(ipaddress.ip_network(text))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


# Field of the body -> how the option is called, shown, read and explained.
KEY_OPTIONS: dict[str, tuple[str, str, Callable[[str], Any], str]] = {
    "user_id": ("--user-id", "TEXT", str, "Whose key it is; reported with its usage."),
    "team_id": ("--team", "TEXT", str, "The team it belongs to."),
    **ALLOWANCE_OPTIONS,
    "service_tier": (
        "--service-tier",
        "|".join(TIERS),
        click.Choice(TIERS),
        "Bedrock service tier.",
    ),
    "cache_ttl": ("--cache-ttl", "|".join(TTLS), click.Choice(TTLS), "Lifetime of cached prompts."),
    "expires_at": ("--expires-at", "DATE", moment, "When the key stops working (UTC)."),
    "provider": ("--provider", "NAME", str, "The provider its requests go to."),
}
# The same for lists: the option may be repeated.
LIST_OPTIONS: dict[str, tuple[str, str, Any, str]] = {
    "allowed_models": ("--allow-model", "PATTERN", str, "Only these models (* is a wildcard)."),
    "allowed_tools": ("--allow-tool", "PATTERN", str, "Only these tools, by type or name."),
    "allowed_networks": ("--allow-network", "CIDR", _network, "Only from these networks."),
    "admin_scopes": (
        "--admin-scope",
        "SCOPE",
        click.Choice([*sorted(SCOPES), "none"]),
        "What it may do on the admin API.",
    ),
}


def key_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of a key's own settings."""
    for field, (option, metavar, convert, text) in reversed(LIST_OPTIONS.items()):
        command = click.option(
            option, field, metavar=metavar, type=convert, multiple=True, help=text
        )(command)
    return options_of(KEY_OPTIONS)(command)


@click.group()
def command() -> None:
    """Create, list and change API keys.

    Options that take a value take `none` too, for no value. A name stands for an id where only one
    key has it.
    """


@command.command()
@click.option("--name", required=True, help="What the key is for.")
@key_options
@json_option
@where_options
def create(*, name: str, as_json: bool, where: Where, **options: Any) -> None:
    """Create a key and print its secret, this once."""
    body = {"name": _checked_name(name)} | given(options)
    with admin(where, without_store="make") as client:
        _print_new(client.call("POST", "keys", body=body), as_json=as_json)


command.add_command(list_)


@command.command()
@click.argument("key_id", metavar="ID|NAME")
@json_option
@where_options
def show(*, key_id: str, as_json: bool, where: Where) -> None:
    """Show one key."""
    _call(where, "GET", key_id, as_json=as_json)


@command.command()
@click.argument("key_id", metavar="ID|NAME")
@click.option("--name", help="What the key is for.")
@key_options
@json_option
@where_options
def update(*, key_id: str, name: str | None, as_json: bool, where: Where, **options: Any) -> None:
    """Change the given settings of a key; `none` clears one.

    A key that may administer more by it gets a new secret, which is printed, this once.
    """
    body = given(options)
    if name is not None:
        body["name"] = _checked_name(name)
    if not body:
        raise click.UsageError("nothing to change: give at least one option")
    with admin(where) as client:
        document = call_one(client, "PATCH", "keys", key_id, body=body)
    if "key" in document:
        _print_new(document, as_json=as_json)
    else:
        print_changed(document, as_json=as_json)


@command.command()
@click.argument("key_id", metavar="ID|NAME")
@json_option
@where_options
def revoke(*, key_id: str, as_json: bool, where: Where) -> None:
    """Make a key stop working; `reactivate` undoes it."""
    _call(where, "POST", key_id, "keys/{}/revoke", as_json=as_json)


@command.command()
@click.argument("key_id", metavar="ID|NAME")
@json_option
@where_options
def reactivate(*, key_id: str, as_json: bool, where: Where) -> None:
    """Make a revoked key work again."""
    _call(where, "POST", key_id, "keys/{}/reactivate", as_json=as_json)


@command.command()
@click.argument("key_id", metavar="ID|NAME")
@click.option(
    "--overlap",
    metavar="SECONDS",
    type=click.IntRange(min=0, max=LONGEST_OVERLAP_SECONDS),
    default=0,
    show_default=True,
    help="How long the old secret goes on working.",
)
@json_option
@where_options
def rotate(*, key_id: str, overlap: int, as_json: bool, where: Where) -> None:
    """Give a key a new secret and print it, this once; the id stays."""
    body = {"overlap_seconds": overlap}
    with admin(where) as client:
        document = call_one(client, "POST", "keys", key_id, "keys/{}/rotate", body=body)
    _print_new(document, as_json=as_json)


def _call(where: Where, method: str, key_id: str, path: str = "", *, as_json: bool) -> None:
    with admin(where) as client:
        document = call_one(client, method, "keys", key_id, path)
    print_fields(document, as_json=as_json)


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name:
        raise click.BadParameter("a key needs a name", param_hint="--name")
    return name


def _print_new(document: Mapping[str, Any], *, as_json: bool) -> None:
    print_changed(document, as_json=as_json)
    if not as_json:
        say("The key is not stored and cannot be shown again.", err=True)
