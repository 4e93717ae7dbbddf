"""Keeps the holds of a worker in the ledger true, beside its requests.

For each slice the ledger holds what is in it, what running requests hold, and what was spent while
its usage is on the way to the store: a budget must not be lent again before it is known to be
spent. The store takes off what it is told of; a hold that lapsed or is in doubt is set anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from math import inf
from typing import Final, Protocol

from ...store.base.errors import StoreError
from ...store.base.ledger import LASTING_SECONDS, Account, Ledger
from .budget_slice import BudgetSlice

_log = logging.getLogger("anthropic_bedrock_proxy.budgets")
_ASK_SECONDS: Final = 1.0  # between questions to a ledger that did not answer
LEASE_SECONDS: Final = 60  # what is borrowed lapses so long after its last renewal
# A worker takes it for lapsed so much earlier: that covers how far two workers may be apart in
# their idea of the store's time, see `aws/skew.py`.
MARGIN_SECONDS: Final = 5
_AT_ONCE: Final = 32  # holds that are set together: some 0.1 s, for which who borrows may wait
_REMEMBER_SECONDS: Final = 3600.0  # who was over budget, for when the ledger does not answer


class LedgerOutage:
    """The ledger's last silence: when it began, unless it is over, and when it was last asked.

    One question a second is enough to find out, and one answer ends an outage. Redis has another
    rule (`RedisOutage`): each request would ask it, so its pauses grow and its end is on trial.
    """

    def __init__(self, *, monotonic: Callable[[], float], fail_open: bool) -> None:
        self._monotonic = monotonic
        self._how = "requests go on" if fail_open else "requests are refused"
        self._since: float | None = None
        self.asked_at = 0.0

    @property
    def lasts(self) -> bool:
        """Says whether it left the last question without an answer."""
        return self._since is not None

    @property
    def forbids_asking(self) -> bool:
        """Says whether it failed a moment ago: then nobody waits for it again so soon."""
        return self._since is not None and self._monotonic() - self.asked_at < _ASK_SECONDS

    def begin(self, error: Exception) -> None:
        """Notes that the ledger did not answer, and logs the first time."""
        self.asked_at = self._monotonic()  # who waited meanwhile must not ask one after the other
        if self._since is None:
            self._since = self._monotonic()
            reason = str(error) or "no answer in time"
            _log.error("budgets cannot be asked, %s: %s", self._how, reason)

    def end(self) -> None:
        """Notes that the ledger has answered."""
        if self._since is not None:
            seconds = round(self._monotonic() - self._since)
            self._since = None
            _log.info("budgets can be asked again after %d s", seconds)


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

    def discard_settled(self) -> None:
        """Deletes the files of what was delivered after a failed try.

        Until then an heir finds them, and ends the holds that this process leaves behind.
        """
        ...


class Upkeep:
    """The holds of one worker."""

    def __init__(
        self,
        ledger: Ledger,
        deliveries: Deliveries,
        slices: dict[Account, BudgetSlice],
        outage: LedgerOutage,
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._deliveries = deliveries
        self._holder = deliveries.writer
        self._slices = slices
        self._outage = outage
        self._now = now
        self._monotonic = monotonic

    async def give_back(self, *, idle_seconds: float = 0.0) -> None:
        """Empties the slices that nothing uses. Raises `StoreError`."""
        now = self._monotonic()
        for account, slice_ in list(self._slices.items()):
            idle = now - slice_.used_at
            if slice_.running or slice_.borrowing is not None or idle < idle_seconds:
                continue
            # All before the wait: what comes meanwhile begins with nothing.
            slice_.has_reached(self._deliveries.delivered)
            slice_.lapse(now)
            left, slice_.available, slice_.surplus = (
                slice_.available + slice_.surplus,
                0,
                0,
            )
            if slice_.unpaid or slice_.due or slice_.lasting:
                slice_.due = slice_.due or left != 0
                continue
            lapses_at, slice_.lapses_at = slice_.lapses_at, inf
            if not slice_.refused or idle >= _REMEMBER_SECONDS:
                del self._slices[account]
            if left and lapses_at < inf:
                # Less than nothing: a debt, for which the ledger then holds as much.
                await self._ledger.give_back(account, holder=self._holder, amount_nano=left)

    async def mend(self) -> None:
        """Sets the holds that may not be what they should, some at once."""
        for lasting in (False, True):
            while slices := self._to_set(lasting=lasting):
                task = asyncio.create_task(self._try_to_set(slices, lasting=lasting))
                for slice_ in slices:
                    # Who wants to borrow waits.
                    slice_.borrowing, slice_.asked_at = task, self._monotonic()
                if not await task:
                    return
        if not any(slice_.due or slice_.lasting for slice_ in self._slices.values()):
            # Nothing is held for a day, nor may be: this process may die and leave no files.
            self._deliveries.discard_settled()

    def _to_set(self, *, lasting: bool) -> list[BudgetSlice]:
        """Returns slices whose hold is to be set, for a day or for a lease."""
        found: list[BudgetSlice] = []
        now = self._monotonic()
        for slice_ in self._slices.values():
            if slice_.borrowing is not None:
                continue
            slice_.has_reached(self._deliveries.delivered)
            slice_.lapse(now)
            lasts = self._deliveries.failing and slice_.empty and bool(slice_.unpaid)
            if lasts == lasting and (slice_.due or slice_.lasting != lasts):
                found.append(slice_)
                if len(found) == _AT_ONCE:
                    break
        return found

    async def renew(self) -> None:
        """Renews what is borrowed. Raises `StoreError`."""
        now = self._monotonic()
        accounts = [
            account
            for account, slice_ in self._slices.items()
            if now < slice_.lapses_at < inf and not slice_.lasting
        ]
        if not accounts:
            return
        until = int(self._now()) + LEASE_SECONDS
        await self._ledger.renew(accounts, holder=self._holder, until=until)
        for account in accounts:
            slice_ = self._slices.get(account)
            if slice_ is not None and slice_.lapses_at != inf:
                slice_.lapses_at = max(slice_.lapses_at, now + LEASE_SECONDS - MARGIN_SECONDS)

    async def set(self, slices: Sequence[BudgetSlice], *, lasting: bool = False) -> None:
        """Sets holds to what their slices claim. Raises `StoreError`.

        Nobody may borrow for them meanwhile. What is delivered meanwhile, or was of a round that
        is still on its way, stays held too much; it is set once more after that round.
        """
        seconds = LASTING_SECONDS if lasting else LEASE_SECONDS
        now, deliveries = self._monotonic(), self._deliveries
        before = (deliveries.round, deliveries.delivered)
        claims = {slice_.budget.account: slice_.claim for slice_ in slices}
        unpaid = [bool(slice_.unpaid) for slice_ in slices]
        until = int(self._now()) + seconds
        for slice_ in slices:
            slice_.due = True  # also if this fails, since it may have been done
        await self._ledger.hold(claims, holder=self._holder, until=until)
        after = (deliveries.round, deliveries.delivered)
        quiet = before == after and deliveries.delivered == deliveries.round - 1
        for slice_, owed in zip(slices, unpaid, strict=True):
            slice_.due, slice_.lasting = False, lasting
            slice_.doubtful = 0 if quiet or not owed else deliveries.round
            held = claims[slice_.budget.account] != 0
            slice_.lapses_at = now + seconds - MARGIN_SECONDS if held else inf

    async def _try_to_set(self, slices: Sequence[BudgetSlice], *, lasting: bool) -> bool:
        try:
            await self.set(slices, lasting=lasting)
        except StoreError as error:
            self._outage.begin(error)
            return False
        finally:
            for slice_ in slices:
                slice_.borrowing = None
        return True
