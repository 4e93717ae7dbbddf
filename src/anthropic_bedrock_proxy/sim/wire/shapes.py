"""Checks a JSON value against the shapes of an AWS service model, strictly.

A shape is one of the small records below; `check` walks value and shape together. Unknown
members, missing members and unions without exactly one member are refused; so are values outside
the constraints the service model declares. Paths name list items as AWS does
(`messages.1.member.role`, counted from one).
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from typing import Any

import msgspec

from .refusal import Refusal, invalid


class Text(msgspec.Struct, frozen=True):
    """A string; a blob is a string of base64."""

    least: int = 0
    most: int | None = None
    pattern: re.Pattern[str] | None = None
    values: tuple[str, ...] = ()
    blob: bool = False


class Number(msgspec.Struct, frozen=True):
    """A number inside bounds."""

    least: float
    most: float | None = None
    whole: bool = False


class Flag(msgspec.Struct, frozen=True):
    """A boolean."""


class Anything(msgspec.Struct, frozen=True):
    """A Smithy document: any JSON."""


class ListOf(msgspec.Struct, frozen=True):
    """A list with a number of items inside bounds."""

    item: Any
    least: int = 0
    most: int | None = None


class MapOf(msgspec.Struct, frozen=True):
    """A map from strings to values of one shape."""

    value: Any
    least: int = 0
    most: int | None = None


class Structure(msgspec.Struct, frozen=True):
    """Named members, the first group required."""

    required: dict[str, Any] = {}
    optional: dict[str, Any] = {}


class Union(msgspec.Struct, frozen=True):
    """Exactly one of the members."""

    members: dict[str, Any]


Shape = Text | Number | Flag | Anything | ListOf | MapOf | Structure | Union


def check(shape: Shape, value: Any, path: str) -> None:
    """Raises a `ValidationException` naming the first place that does not fit."""
    match shape:
        case Text():
            _text(shape, value, path)
        case Number():
            _number(shape, value, path)
        case Flag():
            if not isinstance(value, bool):
                raise _wrong_kind(path, "a boolean")
        case ListOf():
            if not isinstance(value, list):
                raise _wrong_kind(path, "a list")
            _size(shape, value, path)
            for index, item in enumerate(value, 1):
                check(shape.item, item, f"{path}.{index}.member")
        case MapOf():
            _size(shape, _object(value, path), path)
            for key, item in value.items():
                check(shape.value, item, f"{path}.{key}")
        case Structure():
            _structure(shape, _object(value, path), path)
        case Union():
            _union(shape, _object(value, path), path)
        case Anything():
            pass


def _structure(shape: Structure, value: dict[str, Any], path: str) -> None:
    for name in shape.required:
        if value.get(name) is None:
            raise constraint(path, name, "null", "Member must not be null")
    for name, item in value.items():
        member = shape.required.get(name) or shape.optional.get(name)
        if member is None:
            raise invalid(f"{_join(path, name)}: Extra inputs are not permitted")
        if item is not None:
            check(member, item, _join(path, name))


def _union(shape: Union, value: dict[str, Any], path: str) -> None:
    given = [name for name, item in value.items() if item is not None]
    for name in given:
        if name not in shape.members:
            raise invalid(f"{_join(path, name)}: Extra inputs are not permitted")
    if len(given) != 1:
        raise invalid(
            f"The value at {path} must have exactly one of: {', '.join(shape.members)}. "
            f"Found: {', '.join(given) or 'none'}."
        )
    check(shape.members[given[0]], value[given[0]], _join(path, given[0]))


def _text(shape: Text, value: Any, path: str) -> None:
    if not isinstance(value, str):
        raise _wrong_kind(path, "a string")
    if shape.blob:
        try:
            size = len(a2b_base64(value, strict_mode=True)) if value else 0
        except (Base64Error, ValueError) as error:
            raise invalid(f"The value at {path} is not valid base64.") from error
    else:
        size = len(value)
    if shape.values and value not in shape.values:
        listed = ", ".join(shape.values)
        raise constraint("", path, value, f"Member must satisfy enum value set: [{listed}]")
    if size < shape.least:
        raise constraint(
            "", path, value, f"Member must have length greater than or equal to {shape.least}"
        )
    if shape.most is not None and size > shape.most:
        raise constraint(
            "", path, value, f"Member must have length less than or equal to {shape.most}"
        )
    if shape.pattern is not None and not shape.pattern.fullmatch(value):
        raise constraint(
            "",
            path,
            value,
            f"Member must satisfy regular expression pattern: {shape.pattern.pattern}",
        )


def _number(shape: Number, value: Any, path: str) -> None:
    if type(value) is not int and (shape.whole or type(value) is not float):
        raise _wrong_kind(path, "an integer" if shape.whole else "a number")
    if value < shape.least:
        raise constraint(
            "", path, value, f"Member must have value greater than or equal to {shape.least}"
        )
    if shape.most is not None and value > shape.most:
        raise constraint(
            "", path, value, f"Member must have value less than or equal to {shape.most}"
        )


def _size(shape: ListOf | MapOf, value: Any, path: str) -> None:
    if len(value) < shape.least:
        raise constraint(
            "", path, "[]", f"Member must have length greater than or equal to {shape.least}"
        )
    if shape.most is not None and len(value) > shape.most:
        raise constraint(
            "", path, "[\u2026]", f"Member must have length less than or equal to {shape.most}"
        )


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong_kind(path, "a json object")
    return value


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _wrong_kind(path: str, kind: str) -> Refusal:
    return invalid(
        f"The format of the value at {path} is invalid. Provide {kind} for the field and try again."
    )


def constraint(path: str, name: str, value: Any, rule: str) -> Refusal:
    """Makes the refusal with AWS's sentence for a violated constraint."""
    return invalid(
        f"1 validation error detected: Value '{value}' at '{_join(path, name)}' failed to satisfy "
        f"constraint: {rule}"
    )
