"""The limiter of one process: cells and counts in dictionaries."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from .base import Bucket, Buckets, Decision, Slot
from .decide import Cell, decide


class MemoryLimiter:
    """The counter of one process; beyond `most` buckets it forgets those nearest to full.

    So not the oldest, as `Bounded` would: a bucket that is empty has to be remembered.
    """

    def __init__(self, *, now: Callable[[], float] = time.time, most: int = 65_536) -> None:
        self._now = now
        self._most = most
        self._cells: dict[Bucket, Cell] = {}
        self._held: Counter[str] = Counter()

    async def take(
        self, buckets: Buckets, costs: Sequence[int], slots: Sequence[Slot] = ()
    ) -> Decision:
        """See `Limiter`."""
        now = int(self._now() * 1e6)
        cells = [self._cell(bucket) for bucket in buckets]
        decision = decide(now, cells, costs, slots, [self._held[slot.name] for slot in slots])
        if decision.allowed:
            for slot in slots:
                self._held[slot.name] += 1
        self._forget(now)
        return decision

    def settle(
        self,
        decision: Decision,  # noqa: ARG002  # there is only one who decides
        buckets: Buckets,
        changes: Sequence[int],
        slots: Sequence[Slot] = (),
    ) -> None:
        """See `Limiter`."""
        now = int(self._now() * 1e6)
        for bucket, change in zip(buckets, changes, strict=True):
            if change:
                cell = self._cell(bucket)
                cell.pending = change
                cell.look(now, 0)
                cell.told()
        for slot in slots:
            if self._held[slot.name] > 1:
                self._held[slot.name] -= 1
            else:
                del self._held[slot.name]
        self._forget(now)

    async def check(self) -> None:
        """See `Limiter`: there is nobody to count with."""

    async def run(self) -> None:
        """Does nothing: slots of one process do not lapse."""

    async def close(self) -> None:
        """Does nothing: there is no shared state."""

    def _cell(self, bucket: Bucket) -> Cell:
        cell = self._cells.get(bucket)
        if cell is None:
            cell = self._cells[bucket] = Cell(bucket)
        return cell

    def _forget(self, now: int) -> None:
        if len(self._cells) <= self._most:
            return
        full_at = {bucket: cell.full_at for bucket, cell in self._cells.items()}
        kept = sorted((b for b in full_at if full_at[b] > now), key=full_at.__getitem__)
        self._cells = {bucket: self._cells[bucket] for bucket in kept[-(self._most // 2) :]}
