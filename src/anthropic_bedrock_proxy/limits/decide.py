"""One decision over several buckets: everything or nothing. Pure, for every limiter in here."""

from __future__ import annotations

from collections.abc import Sequence

from .base import Bucket, Decision, Level, Slot, Take
from .gcra import charged, drained, moved, remaining, reset, wait

SLOT_SECONDS = 1.0  # when to ask again for a slot: nobody knows when a request ends


class Cell:
    """A bucket, its level, and when it was that in microseconds."""

    __slots__ = ("at", "level", "limit", "window")

    def __init__(self, bucket: Bucket) -> None:
        self.limit = bucket.limit
        self.window = bucket.window_us
        self.level = 0
        self.at = 0

    def drain(self, now: int) -> None:
        """Brings the level up to date."""
        self.level = drained(self.level, now - self.at, self.limit)
        self.at = now

    def move(self, change: int) -> None:
        """Charges, or gives back."""
        self.level = moved(self.level, change, self.limit, self.window)

    @property
    def full_at(self) -> int:
        """When it will be full."""
        return self.at + reset(self.level, self.limit, self.window)


def decide(
    takes: Sequence[Take], cells: Sequence[Cell], slots: Sequence[Slot], held: Sequence[int]
) -> Decision:
    """Decides by the buckets' cells, up to date, and by how many hold each slot.

    Moves the cells if it allows.
    """
    denied, longest = None, 0.0
    index = 0
    amounts = []
    for take, cell in zip(takes, cells, strict=True):
        amounts.append(amount := charged(take.cost, cell.limit))
        if (pause := wait(cell.level, amount, cell.limit, cell.window)) and pause / 1e6 > longest:
            denied, longest = index, pause / 1e6
        index += 1
    for slot, count in zip(slots, held, strict=True):
        if count >= slot.limit and longest < SLOT_SECONDS:
            denied, longest = index, SLOT_SECONDS
        index += 1
    levels = []
    for cell, amount in zip(cells, amounts, strict=True):
        level, limit, window = cell.level, cell.limit, cell.window
        if denied is None:
            cell.level = level = moved(level, amount, limit, window)
        full_in = reset(level, limit, window) / 1e6
        levels.append(Level(limit, remaining(level, limit, window), full_in))
    return Decision(denied is None, levels, denied, longest)
