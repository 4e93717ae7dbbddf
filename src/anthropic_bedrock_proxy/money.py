"""Money: whole nano-dollars inside, exact dollars outside. Never through a float."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Final

_DIGITS: Final = 9  # behind the point
NANO_PER_USD: Final = 10**_DIGITS
MOST_USD: Final = 9_000_000_000  # what fits a 64-bit integer of nano-dollars


def nano(amount: Decimal) -> int:
    """Converts USD to nano-dollars.

    Raises `ValueError` for what is negative, too much or too fine.
    """
    if not amount.is_finite() or amount.is_signed() or amount > MOST_USD:
        raise ValueError(f"not an amount from 0 to {MOST_USD} USD")
    if not amount:
        return 0
    # The exponent is looked at before anything is computed: 1e-999999999 is short to type and long
    # to turn into a fraction.
    if amount.adjusted() >= -_DIGITS:
        numerator, denominator = amount.as_integer_ratio()
        whole, rest = divmod(numerator * NANO_PER_USD, denominator)
        if not rest:
            return whole
    raise ValueError("finer than 0.000000001 USD")


def nano_rounded_up(amount: Decimal) -> int:
    """Converts USD to nano-dollars, rounded up."""
    return int((amount * NANO_PER_USD).to_integral_value(ROUND_CEILING))


def nano_rounded_up_or_none(amount: Decimal | None) -> int | None:
    """Converts USD to nano-dollars, rounded up; None, an amount not given, stays None."""
    return None if amount is None else nano_rounded_up(amount)


def dollars(amount_nano: int) -> str:
    """Writes nano-dollars as a JSON number of dollars, exactly."""
    whole, rest = divmod(amount_nano, NANO_PER_USD)
    return f"{whole}.{rest:0{_DIGITS}d}".rstrip("0").rstrip(".")


def usd(amount_nano: int | None) -> Decimal | None:
    """Converts nano-dollars to exact USD, without trailing zeros."""
    if amount_nano is None:
        return None
    amount = Decimal(amount_nano).scaleb(-_DIGITS)
    whole = amount.to_integral_value()
    return whole if amount == whole else amount.normalize()
