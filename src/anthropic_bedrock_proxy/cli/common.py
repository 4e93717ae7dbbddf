"""The shared parts of commands: common options, a client, one way to print and to fail.

Everything that can go wrong for a user ends as a message on stderr without a traceback: exit status
1 when the work could not be done, 2 when the command was wrong. With --json, stdout holds one
document and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from .columns import cell_text
from .terminal import asked, say, say_json
from .values import usd_text
from .wire import Where

F = TypeVar("F", bound=Callable[..., Any])

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
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
_url_option = click.option(
    "--url", metavar="URL", help="Ask the proxy at this address instead of opening the store."
)
_key_option = click.option(
    "--admin-key-file",
    "key_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With --url: the key is in this file, not in ADMIN_API_KEY or MASTER_API_KEY.",
)


def where_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that say where operations run; the command gets them as `where`."""

    @wraps(command)
    def gathered(
        *arguments: Any,
        config_file: Path | None,
        url: str | None,
        key_file: Path | None,
        **options: Any,
    ) -> None:
        as_json = bool(options.get("as_json"))
        command(*arguments, where=Where(config_file, url, key_file, as_json), **options)

    return config_option(_url_option(_key_option(gathered)))


def confirm(question: str, *, yes: bool) -> None:
    """Asks a person before something that cannot be undone; a program is not asked.

    Raises `click.Abort`.
    """
    if not yes and not asked(question, unasked=True):
        raise click.Abort


def print_fields(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Prints one object: a line for each field, or JSON."""
    if as_json:
        say_json(document)
        return
    width = max(map(len, document))
    for name, value in document.items():
        text = usd_text(value) if name.endswith("_usd") else cell_text(value)
        say(f"{name:<{width}}  {text}")


def print_changed(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Prints an object that was changed, as `print_fields`; its warnings on stderr, for people."""
    if as_json:
        say_json(document)
        return
    fields = {name: value for name, value in document.items() if name != "warnings"}
    print_fields(fields, as_json=False)
    for warning in document.get("warnings", ()):
        say(f"Warning: {warning}.", err=True)
