"""Usage of the store in memory: see `store.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..base.usage import UsageBatch, UsageRecord, UsageTotal
from ..totals import Group, add, spending_of_sums, sum_by, sums_of
from .ledger import MemoryLedger


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
