"""`tables`: the DynamoDB tables of `STORE_URL=dynamodb://`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from ..config import Settings
from ..store.base.errors import StoreError
from .common import config_option, json_option, print_fields, yes_option
from .terminal import asked, say, say_json
from .wire import load


@click.group()
def command() -> None:
    """The DynamoDB tables of the store dynamodb://."""


@command.command()
@json_option
@config_option
def create(*, as_json: bool, config_file: Path | None) -> None:
    """Create the tables that are missing; what is there stays as it is."""
    from ..store.dynamodb.schema import create_tables  # noqa: PLC0415  # heavy

    report = _run(load(config_file), create_tables)
    if as_json:
        say_json(report)
        return
    print_fields({name: list(report[name]) for name in ("created", "present")}, as_json=False)
    if report["without_ttl"]:
        names = ", ".join(report["without_ttl"])
        say(f"Warning: this DynamoDB cannot expire items, so {names} only grow.", err=True)


@command.command()
@click.option("--dry-run", is_flag=True, help="Say what there is to do and do nothing.")
@yes_option
@json_option
@config_option
def migrate(*, dry_run: bool, yes: bool, as_json: bool, config_file: Path | None) -> None:
    """Bring keys and usage of the predecessor's tables into our form; may be run again.

    It asks before it writes; where nobody can be asked, it needs --yes.
    """
    from ..store.dynamodb.migration import migrate_tables  # noqa: PLC0415  # heavy

    def work(client: Any, names: Any) -> Awaitable[msgspec.Struct]:
        return migrate_tables(client, names, dry_run=dry_run)

    settings = load(config_file)
    if not (dry_run or yes):
        _check_wanted(settings)
    print_fields(_run(settings, work), as_json=as_json)


def _check_wanted(settings: Settings) -> None:
    """Raises `click.ClickException` unless a person wants the tables to be changed."""
    where = settings.aws.dynamodb_endpoint_url or settings.aws.region
    question = (
        f"Rewrite the keys and the usage in {settings.tables.api_keys}, "
        f"{settings.tables.usage} and {settings.tables.usage_stats} at {where}? The predecessor "
        "cannot use them afterwards."
    )
    if not asked(question, unasked=False):
        raise click.UsageError("nothing was changed: --yes says that it is meant, --dry-run looks")


def _run(settings: Settings, work: Callable[[Any, Any], Awaitable[msgspec.Struct]]) -> Any:
    """Returns the report of `work(client, names)` on the configured account.

    Raises `click.ClickException`.
    """
    from ..app.bedrock import make_resolver  # noqa: PLC0415  # heavy
    from ..app.store import make_dynamodb, table_names  # noqa: PLC0415  # heavy

    async def run() -> msgspec.Struct:
        client = make_dynamodb(settings, make_resolver(settings))
        try:
            return await work(client, table_names(settings))
        finally:
            await client.close()

    try:
        return msgspec.to_builtins(asyncio.run(run()))
    except StoreError as error:
        raise click.ClickException(str(error)) from error
