"""Budgets of the store in memory: see `store.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..base.ledger import Account, Standing


class MemoryLedger:
    """Money spent by account, and holds by account and holder (a `Ledger`)."""

    def __init__(self, check: Callable[[], None]) -> None:
        """`check` raises `StoreError` while the store is down."""
        self._check = check
        self._spent: dict[Account, int] = {}
        self._holds: dict[Account, dict[str, tuple[int, int]]] = {}  # holder -> nano, lapses at

    async def borrow(
        self,
        account: Account,
        *,
        holder: str,
        amount_nano: int,
        budget_nano: int,
        now: int,
        until: int,
    ) -> tuple[int, Standing]:
        """See `Ledger.borrow`."""
        self._check()
        holds = self._holds.setdefault(account, {})
        for lapsed in [name for name, (_, lapses) in holds.items() if lapses <= now]:
            del holds[lapsed]
        spent = self._spent.get(account, 0)
        mine, lapses = holds.get(holder, (0, until))
        others = sum(max(0, nano) for name, (nano, _) in holds.items() if name != holder)
        granted = max(0, min(amount_nano, budget_nano - spent - others - mine))
        if granted:
            mine += granted
            holds[holder] = (mine, max(lapses, until))
        return granted, Standing(account, spent, others + max(0, mine))

    async def give_back(self, account: Account, *, holder: str, amount_nano: int) -> None:
        """See `Ledger.give_back`."""
        self._check()
        self._let_go(account, holder, amount_nano)

    async def renew(self, accounts: Sequence[Account], *, holder: str, until: int) -> None:
        """See `Ledger.renew`."""
        self._check()
        for account in accounts:
            holds = self._holds.get(account, {})
            if holder in holds:
                nano, lapses = holds[holder]
                holds[holder] = (nano, max(lapses, until))

    async def hold(self, holds: Mapping[Account, int], *, holder: str, until: int) -> None:
        """See `Ledger.hold`."""
        self._check()
        for account, nano in holds.items():
            if nano:
                self._holds.setdefault(account, {})[holder] = (nano, until)
            else:
                self._holds.get(account, {}).pop(holder, None)

    async def standings(self, owner: str, *, now: int) -> Sequence[Standing]:
        """See `Ledger.standings`."""
        self._check()
        live = {
            account: sum(max(0, nano) for nano, lapses in holds.values() if lapses > now)
            for account, holds in self._holds.items()
        }
        known = self._spent.keys() | {account for account, held in live.items() if held}
        return [
            Standing(account, self._spent.get(account, 0), live.get(account, 0))
            for account in sorted(known)
            if account.owner == owner
        ]

    async def import_spent(self, account: Account, spent_nano: int) -> bool:
        """See `Ledger.import_spent`."""
        self._check()
        if account in self._spent:
            return False
        self._spent[account] = spent_nano
        return True

    def spend(self, spending: dict[Account, int], holder: str) -> None:
        """Adds the cost of recorded usage, and takes it off the holds of `holder`."""
        for account, nano in spending.items():
            self._spent[account] = self._spent.get(account, 0) + nano
            self._let_go(account, holder, nano)

    def _let_go(self, account: Account, holder: str, amount_nano: int) -> None:
        holds = self._holds.get(account, {})
        if holder in holds:
            nano, lapses = holds[holder]
            holds[holder] = (nano - amount_nano, lapses)
