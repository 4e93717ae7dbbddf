"""The store that a command works on: which one it is, and that none is made by accident.

An empty store in the wrong folder looks like one that has lost its keys. So where there is no
store, a command that puts something in makes it and says so, a list of what is built in does
without, and every other command refuses.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import click
from msgspec.structs import replace

from ..config import Settings
from ..config.load import DEFAULT
from .demo import STORE_URL

WithoutStore = Literal["refuse", "make", "built in"]


class FoundStore(NamedTuple):
    """The settings with the store to work on, and the line by which it is named.

    `notable`: it is another than somebody would think, so that also programs are told.
    """

    settings: Settings
    line: str
    notable: bool = False


def found_store(settings: Settings, without: WithoutStore) -> FoundStore:
    """Finds the store, for a command that does `without` where there is none.

    Raises `click.ClickException` where nothing can be done.
    """
    settings = _with_demo_store(settings)
    path = settings.store.sqlite_path
    if settings.store.url.startswith("memory:"):
        if without != "built in":
            raise click.ClickException(
                "STORE_URL=memory:// is a store inside the proxy, which no other process sees: ask "
                "the proxy with --url"
            )
        return FoundStore(settings, "store  memory://, empty here")
    if path is None:
        endpoint = settings.aws.dynamodb_endpoint_url
        return FoundStore(
            settings, f"store  {settings.store.url} {endpoint or settings.aws.region}"
        )
    line = f"store  {path.absolute()}"
    if path.exists():
        of_demo = settings.store.url == STORE_URL
        return FoundStore(settings, f"{line}, of `serve --demo`" if of_demo else line, of_demo)
    if without == "make":
        return FoundStore(settings, f"{line}, which is new ({_whence(settings)})", notable=True)
    if without == "built in":
        nowhere = replace(settings, store=replace(settings.store, url="memory://"))
        return FoundStore(nowhere, f"store  none at {path.absolute()}: what is built in", True)
    raise click.ClickException(
        f"there is no store at {path.absolute()} (STORE_URL={settings.store.url}, "
        f"{_whence(settings)}). Go to the folder that the proxy runs in, or set STORE_URL; "
        "`serve` and `keys create` make a new one"
    )


def _with_demo_store(settings: Settings) -> Settings:
    """Returns the settings with the store of a demonstration, if that is the only one here."""
    path = settings.store.sqlite_path
    if settings.sources["STORE_URL"] != DEFAULT or path is None or path.exists():
        return settings
    demo = replace(settings.store, url=STORE_URL, journal_dir=None)
    if demo.sqlite_path is None or not demo.sqlite_path.exists():
        return settings
    return replace(settings, store=demo)


def _whence(settings: Settings) -> str:
    origin = settings.sources["STORE_URL"]
    return "the default" if origin == DEFAULT else f"from {origin}"
