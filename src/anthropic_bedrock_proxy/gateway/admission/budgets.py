"""Budgets: what a worker may spend without asking, borrowed from the ledger in slices.

A request is admitted while every purse it needs has something in it (with holds: the most that it
may cost). The ledger never lends more than a budget has left, so that all workers together
overspend by no more than the requests that run when the last slice is used up, and with holds not
at all. What was spent reaches the ledger with the usage records, never from here: a cost is counted
once, by whoever delivers its record, and stays held until then. What is left over goes back when a
purse is idle.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ...errors import UnavailableError
from ...store.base import Ledger, StoreError
from ...store.records import Account, Standing
from .budget_slice import Budget, Hold, Purse
from .outage import Outage
from .upkeep import LEASE_SECONDS, MARGIN_SECONDS, Deliveries, Upkeep

_log = logging.getLogger("anthropic_bedrock_proxy.budgets")
_THRESHOLDS: Final = (80, 100)  # percent of a budget; passing one is logged
_RENEW_SECONDS: Final = 15.0
_IDLE_SECONDS: Final = 5.0
_ASK_SECONDS: Final = 1.0  # between questions to a ledger that said no
_ANSWER_SECONDS: Final = 1.0  # a request waits no longer for the ledger
_GIVE_UP_SECONDS: Final = 30.0  # nor does anybody
_PARTS: Final = 16  # of what a budget has left, for one slice
_SLICE_NANO: Final = 1_000_000_000  # the first is a dollar, if the parts are not smaller
_SLICE_SECONDS: Final = 1.0
_RESERVE: Final = 4  # the part of a slice with which the next one is asked for
_MAX_NOTED: Final = 4096


class Budgets:
    """The purses of one worker."""

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

        `holds`: admit only what can be paid at its dearest. `fail_open`: while the ledger does not
        answer, who was not over budget before may go on.
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
        """The request is over and has cost so much. Never raises."""
        now, round_ = self._monotonic(), self._deliveries.round
        for purse, budget in zip(hold.purses, hold.budgets, strict=True):
            purse.let_go(hold.nano, cost_nano, budget)
            if cost_nano:
                purse.unpaid[round_] = purse.unpaid.get(round_, 0) + cost_nano
            purse.running -= 1
            purse.used_at = now

    async def run(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Renews what is used and gives back what is idle, until cancelled."""
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
        """Gives everything back but what is unpaid; if the ledger does not answer, it lapses."""
        asked = [p.borrowing for p in self.purses.values() if p.borrowing is not None]
        if asked:
            await asyncio.wait(asked, timeout=_ANSWER_SECONDS)
        try:
            await self.upkeep.give_back()
        except StoreError as error:
            _log.warning("what was borrowed from budgets lapses by itself: %s", error)
        await self.upkeep.mend()

    async def _reserve(self, purses: Sequence[Purse], nano: int) -> None:
        """Holds so much of each purse; with nothing to hold, sees that none is empty."""
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
        """Borrows so that a request may begin. Raises if the budget has no more."""
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
        """Asks the ledger, in a task of its own.

        What is granted when nobody waits any more must be known all the same, or it would be held
        for as long as the purse is in use.
        """
        self._outage.asked_at = purse.asked_at = self._monotonic()
        purse.borrowing = asyncio.create_task(self._borrow(purse, needed))

    async def _borrow(self, purse: Purse, needed: int) -> bool:
        """Asks the ledger; False if it does not answer."""
        asked_of = purse.budget
        try:
            async with asyncio.timeout(_GIVE_UP_SECONDS):
                granted_all = await self._ask(purse, needed)
        except (StoreError, OSError) as error:  # a time-out is one, too
            purse.due = True  # it may have been done: what is not known of must not be renewed
            self._outage.begin(error)
            return False
        finally:
            purse.borrowing = None
        if purse.budget.nano == asked_of.nano:  # else it says nothing of the new one
            wanted = max(needed, 1)
            # What was granted in full may be spent already, if the answer took long: ask again.
            purse.refused = 0 if granted_all or purse.available >= wanted else wanted
            purse.refused_at = self._monotonic()
        return True

    async def _ask(self, purse: Purse, needed: int) -> bool:
        """Whether the ledger granted all that it was asked for."""
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
            # Of no use to this request, but maybe to smaller ones of other workers.
            excess, purse.available = purse.available - part, part
            try:
                await self._ledger.give_back(
                    budget.account, holder=self._holder, amount_nano=excess
                )
            except StoreError:
                purse.due = True
        return granted >= amount

    def _lend(self, purse: Purse, wanted: int) -> None:
        """The ledger does not answer: who was not over budget goes on, unless that is forbidden."""
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
        """Who is over budget and keeps trying does not trouble the ledger each time."""
        return 0 < purse.refused <= wanted and self._monotonic() - purse.refused_at < _ASK_SECONDS
