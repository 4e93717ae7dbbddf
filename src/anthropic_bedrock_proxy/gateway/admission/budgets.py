"""Budgets: what a worker may spend without asking, borrowed from the ledger in slices.

Theory of operation:
- A worker has a slice of every budget that its requests use. A request is admitted while each slice
  that it needs has something left; with holds (holds.py), what is held. Nothing is asked then.
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

from ...bounded import Bounded
from ...errors import PermissionDeniedError, UnavailableError
from ...money import NANO_PER_USD
from ...store.base.errors import StoreError
from ...store.base.ledger import Account, Ledger, Standing
from .budget_slice import Budget, BudgetSlice, Hold
from .upkeep import LEASE_SECONDS, MARGIN_SECONDS, Deliveries, LedgerOutage, Upkeep

_log = logging.getLogger("anthropic_bedrock_proxy.budgets")
_THRESHOLDS: Final = (80, 100)  # percent of a budget; passing one is logged
_RENEW_SECONDS: Final = 15.0
_IDLE_SECONDS: Final = 5.0
_ASK_SECONDS: Final = 1.0  # between questions to a ledger that has refused
_ANSWER_SECONDS: Final = 1.0  # a request waits no longer for the ledger
_GIVE_UP_SECONDS: Final = 30.0  # the task that borrows waits no longer
_PARTS: Final = 16  # a slice is at most this part of what a budget has left
_SLICE_NANO: Final = NANO_PER_USD  # the first slice, if a sixteenth is not smaller
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
        at_least_one: bool = False,
        fail_open: bool = True,
    ) -> None:
        """`deliveries` are those of this worker's usage.

        `at_least_one`: a request that is the only one here begins if anything is left, however
        little. `fail_open`: while the ledger does not answer, owners that were not over budget
        before may go on.
        """
        self._ledger = ledger
        self._deliveries = deliveries
        self._holder = deliveries.writer
        self._now = now
        self._monotonic = monotonic
        self._fail_open = fail_open
        self._at_least_one = at_least_one
        self.slices: dict[Account, BudgetSlice] = {}
        self._noted: Bounded[tuple[Account, int], None] = Bounded(_MAX_NOTED)
        self._outage = LedgerOutage(monotonic=monotonic, fail_open=fail_open)
        self.upkeep = Upkeep(
            ledger, deliveries, self.slices, self._outage, now=now, monotonic=monotonic
        )

    async def take(self, budgets: Sequence[Budget], nano: int) -> Hold:
        """Lets a request begin, and holds `nano` for it; 0: it begins if anything is left.

        Raises `PermissionDeniedError` for a budget that is used up, and `UnavailableError`.
        """
        now = self._monotonic()
        slices: list[BudgetSlice] = []
        reserve = nano > 0
        for budget in budgets:
            slice_ = self.slices.get(budget.account)
            if slice_ is None:
                slice_ = self.slices[budget.account] = BudgetSlice(budget)
            if slice_.budget is not budget or now >= slice_.lapses_at:
                slice_.adjust(budget, now)
            slice_.used_at = now
            slice_.running += 1
            slices.append(slice_)
            if slice_.available < slice_.low:
                if slice_.available < 1:
                    reserve = True
                elif slice_.borrowing is None and not self._outage.lasts:
                    # Before it is empty, so that nobody has to wait. A ledger that is down is left
                    # to those who need it: they may ask once a second, all together.
                    self._send_for(slice_, 0)
        if reserve:
            try:
                nano = await self._reserve_some(slices, nano)
            except BaseException:
                for slice_ in slices:
                    slice_.running -= 1
                raise
        return Hold(slices, budgets, nano)

    async def extend(self, hold: Hold, nano: int) -> None:
        """Lets a running request go on, and holds `nano` more for it. Raises as `take`."""
        hold.nano += await self._reserve_some(hold.slices, nano)

    def settle(self, hold: Hold, cost_nano: int) -> None:
        """Ends a request's hold: it has cost `cost_nano`, which is unpaid until delivered.

        Never raises.
        """
        now, round_ = self._monotonic(), self._deliveries.round
        for slice_, budget in zip(hold.slices, hold.budgets, strict=True):
            slice_.let_go(hold.nano, cost_nano, budget)
            if cost_nano:
                slice_.unpaid[round_] = slice_.unpaid.get(round_, 0) + cost_nano
            slice_.running -= 1
            slice_.used_at = now

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
        asked = [p.borrowing for p in self.slices.values() if p.borrowing is not None]
        if asked:
            await asyncio.wait(asked, timeout=_ANSWER_SECONDS)
        try:
            await self.upkeep.give_back()
        except StoreError as error:
            _log.warning("what was borrowed from budgets lapses by itself: %s", error)
        await self.upkeep.mend()

    async def _reserve_some(self, slices: Sequence[BudgetSlice], nano: int) -> int:
        """Holds `nano`, or nothing for the only request here; returns what is held."""
        try:
            await self._reserve(slices, nano)
        except PermissionDeniedError:
            if not (nano and self._at_least_one and all(one.running == 1 for one in slices)):
                raise
            await self._reserve(slices, 0)
            return 0
        return nano

    async def _reserve(self, slices: Sequence[BudgetSlice], nano: int) -> None:
        """Holds `nano` of each slice; of 0, makes sure that none is empty. All or none."""
        done = 0
        try:
            for slice_ in slices:
                if slice_.available < max(nano, 1):
                    await self._fill(slice_, nano)
                slice_.available -= nano
                slice_.held += nano
                done += 1
        except BaseException:
            for slice_ in slices[:done]:
                slice_.let_go(nano, 0, slice_.budget)
            raise

    async def _fill(self, slice_: BudgetSlice, needed: int) -> None:
        """Borrows until a request may begin.

        Raises `PermissionDeniedError` if the budget has no more, `UnavailableError` as `_lend`.
        """
        wanted = max(needed, 1)
        while slice_.available < wanted:
            if self._outage.forbids_asking:
                self._lend(slice_, wanted)
                return
            if slice_.borrowing is None:
                if self._was_refused(slice_, wanted):
                    raise slice_.budget.exceeded(left_over=slice_.available > 0)
                self._send_for(slice_, needed)
            asked = slice_.borrowing
            assert asked is not None  # noqa: S101  # asked for just now, or before
            longest = slice_.asked_at + _ANSWER_SECONDS - self._monotonic()
            await asyncio.wait((asked,), timeout=max(0.0, longest))
            if not asked.done():
                self._outage.begin(TimeoutError())
            if not asked.done() or not asked.result():
                self._lend(slice_, wanted)
                return

    def _send_for(self, slice_: BudgetSlice, needed: int) -> None:
        """Starts a task that borrows from the ledger.

        It goes on when no request waits any more: what is granted must be known, or it would be
        held for as long as the slice is in use.
        """
        self._outage.asked_at = slice_.asked_at = self._monotonic()
        slice_.borrowing = asyncio.create_task(self._borrow(slice_, needed))

    async def _borrow(self, slice_: BudgetSlice, needed: int) -> bool:
        """Borrows from the ledger; False if it does not answer."""
        asked_of = slice_.budget
        try:
            async with asyncio.timeout(_GIVE_UP_SECONDS):
                granted_all = await self._ask(slice_, needed)
        except (StoreError, OSError) as error:  # TimeoutError is an OSError
            slice_.due = True  # it may have been granted: what is unknown must not be renewed
            self._outage.begin(error)
            return False
        finally:
            slice_.borrowing = None
        if slice_.budget.nano == asked_of.nano:  # else the answer is about an older budget
            wanted = max(needed, 1)
            # What was granted in full may be spent already, if the answer took long: ask again.
            slice_.refused = 0 if granted_all or slice_.available >= wanted else wanted
            slice_.refused_at = self._monotonic()
        return True

    async def _ask(self, slice_: BudgetSlice, needed: int) -> bool:
        """Borrows a slice of the right size; tells whether the ledger granted all of it."""
        await self._deliveries.hold_inherited(slice_.budget.account)
        slice_.has_reached(self._deliveries.delivered)
        if slice_.due or slice_.lasting:
            await self.upkeep.set([slice_])
        budget, asked = slice_.budget, self._monotonic()
        if slice_.surplus:
            surplus, slice_.surplus = slice_.surplus, 0
            await self._ledger.give_back(budget.account, holder=self._holder, amount_nano=surplus)
        left = budget.nano if slice_.left is None else slice_.left
        # A slice lasts for a second or so, however fast it is spent: asking takes 10 ms.
        lasted = asked - slice_.lent_at
        part = slice_.slice * 2 if lasted < _SLICE_SECONDS else slice_.slice // 2
        part = slice_.slice = min(max(part, _SLICE_NANO), left // _PARTS)
        now = int(self._now())
        amount = max(max(needed, part, 1) - slice_.available, 1)
        granted, standing = await self._ledger.borrow(
            budget.account,
            holder=self._holder,
            amount_nano=amount,
            budget_nano=budget.nano,
            now=now,
            until=now + LEASE_SECONDS,
        )
        if granted:
            slice_.lent_at = asked
            slice_.lapses_at = asked + LEASE_SECONDS - MARGIN_SECONDS
        slice_.low = max(1, part // _RESERVE) if granted >= amount else 1
        slice_.let_go(0, -granted, budget)
        slice_.left = max(0, budget.nano - standing.spent_nano - standing.held_nano)
        self._outage.end()
        self._note(budget, standing)
        if part < slice_.available < needed:
            # Too little for this request, but maybe enough for smaller ones of other workers.
            excess, slice_.available = slice_.available - part, part
            try:
                await self._ledger.give_back(
                    budget.account, holder=self._holder, amount_nano=excess
                )
                slice_.left += excess
            except StoreError:
                slice_.due = True
        return granted >= amount

    def _lend(self, slice_: BudgetSlice, wanted: int) -> None:
        """Lets a request go on without the ledger, unless its owner was over budget.

        Raises `UnavailableError` if not `fail_open`, `PermissionDeniedError` if over budget.
        """
        if not self._fail_open:
            raise UnavailableError(
                "Budgets cannot be checked right now. Try again shortly.",
                retry_after=2.0,
                cause="unavailable:store",
            )
        if 0 < slice_.refused <= wanted:
            raise slice_.budget.exceeded(left_over=False)

    def _note(self, budget: Budget, standing: Standing) -> None:
        if not budget.nano:
            return
        percent = standing.spent_nano * 100 // budget.nano
        for threshold in _THRESHOLDS:
            mark = (budget.account, threshold)
            if percent >= threshold and mark not in self._noted:
                self._noted[mark] = None
                extra = {
                    "owner": budget.account.owner,
                    "period": budget.account.period,
                    "percent": threshold,
                }
                _log.warning("a budget has passed a threshold", extra=extra)

    def _was_refused(self, slice_: BudgetSlice, wanted: int) -> bool:
        """Tells whether the ledger has just refused this amount, so that it is not asked again."""
        return 0 < slice_.refused <= wanted and self._monotonic() - slice_.refused_at < _ASK_SECONDS
