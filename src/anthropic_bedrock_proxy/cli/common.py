"""The shared parts of commands: common options, a client, one way to print and to fail.

Everything that can go wrong for a user ends as a message on stderr without a traceback: exit status
1 when the work could not be done, 2 when the command was wrong. With --json, stdout holds one
document and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from .terminal import printable, say, say_json
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
        command(*arguments, where=Where(config_file, url, key_file), **options)

    return config_option(_url_option(_key_option(gathered)))


def print_fields(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Prints one object: a line for each field, or JSON."""
    if as_json:
        say_json(document)
        return
    width = max(map(len, document))
    for name, value in document.items():
        text = usd_text(value) if name.endswith("_usd") else _text(value)
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


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints columns as wide as they need to be, numbers to the right; a dash for None."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *texts, strict=True)]
    numeric = [any(_is_number(cell) for cell in column) for column in zip(*rows, strict=True)]
    for line in (header, *texts):
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(
                line, widths, numeric or [False] * len(widths), strict=True
            )
        )
        say("  ".join(cells).rstrip())


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | Decimal)


def _text(value: object) -> str:
    if value is None:
        return "-"
    text = ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)
    return printable(text)  # before it is measured
