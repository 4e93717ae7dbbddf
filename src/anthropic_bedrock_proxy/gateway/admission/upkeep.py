"""Keeps the holds of a worker in the ledger true, beside its requests.

For each purse the ledger holds what is in it, what running requests hold, and what was spent while
its usage is on the way to the store: a budget must not be lent again before it is known to be
spent. The store takes off what it is told of; a hold that lapsed or is in doubt is set anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import inf
from typing import Final, Protocol

from ...store.base import LASTING_SECONDS, Ledger, StoreError
from ...store.records import Account
from .budget_slice import Purse
from .outage import Outage

LEASE_SECONDS: Final = 60  # what is borrowed lapses so long after its last renewal
# A worker takes it for lapsed so much earlier: that covers how far two workers may be apart in
# their idea of the store's time, see `aws/skew.py`.
MARGIN_SECONDS: Final = 5
_AT_ONCE: Final = 32  # holds that are set together: some 0.1 s, for which who borrows may wait
_REMEMBER_SECONDS: Final = 3600.0  # who was over budget, for when the ledger does not answer


class Deliveries(Protocol):
    """The way of usage to the store: the usage journal."""

    round: int  # of delivery, which takes what is settled now
    delivered: int  # the store has everything up to this round
    failing: bool  # the last round failed

    @property
    def writer(self) -> str:
        """Names this process in its usage and in the ledger."""
        ...

    async def hold_inherited(self, account: Account) -> None:
        """Sees that the ledger holds what dead processes spent from an account.

        Raises `StoreError`, and `OSError` of the journal's folder.
        """
        ...


class Upkeep:
    """The holds of one worker."""

    def __init__(
        self,
        ledger: Ledger,
        deliveries: Deliveries,
        purses: dict[Account, Purse],
        outage: Outage,
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._deliveries = deliveries
        self._holder = deliveries.writer
        self._purses = purses
        self._outage = outage
        self._now = now
        self._monotonic = monotonic

    async def give_back(self, *, idle_seconds: float = 0.0) -> None:
        """Empties the purses that nothing uses. Raises `StoreError`."""
        now = self._monotonic()
        for account, purse in list(self._purses.items()):
            idle = now - purse.used_at
            if purse.running or purse.borrowing is not None or idle < idle_seconds:
                continue
            # All before the wait: what comes meanwhile begins with nothing.
            purse.has_reached(self._deliveries.delivered)
            purse.lapse(now)
            left, purse.available, purse.surplus = purse.available + purse.surplus, 0, 0
            if purse.unpaid or purse.due or purse.lasting:
                purse.due = purse.due or left != 0
                continue
            lapses_at, purse.lapses_at = purse.lapses_at, inf
            if not purse.refused or idle >= _REMEMBER_SECONDS:
                del self._purses[account]
            if left and lapses_at < inf:
                # Less than nothing: a debt, for which the ledger then holds as much.
                await self._ledger.give_back(account, holder=self._holder, amount_nano=left)

    async def mend(self) -> None:
        """Sets the holds that may not be what they should, some at once."""
        for lasting in (False, True):
            while purses := self._to_set(lasting=lasting):
                task = asyncio.create_task(self._try_to_set(purses, lasting=lasting))
                for purse in purses:
                    # Who wants to borrow waits.
                    purse.borrowing, purse.asked_at = task, self._monotonic()
                if not await task:
                    return

    def _to_set(self, *, lasting: bool) -> list[Purse]:
        """Returns purses whose hold is to be set, for a day or for a lease."""
        found: list[Purse] = []
        now = self._monotonic()
        for purse in self._purses.values():
            if purse.borrowing is not None:
                continue
            purse.has_reached(self._deliveries.delivered)
            purse.lapse(now)
            lasts = self._deliveries.failing and purse.empty and bool(purse.unpaid)
            if lasts == lasting and (purse.due or purse.lasting != lasts):
                found.append(purse)
                if len(found) == _AT_ONCE:
                    break
        return found

    async def renew(self) -> None:
        """Renews what is borrowed. Raises `StoreError`."""
        now = self._monotonic()
        accounts = [
            account
            for account, purse in self._purses.items()
            if now < purse.lapses_at < inf and not purse.lasting
        ]
        if not accounts:
            return
        until = int(self._now()) + LEASE_SECONDS
        await self._ledger.renew(accounts, holder=self._holder, until=until)
        for account in accounts:
            purse = self._purses.get(account)
            if purse is not None and purse.lapses_at != inf:
                purse.lapses_at = max(purse.lapses_at, now + LEASE_SECONDS - MARGIN_SECONDS)

    async def set(self, purses: Sequence[Purse], *, lasting: bool = False) -> None:
        """Sets holds to what their purses claim. Raises `StoreError`.

        Nobody may borrow for them meanwhile. What is delivered meanwhile, or was of a round that
        is still on its way, stays held too much; it is set once more after that round.
        """
        seconds = LASTING_SECONDS if lasting else LEASE_SECONDS
        now, deliveries = self._monotonic(), self._deliveries
        before = (deliveries.round, deliveries.delivered)
        claims = {purse.budget.account: purse.claim for purse in purses}
        unpaid = [bool(purse.unpaid) for purse in purses]
        until = int(self._now()) + seconds
        for purse in purses:
            purse.due = True  # also if this fails, since it may have been done
        await self._ledger.hold(claims, holder=self._holder, until=until)
        after = (deliveries.round, deliveries.delivered)
        quiet = before == after and deliveries.delivered == deliveries.round - 1
        for purse, owed in zip(purses, unpaid, strict=True):
            purse.due, purse.lasting = False, lasting
            purse.doubtful = 0 if quiet or not owed else deliveries.round
            held = claims[purse.budget.account] != 0
            purse.lapses_at = now + seconds - MARGIN_SECONDS if held else inf

    async def _try_to_set(self, purses: Sequence[Purse], *, lasting: bool) -> bool:
        try:
            await self.set(purses, lasting=lasting)
        except StoreError as error:
            self._outage.begin(error)
            return False
        finally:
            for purse in purses:
                purse.borrowing = None
        return True
