"""`keys list`: the keys, narrowed down, with their limits and the day of their last use."""

from __future__ import annotations

import time
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

import click

from .allowances import budgets_text, limits_text
from .client import Admin, admin, pages
from .columns import Column, print_table
from .common import json_option, where_options
from .naming import id_for_filter
from .terminal import say_json
from .wire import Where

_PAGE: Final = 1000
_DAYS: Final = 30  # for which uses are looked up: sums are kept per key, model and day
_NONE: Final = "no such keys: `keys create` makes one"
_HEADER: Final = (
    "ID",
    Column("NAME", cut=True),
    Column("USER", cut=True, rank=4),
    Column("TEAM", cut=True, rank=5),
    Column("SECRET", rank=6),
    "STATUS",
    Column("LIMITS", cut=True, rank=2),
    Column("BUDGET USD", cut=True, rank=1),
    Column("LAST USED", rank=3),
    Column("CREATED", rank=7),
)


@click.command("list")
@click.option(
    "--status",
    type=click.Choice(["active", "revoked", "expired"]),
    help="Only those that are so; revoked: also those that were switched off otherwise.",
)
@click.option("--user", metavar="ID|NAME", help="Only keys of this user.")
@click.option("--team", metavar="ID|NAME", help="Only keys of this team.")
@click.option("--name", metavar="PATTERN", help="Only names like this (* is a wildcard).")
@json_option
@where_options
def list_(
    *,
    status: str | None,
    user: str | None,
    team: str | None,
    name: str | None,
    as_json: bool,
    where: Where,
) -> None:
    """List keys, oldest first; LAST USED is the last day (UTC) of the last 30."""
    now = time.time()
    with admin(where) as client:
        query: dict[str, Any] = {
            "user_id": user and id_for_filter(client, "users", user),
            "team_id": team and id_for_filter(client, "teams", team),
            "limit": _PAGE,
        }
        keys = [
            key
            for key in pages(client, "keys", "keys", **query)
            if (status is None or _matches(key, status, now))
            and (name is None or fnmatchcase(key["name"].casefold(), name.casefold()))
        ]
        used = {} if as_json or not keys else _last_used(client, now)
    if as_json:
        say_json({"keys": keys})
    else:
        print_table(_HEADER, [_cells(key, used, now) for key in keys], empty=_NONE)


def _cells(key: Mapping[str, Any], used: Mapping[str, str], now: float) -> tuple[object, ...]:
    return (
        key["id"],
        key["name"],
        key["user_id"],
        key["team_id"],
        key["secret_hint"],
        _status(key, now),
        limits_text(key),
        budgets_text(key),
        used.get(key["id"]),
        key["created_at"],
    )


def _matches(key: Mapping[str, Any], status: str, now: float) -> bool:
    if not key["is_active"]:
        return status == "revoked"
    return _status(key, now) == status


def _status(key: Mapping[str, Any], now: float) -> str:
    if not key["is_active"]:
        return key["deactivated_reason"] or "inactive"
    # Texts of one form sort as their moments do.
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    if key["expires_at"] is not None and key["expires_at"] <= at:
        return "expired"
    return "active"


def _last_used(client: Admin, now: float) -> dict[str, str]:
    """Returns the last day on which each key was used, of those that were lately."""
    since = time.strftime("%Y-%m-%d", time.gmtime(now - _DAYS * 86_400))
    try:
        found = client.call("GET", "usage", query={"by": "key,day", "since": since})
    except click.ClickException:  # who may read keys need not be one who may read usage
        return {}
    days = sorted((row["day"], row["key_id"]) for row in found["rows"])
    return {key_id: day for day, key_id in days}
