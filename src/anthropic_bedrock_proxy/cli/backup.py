"""`backup`: a copy of the embedded store, while the proxy runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from ..store.base.errors import StoreError
from .common import config_option, json_option
from .terminal import say, say_json
from .which_store import found_store
from .wire import load


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@config_option
def command(*, file: Path, as_json: bool, config_file: Path | None) -> None:
    """Copy the SQLite store to FILE, which must not exist yet. Proxies go on meanwhile."""
    from ..app.bedrock import make_resolver  # noqa: PLC0415
    from ..app.store import make_store  # noqa: PLC0415  # heavy
    from ..store.sqlite.store import SQLiteStore  # noqa: PLC0415

    if file.exists():
        raise click.ClickException(f"{file} exists already")

    async def copy(store: SQLiteStore) -> None:
        await store.open()
        try:
            await store.backup(file)
        finally:
            await store.close()

    try:
        settings = found_store(load(config_file), "refuse").settings
        store = make_store(settings, make_resolver(settings))
        if not isinstance(store, SQLiteStore):
            raise click.ClickException("only sqlite:// stores are backed up by this command")
        asyncio.run(copy(store))
    except (StoreError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        say_json({"file": str(file), "bytes": file.stat().st_size})
    else:
        say(f"the store is copied to {file}")
