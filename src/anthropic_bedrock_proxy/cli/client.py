"""Clients of the operations: this process on the configured store, or a proxy over HTTP.

The same operations in the same shapes, so a command does not know which of the two it talks to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self
from urllib.parse import quote

import click
import msgspec

from ..config import Settings, SettingsError, load_settings

# An amount of money is a number of exactly the digits that it has.
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


class Where(msgspec.Struct, frozen=True):
    """The common options: a configuration, or a proxy's address and a key for it."""

    config_file: Path | None = None
    url: str | None = None
    key_file: Path | None = None


class Admin(Protocol):
    """The port of the operations, until it is closed."""

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Runs one operation and returns its document; `path` follows /admin/api/.

        Parameters of None are left out. Raises `click.ClickException`.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def admin(where: Where) -> Admin:
    """Makes the client that the options ask for. Raises `click.ClickException`."""
    if where.url is None:
        if where.key_file is not None:
            raise click.UsageError("--admin-key-file belongs to --url")
        from .local import LocalAdmin  # noqa: PLC0415  # only one of the two is needed

        return LocalAdmin(load(where.config_file))
    from .remote import RemoteAdmin, read_key  # noqa: PLC0415  # only with --url

    return RemoteAdmin(where.url, read_key(where))


def load(config_file: Path | None) -> Settings:
    """Loads the settings. Raises `click.ClickException`."""
    try:
        return load_settings(config_file)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def pages(
    client: Admin, path: str, field: str, *, cursor: str = "after", **query: Any
) -> Iterator[dict[str, Any]]:
    """Yields the items of a listing's pages; `cursor` names the parameter for the next page."""
    following = None
    while True:
        page = client.call("GET", path, query={**query, cursor: following})
        yield from page[field]
        following = page["next"]
        if following is None:
            return


def segment(identifier: str) -> str:
    """Encodes an id as one segment of a path. Raises `click.UsageError`."""
    return quote(_checked(identifier), safe="")


def parameters(query: Mapping[str, Any] | None) -> dict[str, str]:
    """Returns the query parameters that have a value, as texts. Raises `click.UsageError`."""
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return {
        name: str(value).lower() if isinstance(value, bool) else _checked(str(value))
        for name, value in given.items()
    }


def encode(document: Any) -> bytes:
    """Encodes a document as JSON. Raises `click.UsageError` for bytes that are no UTF-8."""
    try:
        return _encode(document)
    except UnicodeEncodeError as error:
        raise _no_text(error.object) from None


def decode(raw: bytes) -> Any:
    """Decodes the document of an answer. Raises `ValueError`."""
    return json.loads(raw, parse_float=Decimal)


def _checked(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _no_text(text) from None
    return text


def _no_text(text: str) -> click.UsageError:
    return click.UsageError(f"{text!r} is not written in UTF-8")
