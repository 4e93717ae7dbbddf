"""Checks of single JSON values, in the words that Anthropic's validation uses.

Each takes a path such as `messages.0.content.1.text` and raises a `ValidationException`. The
sentences are those clients see in public issue reports; where none is known the nearest one is
used, because callers match on the path and the reason, not on the style.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from .refusal import extra, invalid

_KINDS: dict[type, str] = {str: "string", dict: "dictionary", list: "list", bool: "boolean"}


def only(path: str, value: dict[str, Any], allowed: Collection[str]) -> None:
    """Refuses the first key that is not allowed."""
    for key in value:
        if key not in allowed:
            raise extra(f"{path}.{key}" if path else key)


def need(path: str, value: dict[str, Any], key: str, kind: type) -> Any:
    """Returns the required field `key`. Refuses its absence, or another JSON kind."""
    where = f"{path}.{key}" if path else key
    if key not in value:
        raise invalid(f"{where}: Field required")
    return typed(where, value[key], kind)


def typed(path: str, value: Any, kind: type) -> Any:
    """Returns `value`; refuses one of another kind (a bool is never an int)."""
    if kind is int:
        if type(value) is not int:
            raise invalid(f"{path}: Input should be a valid integer")
    elif kind is float:
        if type(value) not in (int, float):
            raise invalid(f"{path}: Input should be a valid number")
    elif not isinstance(value, kind):
        raise invalid(f"{path}: Input should be a valid {_KINDS[kind]}")
    return value


def bounded(path: str, value: float, low: float, high: float) -> None:
    """Refuses a number outside `low`..`high`."""
    if value < low:
        raise invalid(f"{path}: Input should be greater than or equal to {low}")
    if value > high:
        raise invalid(f"{path}: Input should be less than or equal to {high}")


def one_of(path: str, value: Any, allowed: Collection[str]) -> str:
    """Returns `value`; refuses one that is not among `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        raise invalid(f"{path}: Input should be {_listed(allowed, ' or ')}")
    return value


def tag(path: str, value: dict[str, Any], allowed: Collection[str], key: str = "type") -> str:
    """Returns the discriminator of a union; refuses one that is not among `allowed`."""
    given = value.get(key)
    if not isinstance(given, str):
        raise invalid(f"{path}: Unable to extract tag using discriminator '{key}'")
    if given not in allowed:
        raise invalid(
            f"{path}: Input tag '{given}' found using '{key}' does not match any of the expected "
            f"tags: {_listed(allowed, ', ')}"
        )
    return given


def matching(path: str, value: str, pattern: re.Pattern[str]) -> None:
    """Refuses text that does not match the whole pattern."""
    if not pattern.fullmatch(value):
        raise invalid(f"{path}: String should match pattern '^{pattern.pattern}$'")


def _listed(names: Collection[str], last: str) -> str:
    quoted = [f"'{name}'" for name in sorted(names)]
    if last == ", " or len(quoted) == 1:
        return ", ".join(quoted)
    return ", ".join(quoted[:-1]) + last + quoted[-1]
