"""Calendar periods of budgets, UTC. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from ...store.base.ledger import DAY_MS

_DAY_SECONDS: Final = DAY_MS // 1000


class Today(msgspec.Struct, frozen=True):
    """The periods that a moment is in, and when they end (epoch seconds)."""

    day: str
    month: str
    day_ends: int
    month_ends: int


def today(at: float) -> Today:
    """Returns the periods of a moment (epoch seconds)."""
    return _today(int(at // _DAY_SECONDS))


@lru_cache(maxsize=4)
def _today(day: int) -> Today:
    date = datetime.fromtimestamp(day * _DAY_SECONDS, UTC)
    next_month = (date.replace(day=1) + timedelta(days=32)).replace(day=1)
    return Today(
        day=f"{date:%Y-%m-%d}",
        month=f"{date:%Y-%m}",
        day_ends=(day + 1) * _DAY_SECONDS,
        month_ends=int(next_month.timestamp()),
    )
