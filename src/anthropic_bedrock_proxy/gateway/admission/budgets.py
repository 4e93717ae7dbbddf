"""Budgets: what a worker may spend without asking, borrowed from the ledger in slices.

Theory of operation:
- A worker has a slice of every budget that its requests use. A request is admitted while each slice
  that it needs has something left; with holds, the most that it may cost. Nothing is asked then.
- A slice is borrowed from the ledger, which holds it for this worker. The ledger never lends more
  than a budget has left: all workers together overspend by no more than the requests that run when
  the last slice is used up, and with holds not at all.
- A slice is a dollar at first, doubles when it was used up within a second, is halved otherwise,
  and is at most a sixteenth of what the budget has left, so that others find something too. With a
  quarter left the next one is asked for, in the background.
- What was spent reaches the ledger with the usage records, never from here: a cost is counted once,
  by whoever delivers its record, and stays held (unpaid) until then.
- What is left over goes back when a slice is idle for 5 s. Holds lapse in 60 s if not renewed, so a
  dead worker keeps nothing for long.
- While the ledger does not answer, whoever was not over budget goes on (`fail_open`), or nobody.

Example: workers A and B, no holds, a budget of 20 dollars; the ledger's figures are (spent, held).

    event                            ledger         A: available, unpaid    B: available
    A admits a request: borrows 1    0.00  1.00         1.00    0.00
    it has cost 0.30                 0.00  1.00         0.70    0.30
    B admits a request: borrows 1    0.00  2.00         0.70    0.30            1.00
    A: another, has cost 0.80        0.00  2.00        -0.10    1.10            1.00
    A admits: borrows 1.2875         0.00  3.29         1.19    1.10            1.00
    A's usage is delivered (1.10)    1.10  2.19         1.19    0.00            1.00
    A is idle: gives back 1.19       1.10  1.00         0       0.00            1.00

The slice of 1.1875 is a sixteenth of the 19 dollars that were left when A last asked; the tenth of
a dollar beyond its first slice is borrowed along.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ...errors import UnavailableError
from ...store.base import Ledger, StoreError
from ...store.records import Account, Standing
from .outage import Outage
from .purse import Budget, Hold, Purse
from .upkeep import LEASE_SECONDS, MARGIN_SECONDS, Deliveries, Upkeep

_log = logging.getLogger("anthropic_bedrock_proxy.budgets")
_THRESHOLDS: Final = (80, 100)  # percent of a budget; passing one is logged
_RENEW_SECONDS: Final = 15.0
_IDLE_SECONDS: Final = 5.0
_ASK_SECONDS: Final = 1.0  # between questions to a ledger that has refused
_ANSWER_SECONDS: Final = 1.0  # a request waits no longer for the ledger
_GIVE_UP_SECONDS: Final = 30.0  # the task that borrows waits no longer
_PARTS: Final = 16  # a slice is at most this part of what a budget has left
_SLICE_NANO: Final = 1_000_000_000  # the first slice, if a sixteenth is not smaller
_SLICE_SECONDS: Final = 1.0  # one that is used up sooner is doubled
_RESERVE: Final = 4  # with so small a part of a slice left, the next is asked for
_MAX_NOTED: Final = 4096


class Budgets:
    """The slices of one worker: admits requests by them, and settles what they cost."""

    def __init__(
        self,
        ledger: Ledger,
        deliveries: Deliveries,
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        holds: bool = False,
        fail_open: bool = True,
    ) -> None:
        """`deliveries` are those of this worker's usage.

        `holds`: admit a request only if its highest cost can be paid. `fail_open`: while the ledger
        does not answer, owners that were not over budget before may go on.
        """
        self._ledger = ledger
        self._deliveries = deliveries
        self._holder = deliveries.writer
        self._now = now
        self._monotonic = monotonic
        self._fail_open = fail_open
        self.holds = holds
        self.purses: dict[Account, Purse] = {}
        self._noted: set[tuple[Account, int]] = set()
        self._outage = Outage(monotonic=monotonic, fail_open=fail_open)
        self.upkeep = Upkeep(
            ledger, deliveries, self.purses, self._outage, now=now, monotonic=monotonic
        )

    async def take(self, budgets: Sequence[Budget], nano: int) -> Hold:
        """Lets a request begin that may cost up to `nano` (which counts only with holds).

        Raises `PermissionDeniedError` for a budget that is used up, and `UnavailableError`.
        """
        needed = nano if self.holds else 0
        now = self._monotonic()
        purses: list[Purse] = []
        reserve = needed > 0
        for budget in budgets:
            purse = self.purses.get(budget.account)
            if purse is None:
                purse = self.purses[budget.account] = Purse(budget)
            if purse.budget is not budget or now >= purse.lapses_at:
                purse.adjust(budget, now)
            purse.used_at = now
            purse.running += 1
            purses.append(purse)
            if purse.available < purse.low:
                if purse.available < 1:
                    reserve = True
                elif purse.borrowing is None and not self._outage.lasts:
                    # Before it is empty, so that nobody has to wait. A ledger that is down is left
                    # to those who need it: they may ask once a second, all together.
                    self._send_for(purse, 0)
        if reserve:
            try:
                await self._reserve(purses, needed)
            except BaseException:
                for purse in purses:
                    purse.running -= 1
                raise
        return Hold(purses, budgets, needed)

    async def extend(self, hold: Hold, nano: int) -> None:
        """Lets a running request go on that may cost up to `nano` more. Raises as `take`."""
        if self.holds:
            await self._reserve(hold.purses, nano)
            hold.nano += nano

    def settle(self, hold: Hold, cost_nano: int) -> None:
        """Ends a request's hold: it has cost `cost_nano`, which is unpaid until delivered.

        Never raises.
        """
        now, round_ = self._monotonic(), self._deliveries.round
        for purse, budget in zip(hold.purses, hold.budgets, strict=True):
            purse.let_go(hold.nano, cost_nano, budget)
            if cost_nano:
                purse.unpaid[round_] = purse.unpaid.get(round_, 0) + cost_nano
            purse.running -= 1
            purse.used_at = now

    async def run(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Renews holds that are in use and gives back idle slices, until cancelled."""
        since = 0.0
        while True:
            await sleep(_IDLE_SECONDS)
            since += _IDLE_SECONDS
            try:
                await self.upkeep.give_back(idle_seconds=_IDLE_SECONDS)
                await self.upkeep.mend()
                if since >= _RENEW_SECONDS:
                    since = 0.0
                    await self.upkeep.renew()
            except StoreError as error:
                self._outage.begin(error)

    async def close(self) -> None:
        """Gives back everything but what is unpaid; it lapses if the ledger does not answer."""
        asked = [p.borrowing for p in self.purses.values() if p.borrowing is not None]
        if asked:
            await asyncio.wait(asked, timeout=_ANSWER_SECONDS)
        try:
            await self.upkeep.give_back()
        except StoreError as error:
            _log.warning("what was borrowed from budgets lapses by itself: %s", error)
        await self.upkeep.mend()

    async def _reserve(self, purses: Sequence[Purse], nano: int) -> None:
        """Holds `nano` of each slice; of 0, makes sure that none is empty. All or none."""
        done = 0
        try:
            for purse in purses:
                if purse.available < max(nano, 1):
                    await self._fill(purse, nano)
                purse.available -= nano
                purse.held += nano
                done += 1
        except BaseException:
            for purse in purses[:done]:
                purse.let_go(nano, 0, purse.budget)
            raise

    async def _fill(self, purse: Purse, needed: int) -> None:
        """Borrows until a request may begin.

        Raises `PermissionDeniedError` if the budget has no more, `UnavailableError` as `_lend`.
        """
        wanted = max(needed, 1)
        while purse.available < wanted:
            if self._outage.forbids_asking:
                self._lend(purse, wanted)
                return
            if purse.borrowing is None:
                if self._was_refused(purse, wanted):
                    raise purse.budget.exceeded(left_over=purse.available > 0)
                self._send_for(purse, needed)
            asked = purse.borrowing
            assert asked is not None  # noqa: S101  # asked for just now, or before
            patience = purse.asked_at + _ANSWER_SECONDS - self._monotonic()
            await asyncio.wait((asked,), timeout=max(0.0, patience))
            if not asked.done():
                self._outage.begin(TimeoutError())
            if not asked.done() or not asked.result():
                self._lend(purse, wanted)
                return

    def _send_for(self, purse: Purse, needed: int) -> None:
        """Starts a task that borrows from the ledger.

        It goes on when no request waits any more: what is granted must be known, or it would be
        held for as long as the slice is in use.
        """
        self._outage.asked_at = purse.asked_at = self._monotonic()
        purse.borrowing = asyncio.create_task(self._borrow(purse, needed))

    async def _borrow(self, purse: Purse, needed: int) -> bool:
        """Borrows from the ledger; False if it does not answer."""
        asked_of = purse.budget
        try:
            async with asyncio.timeout(_GIVE_UP_SECONDS):
                granted_all = await self._ask(purse, needed)
        except (StoreError, OSError) as error:  # TimeoutError is an OSError
            purse.due = True  # it may have been granted: what is unknown must not be renewed
            self._outage.begin(error)
            return False
        finally:
            purse.borrowing = None
        if purse.budget.nano == asked_of.nano:  # else the answer is about an older budget
            wanted = max(needed, 1)
            # What was granted in full may be spent already, if the answer took long: ask again.
            purse.refused = 0 if granted_all or purse.available >= wanted else wanted
            purse.refused_at = self._monotonic()
        return True

    async def _ask(self, purse: Purse, needed: int) -> bool:
        """Borrows a slice of the right size; tells whether the ledger granted all of it."""
        await self._deliveries.hold_inherited(purse.budget.account)
        purse.has_reached(self._deliveries.delivered)
        if purse.due or purse.lasting:
            await self.upkeep.set([purse])
        budget, asked = purse.budget, self._monotonic()
        if purse.surplus:
            surplus, purse.surplus = purse.surplus, 0
            await self._ledger.give_back(budget.account, holder=self._holder, amount_nano=surplus)
        left = budget.nano if purse.left is None else purse.left
        # A slice lasts for a second or so, however fast it is spent: asking takes 10 ms.
        lasted = asked - purse.lent_at
        part = purse.slice * 2 if lasted < _SLICE_SECONDS else purse.slice // 2
        part = purse.slice = min(max(part, _SLICE_NANO), left // _PARTS)
        now = int(self._now())
        amount = max(max(needed, part, 1) - purse.available, 1)
        granted, standing = await self._ledger.borrow(
            budget.account,
            holder=self._holder,
            amount_nano=amount,
            budget_nano=budget.nano,
            now=now,
            until=now + LEASE_SECONDS,
        )
        if granted:
            purse.lent_at = asked
            purse.lapses_at = asked + LEASE_SECONDS - MARGIN_SECONDS
        purse.low = max(1, part // _RESERVE) if granted >= amount else 1
        purse.let_go(0, -granted, budget)
        purse.left = max(0, budget.nano - standing.spent_nano - standing.held_nano)
        self._outage.end()
        self._note(budget, standing)
        if part < purse.available < needed:
            # Too little for this request, but maybe enough for smaller ones of other workers.
            excess, purse.available = purse.available - part, part
            try:
                await self._ledger.give_back(
                    budget.account, holder=self._holder, amount_nano=excess
                )
            except StoreError:
                purse.due = True
        return granted >= amount

    def _lend(self, purse: Purse, wanted: int) -> None:
        """Lets a request go on without the ledger, unless its owner was over budget.

        Raises `UnavailableError` if not `fail_open`, `PermissionDeniedError` if over budget.
        """
        if not self._fail_open:
            raise UnavailableError(
                "Budgets cannot be checked right now. Try again shortly.", retry_after=2.0
            )
        if 0 < purse.refused <= wanted:
            raise purse.budget.exceeded(left_over=False)

    def _note(self, budget: Budget, standing: Standing) -> None:
        if not budget.nano:
            return
        if len(self._noted) > _MAX_NOTED:
            self._noted.clear()
        percent = standing.spent_nano * 100 // budget.nano
        for threshold in _THRESHOLDS:
            mark = (budget.account, threshold)
            if percent >= threshold and mark not in self._noted:
                self._noted.add(mark)
                extra = {
                    "owner": budget.account.owner,
                    "period": budget.account.period,
                    "percent": threshold,
                }
                _log.warning("a budget has passed a threshold", extra=extra)

    def _was_refused(self, purse: Purse, wanted: int) -> bool:
        """Tells whether the ledger has just refused this amount, so that it is not asked again."""
        return 0 < purse.refused <= wanted and self._monotonic() - purse.refused_at < _ASK_SECONDS
