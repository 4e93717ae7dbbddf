"""One decision over several buckets: everything or nothing. Pure, for every limiter in here.

Every request comes through here, so steps that seldom have work are skipped by a test.
"""

from __future__ import annotations

from collections.abc import Sequence

from .base import Bucket, Decision, Level, Slot
from .gcra import HIGHEST, charged, drained, moved, remaining, reset, wait

# Microseconds after which to ask again for a slot: nobody knows when a request ends.
SLOT_PAUSE = 1_000_000


class Cell:
    """A bucket with its `level` (see gcra.py) at the moment `at`, in microseconds.

    `pending` tokens are still to be charged, or given back if negative. `full_at` is the moment
    when it will be full, as of the last `told`.
    """

    __slots__ = ("_after", "_room", "at", "full_at", "level", "limit", "pending", "window")

    def __init__(self, bucket: Bucket) -> None:
        self.limit = bucket.limit
        self.window = bucket.window_us
        self.level = self.at = self.full_at = self.pending = self._after = 0
        # Up to this level there is nothing to wait for and nothing to clip.
        self._room = min(self.limit * self.window, HIGHEST) if self.limit > 0 else -1

    def look(self, now: int, cost: int) -> int:
        """Brings the level up to date, and looks at a draw: microseconds until it is admitted."""
        limit, window, level = self.limit, self.window, self.level
        if level:
            level = drained(level, now - self.at, limit)
        if self.pending:
            level = moved(level, self.pending, limit, window)
            self.pending = 0
        self.level, self.at = level, now
        if not 0 <= cost <= limit:
            cost = charged(cost, limit)
        after = self._after = level + cost * window
        if after <= self._room:
            return 0
        self._after = moved(level, cost, limit, window)
        return wait(level, cost, limit, window)

    def told(self, *, drawn: bool = False) -> Level:
        """Returns the state for the answer; `drawn`: takes what `look` judged last."""
        if drawn:
            self.level = self._after
        level, limit, window = self.level, self.limit, self.window
        full_in = reset(level, limit, window)
        self.full_at = self.at + full_in
        return Level(limit, remaining(level, limit, window), full_in / 1e6)


def decide(
    now: int,
    cells: Sequence[Cell],
    costs: Sequence[int],
    slots: Sequence[Slot],
    held: Sequence[int],
) -> Decision:
    """Decides by the buckets' cells and by the numbers that hold each slot.

    Draws from the cells if the decision is to allow.
    """
    denied, longest = None, 0
    for index, cell in enumerate(cells):
        if (pause := cell.look(now, costs[index])) > longest:
            denied, longest = index, pause
    for index, slot in enumerate(slots, len(cells)):
        if held[index - len(cells)] >= slot.limit and longest < SLOT_PAUSE:
            denied, longest = index, SLOT_PAUSE
    allowed = denied is None
    levels = [cell.told(drawn=allowed) for cell in cells]
    return Decision(allowed, levels, denied, longest / 1e6)
