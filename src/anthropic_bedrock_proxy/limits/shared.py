"""The limiter of one machine: all processes that were given the same path count together.

Theory of operation:
- The file (table.py) has a row for each bucket: its level, as gcra.py counts it, and the moment of
  that level. `take` locks the file, brings its rows up to date, decides (decide.py), writes them.
  What it admits is in the file at once: together, processes never admit more than the limit.
- `settle` does not lock for buckets. Its change is `pending` in the row of its process until that
  draws from the same bucket again, but no longer than 10 ms. A slot is free at once.
- A process that draws within 1 ms of its last draw, from a bucket that stays more than half full,
  draws for 15 requests ahead and serves those without the file. Within 10 ms it gives back the
  rest. Where the limit is near nothing is drawn ahead, so each draw is exact.
- So the file is locked twice a request at most, and seldom when there is much to do.

Example: processes A and B, one bucket of 600 tokens a minute, full (a token drains in 0.1 s).

    ms    call            missing in the file   ahead in A   answer
    0.0   A takes 1                1                 0       599 remain
    0.5   A takes 1               17                15       598 remain; 15 more were drawn
    1.0   A takes 1               17                14       597 remain; no lock
    1.0   A takes 1               17                13       596 remain; no lock
    1.0   B takes 10              27                13       573 remain: A's 13 count as used
    1.0   A settles +5            27                13       (5 pending in A)
    10.5  A's timer               19                 0       (-13 given back, +5 charged)
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from secrets import token_bytes
from typing import Final

from ..bounded import Bounded
from .base import Bucket, Buckets, Decision, LimiterError, Slot
from .decide import decide
from .memory import MemoryLimiter
from .row import BucketRow, key_of, read, serve
from .table import Table

REFRESH_SECONDS: Final = 15.0
SETTLE_SECONDS: Final = 0.01
_MAX_KNOWN = 16_384
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # a try may write the whole file before it fails

logger = logging.getLogger("anthropic_bedrock_proxy.limits")


class SharedLimiter:
    """The limiter over one file, which each process opens at first use, so each has its own lock.

    A process that cannot open the file counts alone (`MemoryLimiter`) until it can, and logs that.
    A decision made alone is settled alone.
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._now = now
        self._monotonic = monotonic
        self._table: Table | None = None
        self._alone = MemoryLimiter(now=now)
        self._pause = 0.0  # before the next try to open the file; 0: the last try succeeded
        self._retry_at = 0.0
        self._rows: dict[Bucket, BucketRow] = {}
        self._rows_of: dict[Buckets, Sequence[BucketRow]] = {}  # by what a request asks for
        self._unsettled: dict[BucketRow, None] = {}  # rows to look at in `_settle_now`
        self._later: asyncio.TimerHandle | None = None
        self._slots: Bounded[str, bytes] = Bounded(_MAX_KNOWN)
        self._held: dict[str, int] = {}  # by slot: how many this process holds
        self._name = b""  # of this process in its holder row, random
        self._holder = -1
        self._refresh_at = 0

    async def take(
        self, buckets: Buckets, costs: Sequence[int], slots: Sequence[Slot] = ()
    ) -> Decision:
        """See `Limiter`. Does not really wait."""
        table = self._opened()
        if table is None:
            decision = await self._alone.take(buckets, costs, slots)
            decision.by = self._alone
            return decision
        rows = self._rows_for(buckets)
        if not slots and (served := serve(rows, costs)):
            return Decision(True, served)
        with table:
            now = int(self._now() * 1e6)
            for row in rows:
                read(table, row, now)
            held = self._held_together(table, slots, now) if slots else ()
            decision = decide(now, rows, costs, slots, held)
            if decision.allowed and not slots:
                self._draw_ahead(rows, costs, decision)
            for row in rows:
                table.write(row.place, row.key, row.level, now, row.full_at)
            if slots and decision.allowed:
                self._change_held(table, slots, 1, now)
        return decision

    def settle(
        self,
        decision: Decision,
        buckets: Buckets,
        changes: Sequence[int],
        slots: Sequence[Slot] = (),
    ) -> None:
        """See `Limiter`."""
        if decision.by is self._alone:
            self._alone.settle(decision, buckets, changes, slots)
            return
        table = self._opened()
        if table is None:
            return  # drawn in a file that is no longer open here: it drains there
        rows = self._rows_for(buckets)
        for row, change in zip(rows, changes, strict=True):
            if change:
                if row.pending and (row.pending < 0) != (change < 0):
                    self._settle_now()  # what is given back beyond full must not hide a charge
                row.pending += change
                self._unsettled[row] = None
        if slots:
            with table:
                self._change_held(table, slots, -1, int(self._now() * 1e6))
        self._settle_soon()

    async def check(self) -> None:
        """See `Limiter`."""
        if self._opened() is None:
            raise LimiterError("the file of the limits cannot be used: this process counts alone")

    async def run(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Renews the holder row of this process every 15 s, until cancelled."""
        while True:
            await sleep(REFRESH_SECONDS)
            if self._held and (table := self._opened()) is not None:
                with table:
                    self._enlisted(table, int(self._now() * 1e6))

    async def close(self) -> None:
        """Writes pending changes, frees the slots of this process, closes the file."""
        self._settle_now()
        table = self._table
        if table is None:
            return
        if not table.inherited and self._holder >= 0:
            with table:
                if table.is_holder(self._holder, self._name):
                    table.leave(self._holder)
        self._forget(table)

    def open(self) -> None:
        """Opens the file; if that cannot be done, the log says so now and not with a request."""
        self._opened()

    def _opened(self) -> Table | None:
        table = self._table
        if table is not None:
            if not table.inherited:
                return table
            self._forget(table)
        if self._pause and self._monotonic() < self._retry_at:
            return None
        try:
            self._table = Table(self._path)
        except OSError as error:
            self._count_alone(error)
            return None
        if self._pause:
            self._pause = 0.0
            logger.info("%s: limits are counted together again", self._path)
        self._name, self._holder = token_bytes(16), -1
        return self._table

    def _count_alone(self, error: OSError) -> None:
        if not self._pause:
            logger.error(
                "%s: %s; this process counts its limits alone until it can be opened",
                self._path,
                error.strerror or error,
            )
        self._pause = min(self._pause * 2, _LONGEST_PAUSE) or _FIRST_PAUSE
        self._retry_at = self._monotonic() + self._pause

    def _forget(self, table: Table) -> None:
        table.close()
        self._table = None
        self._held.clear()
        # After a fork, pending changes are the parent's to settle.
        self._rows.clear()
        self._rows_of.clear()
        self._unsettled.clear()
        self._later = None

    def _rows_for(self, buckets: Buckets) -> Sequence[BucketRow]:
        rows = self._rows_of.get(buckets)
        if rows is not None:
            return rows
        # Not `Bounded`: what a row still owes is settled before it goes, and both go together.
        if len(self._rows) + len(buckets) > _MAX_KNOWN or len(self._rows_of) >= _MAX_KNOWN:
            self._settle_now()
            self._rows.clear()
            self._rows_of.clear()
        known = self._rows
        rows = [
            known.get(bucket) or known.setdefault(bucket, BucketRow(bucket)) for bucket in buckets
        ]
        self._rows_of[buckets] = rows
        return rows

    def _draw_ahead(
        self, rows: Sequence[BucketRow], costs: Sequence[int], decision: Decision
    ) -> None:
        for row, cost, level in zip(rows, costs, decision.levels, strict=True):
            row.draw_ahead(cost, level)
            if row.ahead:
                self._unsettled[row] = None
        self._settle_soon()

    def _settle_soon(self) -> None:
        if self._unsettled and self._later is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:  # the loop has ended
                self._settle_now()
            else:
                self._later = loop.call_later(SETTLE_SECONDS, self._settle_now)

    def _settle_now(self) -> None:
        """Writes pending changes to the file and gives back what was drawn ahead."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        table = self._opened() if self._unsettled else None
        rows = [row for row in self._unsettled if row.pending or row.ahead]
        self._unsettled.clear()
        if table is None or not rows:
            return
        with table:
            now = int(self._now() * 1e6)
            for row in rows:
                read(table, row, now)
                row.look(now, 0)
                row.told()
                table.write(row.place, row.key, row.level, now, row.full_at)

    def _held_together(self, table: Table, slots: Sequence[Slot], now: int) -> list[int]:
        held = [self._count(table, slot.name) for slot in slots]
        if any(count >= slot.limit for count, slot in zip(held, slots, strict=True)):
            table.bury(now)
            held = [self._count(table, slot.name) for slot in slots]
        return held

    def _count(self, table: Table, name: str) -> int:
        row, found = table.slot(self._slot_key(name))
        return table.held(row) if found else 0

    def _change_held(self, table: Table, slots: Sequence[Slot], change: int, now: int) -> None:
        due = now >= self._refresh_at or self._holder < 0
        if due or not table.is_holder(self._holder, self._name):
            self._enlisted(table, now)
        for slot in slots:
            count = max(0, self._held.get(slot.name, 0) + change)
            if count:
                self._held[slot.name] = count
            else:
                self._held.pop(slot.name, None)
            table.hold(self._slot_key(slot.name), self._holder, count)

    def _enlisted(self, table: Table, now: int) -> None:
        """Renews the holder row of this process; makes another if it was given up as dead.

        A new row is told every slot that the process holds.
        """
        self._refresh_at = now + int(REFRESH_SECONDS * 1e6)
        if self._holder >= 0 and table.is_holder(self._holder, self._name):
            table.keep(self._holder, self._name, now)
            return
        self._holder = table.enlist(self._name, now)
        for name, count in self._held.items():
            table.hold(self._slot_key(name), self._holder, count)

    def _slot_key(self, name: str) -> bytes:
        key = self._slots.get(name)
        if key is None:
            key = self._slots[name] = key_of(name)
        return key
