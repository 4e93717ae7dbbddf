"""Values typed and printed, exactly: dollars, moments, and values that can be cleared.

Dollars never pass through a float, in neither direction.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import TypeVar

import click

from ..admin import moments
from ..money import NANO_PER_USD, nano, usd

T = TypeVar("T")


class Cleared(Enum):
    """The value of an option given as `none` or as the empty text: the field is cleared."""

    CLEARED = "none"


def dollars(text: str) -> Decimal:
    """Reads USD exactly; finer amounts than a nano-dollar are refused.

    Raises `click.BadParameter`.
    """
    try:
        amount = usd(nano(Decimal(text)))
    except InvalidOperation:
        raise click.BadParameter(f"{text!r} is not an amount in USD") from None
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is {error}") from None
    assert amount is not None  # noqa: S101  # for mypy: a number came in
    return amount


def moment(text: str) -> str:
    """Reads a date or timestamp as ISO-8601 with its offset. Raises `click.BadParameter`."""
    return moments.timestamp_ms(_checked(moments.moment_ms, text))


def day(text: str) -> str:
    """Reads a day, YYYY-MM-DD, or a timestamp that begins one. Raises `click.BadParameter`."""
    return _checked(moments.day, text)


def clearable(convert: Callable[[str], T]) -> Callable[[str], T | Cleared]:
    """Wraps `convert`: `none` and the empty text become `Cleared.CLEARED`."""

    def converted(text: str) -> T | Cleared:
        return Cleared.CLEARED if text in ("", "none") else convert(text)

    return converted


def given(options: dict[str, object]) -> dict[str, object]:
    """Returns the body's fields for the options that were given; null for cleared ones."""
    fields: dict[str, object] = {}
    for name, value in options.items():
        if value is Cleared.CLEARED:
            fields[name] = None
        elif isinstance(value, tuple):  # an option that may be repeated
            if value:
                fields[name] = [] if value[-1] in ("", "none") else list(value)
        elif value is not None:
            fields[name] = value
    return fields


def usd_text(amount: Decimal | int | None) -> str:
    """Writes USD for people, at least two decimals; a dash where nothing is priced."""
    if amount is None:
        return "-"
    whole, rest = divmod(int(Decimal(amount).scaleb(9)), NANO_PER_USD)
    return f"{whole}.{f'{rest:09d}'.rstrip('0'):<02}"


def _checked(convert: Callable[[str], T], text: str) -> T:
    try:
        return convert(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
