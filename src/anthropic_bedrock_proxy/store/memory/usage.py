"""Usage and budgets of the store in memory: see `store.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..base.ledger import Account, Standing
from ..base.usage import UsageBatch, UsageRecord, UsageTotal
from ..totals import Group, add, spending_of_sums, sum_by, sums_of


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


class MemoryUsage:
    """Usage records by id, and their sums."""

    batches_at_once = 1

    def __init__(self, check: Callable[[], None], ledger: MemoryLedger) -> None:
        """`check` as for the ledger, in which the cost of usage is spent."""
        self._check = check
        self._ledger = ledger
        self._sums: dict[Group, UsageTotal] = {}
        self.by_id: dict[str, UsageRecord] = {}

    async def append(self, batch: UsageBatch) -> None:
        """See `UsageLog.append`."""
        self._check()
        new: dict[str, UsageRecord] = {}
        for record in batch.records:
            if record.id not in self.by_id:
                new.setdefault(record.id, record)
        self.by_id |= new
        sums = sums_of(new.values())
        for group, total in sums.items():
            day, key_id, user_id, team_id, model = group
            self._sums[group] = add(
                [total, self._sums.get(group, UsageTotal())],
                day=day,
                key_id=key_id,
                user_id=user_id,
                team_id=team_id,
                model=model,
            )
        self._ledger.spend(spending_of_sums(sums.values()), batch.writer)

    async def totals(
        self,
        *,
        by: Sequence[str] = ("key_id", "model"),
        since: str | None = None,
        until: str | None = None,
        key_id: str | None = None,
    ) -> Sequence[UsageTotal]:
        """See `UsageLog.totals`."""
        self._check()
        return sum_by(by, self._sums.values(), since=since, until=until, key_id=key_id)

    async def records(
        self,
        *,
        since_ms: int = 0,
        until_ms: int | None = None,
        key_id: str | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> Sequence[UsageRecord]:
        """See `UsageLog.records`."""
        self._check()
        found = [
            record
            for identity, record in sorted(self.by_id.items())
            if record.at_ms >= since_ms
            and (until_ms is None or record.at_ms < until_ms)
            and (key_id is None or record.key_id == key_id)
            and (after is None or identity > after)
        ]
        return found[:limit]

    async def expire(self, before_ms: int) -> int:
        """See `UsageLog.expire`."""
        self._check()
        old = [identity for identity, record in self.by_id.items() if record.at_ms < before_ms]
        for identity in old:
            del self.by_id[identity]
        return len(old)
