"""The arithmetic of a rate limit: the generic cell rate algorithm, in whole numbers.

A bucket holds `limit` tokens and refills in `window` microseconds. What is missing from it is its
level, counted in tokens times microseconds, so that a microsecond drains exactly `limit` and a
token weighs exactly `window`: nothing is ever rounded, whatever the limit. Level 0 is a full
bucket, `limit * window` an empty one, and anything above is debt. Rules:
- Pure: no clock, no I/O. Times are whole microseconds; a clock that stepped back drains nothing.
- A bucket admits while what it would miss then is at most all it holds.
- More than the bucket holds weighs as much as it holds, so it passes when the bucket is full.
- Debt ends: it keeps a bucket closed for a day at most.
Prior art: ITU-T I.371; Brandur Leach, "Rate Limiting, Cells, and GCRA".
"""

from __future__ import annotations

from typing import Final

DEBT_US: Final = 86_400_000_000  # the longest that debt alone keeps a bucket closed
HIGHEST: Final = 2**62  # levels are kept in 64 bits


def charged(cost: int, limit: int) -> int:
    """Returns the tokens that a request of `cost` draws: from 0 to `limit`."""
    if 0 <= cost <= limit:
        return cost
    return max(0, min(cost, limit))


def drained(level: int, elapsed: int, limit: int) -> int:
    """Returns the level after `elapsed` microseconds."""
    if elapsed > 0:
        level -= elapsed * limit
    if level > 0:
        return level
    return 0


def wait(level: int, amount: int, limit: int, window: int) -> int:
    """Returns microseconds until the bucket admits `amount`; 0: now.

    For a limit below 1, which admits nothing ever, that is `window`.
    """
    if limit < 1:
        return window
    missing = level + (amount - limit) * window
    return -(-missing // limit) if missing > 0 else 0


def moved(level: int, change: int, limit: int, window: int) -> int:
    """Returns the level after `change` more tokens, maybe in debt; a negative change gives back."""
    level += change * window
    if level <= 0 or limit < 1:
        return 0
    if change > 0 and level > min(limit * window, HIGHEST):
        return min(level, limit * (window + DEBT_US), HIGHEST)
    return level


def remaining(level: int, limit: int, window: int) -> int:
    """Returns the whole tokens that the bucket holds."""
    return max(0, limit - -(-level // window))


def reset(level: int, limit: int, window: int) -> int:
    """Returns microseconds until the bucket is full."""
    return -(-level // limit) if limit > 0 else window
