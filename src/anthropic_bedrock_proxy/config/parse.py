"""Parsing of raw values (text, or TOML's types) to the types that fields declare. Pure.

`parse` raises `ValueError`; its text may add what is wrong, but never quotes the value, which may
be secret. `allowed` says what would be right, in the words of the error messages and the docs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from .schema import Field

_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
_FALSE = frozenset({"false", "0", "no", "off", "f", "n"})


def parse(field: Field, raw: object) -> Any:
    """Parses the value of a field; an empty text is None where that is allowed.

    Raises `ValueError`.
    """
    if isinstance(raw, str):
        raw = raw.strip()
        if not raw:
            if field.optional:
                return None
            raise ValueError("it is empty")
    if field.choices:
        return _choice(field, raw)
    return _PARSERS[field.type](field, raw)


def allowed(field: Field) -> str:
    """Describes the values that a field takes, for errors and docs."""
    if field.choices:
        return "one of " + ", ".join(field.choices)
    if field.setting.rule is not None:
        return field.setting.rule.allowed
    return _ALLOWED[field.type] + _bounds(field)


def _bounds(field: Field) -> str:
    low, high = field.setting.minimum, field.setting.maximum
    if low is not None and high is not None:
        return f" from {low:.15g} to {high:.15g}"
    return "" if low is None else f", at least {low:.15g}"


def _choice(field: Field, raw: object) -> str:
    for choice in field.choices:
        if isinstance(raw, str) and raw.casefold() == choice.casefold():
            return choice
    raise ValueError


def _boolean(_field: Field, raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.casefold() in _TRUE | _FALSE:
        return raw.casefold() in _TRUE
    raise ValueError


def _number(field: Field, raw: object, convert: Callable[[Any], float]) -> Any:
    if isinstance(raw, bool) or not isinstance(raw, (str, int, float)):
        raise ValueError  # noqa: TRY004  # one kind of refusal for all values
    try:
        value = convert(raw)
        finite = math.isfinite(value)
    except (ValueError, OverflowError):
        raise ValueError from None  # Python's own text quotes the value
    low, high = field.setting.minimum, field.setting.maximum
    if not finite or (low is not None and value < low) or (high is not None and value > high):
        raise ValueError
    return value


def _integer(field: Field, raw: object) -> Any:
    if isinstance(raw, float):
        raise ValueError  # noqa: TRY004  # same
    return _number(field, raw, int)


def _text(field: Field, raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError  # noqa: TRY004  # same
    if not raw.isprintable():
        raise ValueError("it contains control characters")
    if field.setting.rule is None:
        return raw
    canonical = field.setting.rule.canonical(raw)
    if canonical is None:
        raise ValueError
    return canonical


def _tree(raw: object) -> object:
    if not isinstance(raw, str):
        return raw
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from None


def _names(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(item, str) and item for item in raw):
        raise ValueError
    return tuple(raw)


def _list(_field: Field, raw: object) -> tuple[str, ...]:
    if isinstance(raw, str) and not raw.startswith("["):
        return tuple(name for part in raw.split(",") if (name := part.strip()))
    return _names(_tree(raw))


def _pairs(_field: Field, raw: object) -> dict[str, str]:
    tree = _tree(raw)
    if not isinstance(tree, dict) or not all(isinstance(v, str) and v for v in tree.values()):
        raise ValueError
    return tree


def _lists(_field: Field, raw: object) -> dict[str, tuple[str, ...]]:
    tree = _tree(raw)
    if not isinstance(tree, dict):
        raise ValueError  # noqa: TRY004  # same
    return {name: _names(value) for name, value in tree.items()}


def _tables(field: Field, raw: object) -> dict[str, dict[str, str]]:
    tree = _tree(raw)
    if not isinstance(tree, dict):
        raise ValueError  # noqa: TRY004  # same
    return {name: _pairs(field, value) for name, value in tree.items()}


_PARSERS: dict[Any, Callable[[Field, object], Any]] = {
    bool: _boolean,
    int: _integer,
    float: lambda field, raw: _number(field, raw, float),
    str: _text,
    Path: lambda field, raw: Path(_text(field, raw)),
    tuple[str, ...]: _list,
    Mapping[str, str]: _pairs,
    Mapping[str, tuple[str, ...]]: _lists,
    Mapping[str, Mapping[str, str]]: _tables,
}
_ALLOWED: dict[Any, str] = {
    bool: "true or false (also 1/0, yes/no, on/off)",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    tuple[str, ...]: "a JSON list of texts, or texts separated by commas",
    Mapping[str, str]: 'a JSON object of texts, such as {"a": "b"}',
    Mapping[str, tuple[str, ...]]: 'a JSON object of lists of texts, such as {"a": ["b", "c"]}',
    Mapping[str, Mapping[str, str]]: 'a JSON object of objects, such as {"a": {"b": "c"}}',
}
