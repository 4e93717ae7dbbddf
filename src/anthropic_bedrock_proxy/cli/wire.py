"""Requests of commands to the admin API, as both clients write them: paths, parameters, bodies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
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
    as_json: bool = False  # whether stdout, and nothing else, is to be read by a program


class UnknownIdError(click.ClickException):
    """There is nothing of this id."""


class TakenError(click.ClickException):
    """There is already what was to be made."""


def load(config_file: Path | None) -> Settings:
    """Loads the settings. Raises `click.ClickException`."""
    try:
        return load_settings(config_file)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def segment(identifier: str) -> str:
    """Encodes an id as one segment of a path. Raises `click.UsageError`."""
    if not identifier:  # a script's unset variable: it would name the whole collection
        raise click.UsageError("the id is empty")
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
