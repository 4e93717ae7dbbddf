"""The shapes of values in foreign documents: each is checked where it is used.

A wrong one raises `MigrationError`, which begins with the place: `model_list[2]: …`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from .plan import MigrationError

_KINDS: Final = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
_DIGITS: Final = range(-50, 18)  # where those of a number may begin: others fill the memory
_EMPTY: Final[tuple[object, ...]] = (None, "", False, 0, [], {})


def is_empty(value: object) -> bool:
    """Tells whether a value says nothing: null, no text, no entries, false, 0."""
    return value in _EMPTY


def mapping(value: object, place: str) -> Mapping[str, Any]:
    """Returns an object; null is an empty one."""
    if value is None:
        return {}
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise MigrationError(f"{place}: the name {name!r} is no text")
        return value
    raise _wrong(place, "an object", value)


def entries(value: object, place: str) -> Sequence[Any]:
    """Returns a list; null is an empty one."""
    if value is None:
        return ()
    if isinstance(value, list):
        return value
    raise _wrong(place, "a list", value)


def text(value: object, place: str) -> str:
    """Returns a text; a number is taken for one, as YAML tells them apart by quotes alone."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(value)
    raise _wrong(place, "a text", value)


def texts(value: object, place: str) -> list[str]:
    """Returns a list of texts; a single text is a list of one."""
    if isinstance(value, str):
        return [value]
    found = entries(value, place)
    return [text(one, f"{place}[{number}]") for number, one in enumerate(found)]


def amount(value: object, place: str) -> Decimal:
    """Returns a number from 0, with the digits that were written."""
    if isinstance(value, int | float | Decimal | str) and not isinstance(value, bool):
        try:
            number = Decimal(str(value))
        except ArithmeticError:
            raise _wrong(place, "a number", value) from None
        if number.is_finite() and number >= 0 and (not number or number.adjusted() in _DIGITS):
            return number or Decimal(0)
    raise _wrong(place, "a number from 0, of a usual size", value)


def without_zeros(number: Decimal) -> Decimal:
    """Returns a number as people write it: 100, and neither 1E+2 nor 100.000."""
    return Decimal(f"{number.normalize():f}")


def whole(value: object, place: str) -> int:
    """Returns a whole number from 0."""
    number = amount(value, place)
    if number != int(number):
        raise _wrong(place, "a whole number", value)
    return int(number)


def _wrong(place: str, expected: str, value: object) -> MigrationError:
    # The value itself may be a secret.
    return MigrationError(f"{place}: expected {expected}, not {_KINDS.get(type(value), 'this')}")
