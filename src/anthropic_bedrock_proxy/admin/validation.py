"""Decoding of bodies and query strings; an error begins with the field that is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from ..errors import InvalidRequestError
from .wording import in_words

T = TypeVar("T")
V = TypeVar("V")

_AT: Final = re.compile(r"(?s)(?P<what>.*) - at `\$\.?(?P<path>.*)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<name>.*)`")
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>.*)`")


def read_body(body: bytes | bytearray, kind: type[T]) -> T:
    """Decodes the JSON of a body. Raises `InvalidRequestError`."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(named(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"The body is not JSON: {error}") from error


def read_query(query: Mapping[str, str], kind: type[T]) -> T:
    """Decodes the parameters of a query string. Raises `InvalidRequestError`."""
    try:
        return msgspec.convert(dict(query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(named(str(error))) from error


def field(name: str, convert: Callable[[Any], V], value: Any) -> V:
    """Returns `convert(value)`; its `ValueError` becomes an `InvalidRequestError` with `name`."""
    try:
        return convert(value)
    except ValueError as error:
        raise InvalidRequestError(f"{name}: {error}") from error


def named(message: str) -> str:
    """Turns msgspec's message into "path: message"."""
    path, what = "", message
    if match := _AT.fullmatch(message):
        path, what = match["path"], match["what"]
    for pattern, words in ((_UNKNOWN, "no such field"), (_MISSING, "required")):
        if match := pattern.fullmatch(what):
            path, what = ".".join(filter(None, (path, match["name"]))), words
    return f"{path or 'body'}: {in_words(what)}"
