"""What the commands share: their common options, an open store, one way to print and to fail.

Everything that can go wrong for a user ends as a message on stderr without a traceback: exit status
1 when the work could not be done, 2 when the command was wrong. With --json, stdout holds one
document and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from ..config import SettingsError, load_settings
from ..store.base import Store, StoreError
from ..store.select import store_from_url

T = TypeVar("T")

config_option = click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Settings in TOML, below the environment and .env.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout."
)
# An amount of money is a number of exactly the digits that it has.
_encoder = msgspec.json.Encoder(decimal_format="number")


def with_store(config_file: Path | None, work: Callable[[Store], Awaitable[T]]) -> T:
    """The result of `work(store)` on the configured store, opened before and closed after."""

    async def run(store: Store) -> T:
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    try:
        store = store_from_url(load_settings(config_file).store.url)
        return asyncio.run(run(store))
    except (SettingsError, StoreError) as error:
        raise click.ClickException(str(error)) from error


def print_json(document: Any) -> None:
    """One indented JSON document."""
    click.echo(msgspec.json.format(_encoder.encode(document)).decode())


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as they need to be, numbers to the right; a dash for None."""
    texts = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *texts, strict=True)]
    numeric = [any(isinstance(cell, int) for cell in column) for column in zip(*rows, strict=True)]
    for line in (header, *texts):
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(
                line, widths, numeric or [False] * len(widths), strict=True
            )
        )
        click.echo("  ".join(cells).rstrip())
