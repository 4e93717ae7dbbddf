"""A limit of searches per minute for each key, counted in one process. Pure.

The generic cell rate algorithm: a key may search so many times at once, and then at the pace at
which a minute would be used up. Only the moment until which each key has drawn is kept; that of a
key which has drawn nothing for a minute says nothing any more.
"""

from __future__ import annotations

from typing import Final

from ..bounded import Bounded

_MINUTE: Final = 60.0
_KEYS: Final = 10_000  # that are remembered, of which some draw


class SearchRate:
    """Draws searches of keys."""

    def __init__(self, per_minute: int) -> None:
        """`per_minute` 0: no limit."""
        self._pace = _MINUTE / per_minute if per_minute else 0.0
        self._drawn: Bounded[str, float] = Bounded(_KEYS)

    def take(self, key: str, now: float) -> float:
        """Draws one search; returns 0, or the seconds until there is one, and draws none."""
        if not self._pace:
            return 0.0
        until = max(self._drawn.get(key, now), now) + self._pace
        late = until - now - _MINUTE
        if late > self._pace * 1e-6:  # what sums of fractions leave
            return late
        self._drawn[key] = until
        return 0.0
