"""`keys`: create, list and change API keys.

A secret is printed once, by the command that made it. Everything else works on key ids, which stay
the same for a key's whole life.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from ..store.base import Store, StoreError
from ..store.records import KeyRecord
from ..store.secrets import hash_secret, hint_of, mint_key_id, mint_secret
from .catalog import check_provider, load
from .common import config_option, json_option, print_json, print_table, with_store
from .values import Cleared, clearable, dollars, moment, timestamp, usd, usd_text

TIERS = ["default", "flex", "priority", "reserved"]
TTLS = ["5m", "1h"]
PER_MINUTE = click.IntRange(min=1, max=10**12)
LONGEST_OVERLAP_SECONDS = 366 * 24 * 3600


def _seconds(text: str) -> int:
    return moment(text) // 1000


# Field of the record -> how the option is called, shown, read and explained.
KEY_OPTIONS: dict[str, tuple[str, str, Callable[[str], Any], str]] = {
    "user_id": ("--user-id", "TEXT", str, "Whose key it is; reported with its usage."),
    "rate_limit": ("--rate-limit", "N", PER_MINUTE, "Requests per minute."),
    "tpm_limit": ("--tpm-limit", "N", PER_MINUTE, "Tokens per minute."),
    "monthly_budget_nano": ("--monthly-budget", "USD", dollars, "Spending per month (UTC)."),
    "service_tier": (
        "--service-tier",
        "|".join(TIERS),
        click.Choice(TIERS),
        "Bedrock service tier.",
    ),
    "cache_ttl": ("--cache-ttl", "|".join(TTLS), click.Choice(TTLS), "Lifetime of cached prompts."),
    "expires_at": ("--expires-at", "DATE", _seconds, "When the key stops working (UTC)."),
    "provider": ("--provider", "NAME", str, "The provider its requests go to."),
}


def key_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a key's own settings."""
    for field, (option, metavar, convert, text) in reversed(KEY_OPTIONS.items()):
        command = click.option(option, field, metavar=metavar, type=clearable(convert), help=text)(
            command
        )
    return command


@click.group()
def command() -> None:
    """Create, list and change API keys.

    Options that take a value take `none` too, for no value.
    """


@command.command()
@click.option("--name", required=True, help="What the key is for.")
@key_options
@json_option
@config_option
def create(*, name: str, as_json: bool, config_file: Path | None, **options: Any) -> None:
    """Create a key and print its secret, this once."""
    secret = mint_secret()
    now = int(time.time())
    key = KeyRecord(
        id=mint_key_id(),
        name=_checked_name(name),
        secret_hint=hint_of(secret),
        created_at=now,
        updated_at=now,
        **_fields(options),
    )
    settings = load(config_file)

    async def work(store: Store) -> None:
        await check_provider(settings, store, key.provider)
        await store.keys.create(key, hash_secret(secret))

    with_store(config_file, work)
    _print_key(key, as_json=as_json, secret=secret)


@command.command("list")
@json_option
@config_option
def list_(*, as_json: bool, config_file: Path | None) -> None:
    """List every key, oldest first."""
    keys = with_store(config_file, lambda store: store.keys.list())
    if as_json:
        print_json({"keys": [_document(key) for key in keys]})
        return
    print_table(
        ("ID", "NAME", "USER", "SECRET", "STATUS", "BUDGET USD", "CREATED"),
        [
            (
                key.id,
                key.name,
                key.user_id,
                key.secret_hint,
                _status(key),
                usd_text(key.monthly_budget_nano),
                timestamp(key.created_at),
            )
            for key in keys
        ],
    )


@command.command()
@click.argument("key_id", metavar="ID")
@json_option
@config_option
def show(*, key_id: str, as_json: bool, config_file: Path | None) -> None:
    """Show one key."""

    async def get(store: Store) -> KeyRecord:
        key = await store.keys.get(key_id)
        if key is None:
            raise StoreError(f"no key has the id {key_id}")
        return key

    _print_key(with_store(config_file, get), as_json=as_json)


@command.command()
@click.argument("key_id", metavar="ID")
@click.option("--name", help="What the key is for.")
@key_options
@json_option
@config_option
def update(
    *, key_id: str, name: str | None, as_json: bool, config_file: Path | None, **options: Any
) -> None:
    """Change the given settings of a key; `none` clears one."""
    changes = _fields(options)
    if name is not None:
        changes["name"] = _checked_name(name)
    if not changes:
        raise click.UsageError("nothing to change: give at least one option")
    _update(key_id, changes, as_json=as_json, config_file=config_file)


@command.command()
@click.argument("key_id", metavar="ID")
@json_option
@config_option
def revoke(*, key_id: str, as_json: bool, config_file: Path | None) -> None:
    """Make a key stop working; `reactivate` undoes it."""
    changes = {"is_active": False, "deactivated_reason": "revoked"}
    _update(key_id, changes, as_json=as_json, config_file=config_file)


@command.command()
@click.argument("key_id", metavar="ID")
@json_option
@config_option
def reactivate(*, key_id: str, as_json: bool, config_file: Path | None) -> None:
    """Make a revoked key work again."""
    changes = {"is_active": True, "deactivated_reason": None}
    _update(key_id, changes, as_json=as_json, config_file=config_file)


@command.command()
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap",
    metavar="SECONDS",
    type=click.IntRange(min=0, max=LONGEST_OVERLAP_SECONDS),
    default=0,
    show_default=True,
    help="How long the old secret goes on working.",
)
@json_option
@config_option
def rotate(*, key_id: str, overlap: int, as_json: bool, config_file: Path | None) -> None:
    """Give a key a new secret and print it, this once; the id stays."""
    secret = mint_secret()

    def work(store: Store) -> Awaitable[KeyRecord]:
        return store.keys.rotate(
            key_id,
            hash_secret(secret),
            hint_of(secret),
            now=int(time.time()),
            overlap_seconds=overlap,
        )

    _print_key(with_store(config_file, work), as_json=as_json, secret=secret)


def _update(
    key_id: str, changes: dict[str, Any], *, as_json: bool, config_file: Path | None
) -> None:
    settings = load(config_file)

    async def work(store: Store) -> KeyRecord:
        await check_provider(settings, store, changes.get("provider"))
        return await store.keys.update(key_id, changes, now=int(time.time()))

    _print_key(with_store(config_file, work), as_json=as_json)


def _fields(options: dict[str, Any]) -> dict[str, Any]:
    """The record's fields for the options that were given."""
    return {
        name: None if value is Cleared.CLEARED else value
        for name, value in options.items()
        if value is not None
    }


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name:
        raise click.BadParameter("a key needs a name", param_hint="--name")
    return name


def _document(key: KeyRecord) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for field, value in msgspec.structs.asdict(key).items():
        if field.endswith("_at"):
            document[field] = timestamp(value)
        elif field == "monthly_budget_nano":
            document["monthly_budget_usd"] = usd(value)
        else:
            document[field] = value
    return document


def _status(key: KeyRecord) -> str:
    if not key.is_active:
        return key.deactivated_reason or "inactive"
    if key.expires_at is not None and key.expires_at <= time.time():
        return "expired"
    return "active"


def _print_key(key: KeyRecord, *, as_json: bool, secret: str | None = None) -> None:
    shown = {"id": key.id} | ({"key": secret} if secret else {}) | _document(key)
    if as_json:
        print_json(shown)
        return
    shown["monthly_budget_usd"] = usd_text(key.monthly_budget_nano)
    width = max(map(len, shown))
    for name, value in shown.items():
        click.echo(f"{name:<{width}}  {'-' if value is None else value}")
    if secret:
        click.echo("The key is not stored and cannot be shown again.", err=True)
