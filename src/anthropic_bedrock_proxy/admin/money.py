"""Dollars and nano-dollars, exactly: never through a float."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

NANO_PER_USD: Final = 10**9
MOST_USD: Final = 9_000_000_000  # what fits a 64-bit integer of nano-dollars
_FINEST_EXPONENT: Final = -9


def nano(amount: Decimal) -> int:
    """Converts USD to nano-dollars. Raises `ValueError`: negative, too much or too fine."""
    if not amount.is_finite() or amount.is_signed() or amount > MOST_USD:
        raise ValueError(f"not an amount from 0 to {MOST_USD} USD")
    if not amount:
        return 0
    # The exponent is looked at before anything is computed: 1e-999999999 is short to type and long
    # to turn into a fraction.
    if amount.adjusted() >= _FINEST_EXPONENT:
        numerator, denominator = amount.as_integer_ratio()
        whole, rest = divmod(numerator * NANO_PER_USD, denominator)
        if not rest:
            return whole
    raise ValueError("finer than 0.000000001 USD")


def usd(amount_nano: int | None) -> Decimal | None:
    """Converts nano-dollars to exact USD, without trailing zeros."""
    if amount_nano is None:
        return None
    amount = Decimal(amount_nano).scaleb(-9)
    whole = amount.to_integral_value()
    return whole if amount == whole else amount.normalize()
