"""Budgets: what a worker may spend without asking, borrowed from the ledger in slices.

A request is admitted while every purse it needs has something in it (with holds: the most that it
may cost). The ledger never lends more than a budget has left, so that all workers together
overspend by no more than the requests that run when the last slice is used up, and with holds not
at all. What was spent reaches the ledger with the usage records, never from here: a cost is counted
once, by whoever delivers its record. What is left over goes back when a purse is idle.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ..errors import UnavailableError
from ..store.base import Ledger, StoreError
from ..store.records import Account, Standing
from .purse import Budget, Hold, Purse

_log = logging.getLogger("anthropic_bedrock_proxy.budgets")
_THRESHOLDS: Final = (80, 100)  # percent of a budget; passing one is logged
_LEASE_SECONDS: Final = 60  # what is borrowed lapses so long after its last renewal
_RENEW_SECONDS: Final = 15.0
_IDLE_SECONDS: Final = 5.0
_ASK_SECONDS: Final = 1.0  # between questions to a ledger that said no, or nothing
_ANSWER_SECONDS: Final = 2.0  # a request waits no longer for the ledger
_PARTS: Final = 16  # of what a budget has left, for one slice
_SLICE_NANO: Final = 1_000_000_000  # at most: a dollar
_MAX_NOTED: Final = 4096


class Budgets:
    """The purses of one worker."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        holder: str,
        now: Callable[[], float],
        monotonic: Callable[[], float],
        holds: bool = False,
        fail_open: bool = True,
    ) -> None:
        """`holder` is the writer of this worker's usage journal.

        `holds`: admit only what can be paid at its dearest. `fail_open`: while the ledger does not
        answer, who was not over budget before may go on.
        """
        self._ledger = ledger
        self._holder = holder
        self._now = now
        self._monotonic = monotonic
        self._fail_open = fail_open
        self.holds = holds
        self.purses: dict[Account, Purse] = {}
        self._noted: set[tuple[Account, int]] = set()
        self._down_since: float | None = None
        self._asked_at = 0.0

    async def take(self, budgets: Sequence[Budget], nano: int) -> Hold:
        """Lets a request begin that may cost up to `nano` (which counts only with holds).

        Raises `PermissionDeniedError` for a budget that is used up, and `UnavailableError`.
        """
        needed = nano if self.holds else 0
        taken: list[Purse] = []
        try:
            for budget in budgets:
                purse = self._purse(budget)
                purse.running += 1
                taken.append(purse)
                if purse.available < max(needed, 1):
                    await self._fill(purse, needed)
                purse.available -= needed
        except BaseException:
            for purse in taken[:-1]:
                purse.available += needed
            for purse in taken:
                purse.running -= 1
            raise
        return Hold(taken, needed)

    def settle(self, hold: Hold, cost_nano: int) -> None:
        """The request is over and has cost so much. Never raises."""
        now = self._monotonic()
        for purse in hold.purses:
            purse.available += hold.nano - cost_nano
            purse.running -= 1
            purse.used_at = now

    async def run(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Renews what is used and gives back what is idle, until cancelled."""
        since = 0.0
        while True:
            await sleep(_IDLE_SECONDS)
            since += _IDLE_SECONDS
            try:
                await self.give_back(idle_seconds=_IDLE_SECONDS)
                if since >= _RENEW_SECONDS:
                    since = 0.0
                    await self._renew()
            except StoreError as error:
                self._is_down(error)

    async def give_back(self, *, idle_seconds: float = 0.0) -> None:
        """Empties the purses that nothing uses. Raises `StoreError`."""
        now = self._monotonic()
        for account, purse in list(self.purses.items()):
            if purse.running or now - purse.used_at < idle_seconds or purse.borrowing.locked():
                continue
            del self.purses[account]  # before the wait: what comes meanwhile gets a new one
            left = max(purse.available, 0) + purse.surplus
            if left and now < purse.lapses_at:
                await self._ledger.give_back(account, holder=self._holder, amount_nano=left)

    async def close(self) -> None:
        """Gives everything back; if the ledger does not answer, it lapses."""
        try:
            await self.give_back()
        except StoreError as error:
            _log.warning("what was borrowed from budgets lapses by itself: %s", error)

    def _purse(self, budget: Budget) -> Purse:
        purse = self.purses.get(budget.account)
        if purse is None:
            purse = self.purses[budget.account] = Purse(budget)
        purse.adjust(budget, self._monotonic())
        return purse

    async def _fill(self, purse: Purse, needed: int) -> None:
        """Borrows so that a request may begin. Raises if the budget has no more."""
        if self._may_not_ask():
            self._lend(purse)
            return
        async with purse.borrowing:
            wanted = max(needed, 1)
            if purse.available >= wanted:
                return  # another request has borrowed while we waited
            if self._was_refused(purse, wanted):
                raise purse.budget.exceeded(left_over=purse.available > 0)
            if self._may_not_ask():
                self._lend(purse)
                return
            self._asked_at = self._monotonic()
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self._borrow(purse, needed)
            except (StoreError, TimeoutError) as error:
                self._is_down(error)
                self._lend(purse)
                return
            if purse.available >= wanted:
                purse.refused = 0
                return
            purse.refused, purse.refused_at = wanted, self._monotonic()
            raise purse.budget.exceeded(left_over=purse.available > 0)

    async def _borrow(self, purse: Purse, needed: int) -> None:
        budget, asked = purse.budget, self._monotonic()
        if purse.surplus:
            surplus, purse.surplus = purse.surplus, 0
            await self._ledger.give_back(budget.account, holder=self._holder, amount_nano=surplus)
        left = budget.nano if purse.left is None else purse.left
        wanted = max(needed - purse.available, min(_SLICE_NANO, left // _PARTS) - purse.available)
        now = int(self._now())
        granted, standing = await self._ledger.borrow(
            budget.account,
            holder=self._holder,
            amount_nano=max(wanted, 1 - purse.available),
            budget_nano=budget.nano,
            now=now,
            until=now + _LEASE_SECONDS,
        )
        purse.available += granted
        purse.lapses_at = asked + _LEASE_SECONDS - 1  # early rather than late
        purse.left = max(0, budget.nano - standing.spent_nano - standing.held_nano)
        self._is_up()
        self._note(budget, standing)

    def _lend(self, purse: Purse) -> None:
        """The ledger does not answer: who was not over budget goes on, unless that is forbidden."""
        if not self._fail_open:
            raise UnavailableError(
                "Budgets cannot be checked right now. Try again shortly.", retry_after=2.0
            )
        if purse.refused:
            raise purse.budget.exceeded(left_over=False)

    async def _renew(self) -> None:
        now = self._monotonic()
        accounts = [account for account, purse in self.purses.items() if now < purse.lapses_at]
        if not accounts:
            return
        until = int(self._now()) + _LEASE_SECONDS
        await self._ledger.renew(accounts, holder=self._holder, until=until)
        for account in accounts:
            if (purse := self.purses.get(account)) is not None:
                purse.lapses_at = max(purse.lapses_at, now + _LEASE_SECONDS - 1)

    def _note(self, budget: Budget, standing: Standing) -> None:
        if not budget.nano or len(self._noted) > _MAX_NOTED:
            return
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

    def _may_not_ask(self) -> bool:
        """Whether the ledger failed a moment ago: then nobody waits for it again so soon."""
        return self._down_since is not None and self._monotonic() - self._asked_at < _ASK_SECONDS

    def _was_refused(self, purse: Purse, wanted: int) -> bool:
        """Who is over budget and keeps trying does not trouble the ledger each time."""
        return 0 < purse.refused <= wanted and self._monotonic() - purse.refused_at < _ASK_SECONDS

    def _is_down(self, error: Exception) -> None:
        if self._down_since is None:
            self._down_since = self._monotonic()
            how = "requests go on" if self._fail_open else "requests are refused"
            _log.error("budgets cannot be asked, %s: %s", how, error or "no answer in time")

    def _is_up(self) -> None:
        if self._down_since is not None:
            seconds = round(self._monotonic() - self._down_since)
            self._down_since = None
            _log.warning("budgets can be asked again after %d s", seconds)
