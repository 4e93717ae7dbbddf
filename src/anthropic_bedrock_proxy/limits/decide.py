"""One decision over several buckets: everything or nothing. Pure, for every limiter in here.

Every request comes through here: steps that nearly always do nothing are asked for first.
"""

from __future__ import annotations

from collections.abc import Sequence

from .base import Bucket, Decision, Level, Slot, Take
from .gcra import HIGHEST, charged, drained, moved, remaining, reset, wait

SLOT_SECONDS = 1.0  # when to ask again for a slot: nobody knows when a request ends


class Cell:
    """A bucket, its level, and when it was that in microseconds.

    `pending` tokens are still to be charged, or given back. `full_at` is when it will be full, as
    of the last time that it was `told`.
    """

    __slots__ = ("_room", "at", "full_at", "level", "limit", "pending", "window")

    def __init__(self, bucket: Bucket) -> None:
        self.limit = bucket.limit
        self.window = bucket.window_us
        self.level = self.at = self.full_at = self.pending = 0
        # Up to this level there is nothing to wait for and nothing to clip.
        self._room = min(self.limit * self.window, HIGHEST) if self.limit > 0 else -1

    def bring(self, level: int, at: int, now: int) -> None:
        """The level was that; charges what is pending."""
        level = drained(level, now - at, self.limit)
        if self.pending:
            level = moved(level, self.pending, self.limit, self.window)
            self.pending = 0
        self.level = level
        self.at = now

    def after(self, cost: int) -> tuple[int, int]:
        """What the level would be after taking `cost`, and microseconds until that is admitted."""
        limit = self.limit
        if not 0 <= cost <= limit:
            cost = charged(cost, limit)
        level = self.level + cost * self.window
        if level <= self._room:
            return level, 0
        return (
            moved(self.level, cost, limit, self.window),
            wait(self.level, cost, limit, self.window),
        )

    def told(self) -> Level:
        """Where it stands."""
        full_in = reset(self.level, self.limit, self.window)
        self.full_at = self.at + full_in
        left = remaining(self.level, self.limit, self.window)
        return Level(self.limit, left, full_in / 1e6)


def decide(
    takes: Sequence[Take], cells: Sequence[Cell], slots: Sequence[Slot], held: Sequence[int]
) -> Decision:
    """Decides by the buckets' cells, up to date, and by how many hold each slot.

    Moves the cells if it allows.
    """
    denied, longest = None, 0
    index = 0
    levels = []
    for take, cell in zip(takes, cells, strict=True):
        level, pause = cell.after(take.cost)
        if pause > longest:
            denied, longest = index, pause
        levels.append(level)
        index += 1
    for slot, count in zip(slots, held, strict=True):
        if count >= slot.limit and longest < SLOT_SECONDS * 1e6:
            denied, longest = index, int(SLOT_SECONDS * 1e6)
        index += 1
    if denied is None:
        for cell, level in zip(cells, levels, strict=True):
            cell.level = level
    return Decision(denied is None, [cell.told() for cell in cells], denied, longest / 1e6)
