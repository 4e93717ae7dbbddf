"""A bucket as a process knows it from the table, and what it has drawn ahead from it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from .base import Bucket, Level
from .decide import Cell
from .table import NOWHERE, Table

_BUSY_US: Final = 1000  # from one draw to the next
_AHEAD: Final = 15  # requests to draw for beside the one that asks
_PART: Final = 16  # of the whole bucket, that may be drawn ahead


class BucketRow(Cell):
    """A bucket's cell as the table has it: under `key`, `place` being where it was last.

    This process drew from it at `drawn_at`: `ahead` tokens for requests that are still to come.
    The bucket had `left` beside them, and would have been full `full_in` seconds later.
    """

    __slots__ = ("ahead", "drawn_at", "full_in", "key", "left", "place")

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket)
        self.key = key_of(f"{self.limit}/{self.window}/{bucket.name}")
        self.place = NOWHERE
        self.ahead = self.left = self.drawn_at = 0
        self.full_in = 0.0

    def draw_ahead(self, cost: int, level: Level) -> None:
        """Takes more than was asked for, if there is plenty and this process is busy.

        Not much more: another process may want nearly all that the bucket holds.
        """
        more, last = cost * _AHEAD, self.drawn_at
        self.drawn_at = self.at
        busy = 0 <= self.at - last < _BUSY_US
        if busy and 0 < more <= self.limit // _PART and level.remaining > self.limit // 2 + more:
            self.level += more * self.window
            self.full_at += more * self.window // self.limit
            self.ahead = more
            self.left, self.full_in = level.remaining - more, level.reset_seconds


def serve(rows: Sequence[BucketRow], costs: Sequence[int]) -> list[Level]:
    """Takes from what was drawn ahead of each, or nothing from any."""
    for row, cost in zip(rows, costs, strict=True):
        if not 0 <= cost < row.ahead:
            return []
    levels = []
    for row, cost in zip(rows, costs, strict=True):
        row.ahead = ahead = row.ahead - cost
        levels.append(Level(row.limit, row.left + ahead, row.full_in))
    return levels


def read(table: Table, row: BucketRow, now: int) -> None:
    """Takes over what the table says, and gives back what was drawn ahead.

    That as of when it was drawn, and not beyond full: it must not hide a charge that is pending.
    """
    key, level, at, _ = table.read(row.place)
    if key != row.key:
        row.place, level, at = table.bucket(row.key, now)
    if row.ahead:
        level = max(0, level - row.ahead * row.window)
        row.ahead = 0
    row.level, row.at = level, at


def key_of(name: str) -> bytes:
    """What a bucket or a slot is found by in the table."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
