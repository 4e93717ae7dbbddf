"""What a user types and what is printed, exactly: dollars, moments, and values that can be cleared.

Dollars become integer nano-dollars without passing through a float, and come back the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import TypeVar

import click

T = TypeVar("T")

NANO_PER_USD = 10**9
MOST_USD = 9_000_000_000  # what fits a 64-bit integer of nano-dollars
_FINEST_EXPONENT = -9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Cleared(Enum):
    """An option given as `none` or as the empty text: the field is to have no value."""

    CLEARED = "none"


def dollars(text: str) -> int:
    """USD as nano-dollars.

    Raises `click.BadParameter` for what is negative, not a number, or finer than they are.
    """
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise click.BadParameter(f"{text!r} is not an amount in USD") from None
    if not amount.is_finite() or amount.is_signed() or amount > MOST_USD:
        raise click.BadParameter(f"{text!r} is not an amount from 0 to {MOST_USD} USD")
    if not amount:
        return 0
    # The exponent is looked at before anything is computed: 1e-999999999 is short to type and long
    # to turn into a fraction.
    if amount.adjusted() >= _FINEST_EXPONENT:
        numerator, denominator = amount.as_integer_ratio()
        nano, rest = divmod(numerator * NANO_PER_USD, denominator)
        if not rest:
            return nano
    raise click.BadParameter(f"{text!r} is finer than 0.000000001 USD")


def moment(text: str) -> int:
    """A date (its first moment) or an ISO-8601 timestamp as epoch milliseconds.

    UTC unless it says otherwise. Raises `click.BadParameter`, also for what is before 1970.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a date like 2026-01-31 or a timestamp like 2026-01-31T09:00:00Z"
        ) from None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    if at < _EPOCH:
        raise click.BadParameter(f"{text!r} is before 1970")
    return (at - _EPOCH) // timedelta(milliseconds=1)


def clearable(convert: Callable[[str], T]) -> Callable[[str], T | Cleared]:
    """`convert`, or `Cleared.CLEARED` for `none` and for the empty text."""

    def converted(text: str) -> T | Cleared:
        return Cleared.CLEARED if text in ("", "none") else convert(text)

    return converted


def usd(nano: int | None) -> Decimal | None:
    """Nano-dollars as exact USD, without trailing zeros."""
    if nano is None:
        return None
    amount = Decimal(nano).scaleb(-9)
    whole = amount.to_integral_value()
    return whole if amount == whole else amount.normalize()


def usd_text(nano: int | None) -> str:
    """USD for people, at least two decimals; a dash where nothing is priced."""
    if nano is None:
        return "-"
    whole, rest = divmod(nano, NANO_PER_USD)
    return f"{whole}.{f'{rest:09d}'.rstrip('0'):<02}"


def timestamp(seconds: int | None) -> str | None:
    """Epoch seconds as ISO-8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
