"""A bucket's row as one process knows it, with the tokens that the process has drawn ahead.

Theory of operation: `read` takes over the level from the table and gives back what was drawn ahead;
`Cell.look` (decide.py) then drains the level, applies what is pending and judges the draw;
`draw_ahead` takes more where that is safe; `serve` spends it without the table. The level in the
table therefore always contains what any process may still hand out.

Example: a bucket of 600 a minute (a token weighs 60 000 000, see gcra.py), cost 1.

    draw_ahead(1, remaining 598)   598 > 300 + 15, 15 <= 600 / 16: level += 15 tokens, ahead = 15
    serve(cost 1), twice           ahead 14, 13; the table is not touched, `remaining` goes down
    serve(cost 14)                 refused (14 > 13): a draw on the table follows
    read                           level -= 13 tokens, ahead = 0; then this draw is exact again
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from .base import Bucket, Level
from .decide import Cell
from .table import NOWHERE, Table

_BUSY_US: Final = 1000  # from one draw to the next
_AHEAD: Final = 15  # requests to draw for beside the one at hand
_PART: Final = 16  # of the whole bucket, that may be drawn ahead


class BucketRow(Cell):
    """A bucket's cell with its `key` in the table and the `place` where its row was last.

    `drawn_at` is the moment of this process's last exact draw (microseconds), `ahead` the tokens
    drawn then for requests to come; `left` tokens remained beside them, and the bucket would have
    been full `full_in` seconds later.
    """

    __slots__ = ("ahead", "drawn_at", "full_in", "key", "left", "place")

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket)
        self.key = key_of(f"{self.limit}/{self.window}/{bucket.name}")
        self.place = NOWHERE
        self.ahead = self.left = self.drawn_at = 0
        self.full_in = 0.0

    def draw_ahead(self, cost: int, level: Level) -> None:
        """Draws for `_AHEAD` further requests, if the bucket has plenty and this process is busy.

        At most a sixteenth of the limit: another process may want nearly all of the bucket.
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
    """Takes the costs from what was drawn ahead; empty, and none taken, if one has too little."""
    for row, cost in zip(rows, costs, strict=True):
        if not 0 <= cost < row.ahead:
            return []
    levels = []
    for row, cost in zip(rows, costs, strict=True):
        row.ahead = ahead = row.ahead - cost
        levels.append(Level(row.limit, row.left + ahead, row.full_in))
    return levels


def read(table: Table, row: BucketRow, now: int) -> None:
    """Takes over the level from the table, and gives back what was drawn ahead.

    It is given back to the level as it was, not beyond full: else it would hide a pending charge.
    """
    key, level, at, _ = table.read(row.place)
    if key != row.key:
        row.place, level, at = table.bucket(row.key, now)
    if row.ahead:
        level = max(0, level - row.ahead * row.window)
        row.ahead = 0
    row.level, row.at = level, at


def key_of(name: str) -> bytes:
    """Hashes the name of a bucket or slot to its key in the table (16 bytes)."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
