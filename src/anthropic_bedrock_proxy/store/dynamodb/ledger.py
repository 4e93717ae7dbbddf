"""Budgets in DynamoDB: the holds of processes (`holds.py`), beside the money spent (`spent.py`).

Spending adds to the month before it takes the same off the hold; borrowing reads the holds before
the month. So nothing is missed in between, only seen twice for a moment. Holds lapse by DynamoDB's
clock: moments of the caller's clock are converted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

from ...aws.dynamodb_values import Item
from ...bounded import Bounded
from ..base.errors import StoreError
from ..base.ledger import Account, Standing
from .each import each
from .holds import (
    ACCOUNT,
    HOLD,
    NAMES,
    held_by,
    holds_in,
    key_of,
    letting_go,
    lowering,
    renewing,
    setting,
    standing_of,
    taking,
)
from .items import ItemChange, new_write
from .once import Delivery, change_once
from .spent import Spent
from .tables import Tables

_MOST_ATTEMPTS: Final = 24  # some two seconds: more than any crowd needs
_MOST_REMOVED: Final = 64  # by one write: DynamoDB takes expressions of up to 4 KB
_MOST_HELD: Final = 100_000


class DynamoDBLedger:
    """A `Ledger` in the state table."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._spent = Spent(tables)
        # Changes of one account by this process would only refuse each other: they take turns.
        self._locks: WeakValueDictionary[Account, asyncio.Lock] = WeakValueDictionary()
        self._held: Bounded[Account, None] = Bounded(_MOST_HELD)  # maybe held by this process

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
        mine = new_write()
        granted = 0
        async with self._turn(account):
            for attempt in range(_MOST_ATTEMPTS):
                item = await self._read(account)
                at = self._tables.at(now)
                holds = holds_in(item)
                if (hold := holds.get(holder)) is not None and hold.get("write") == mine:
                    return granted, standing_of(account, item, at)
                live = {name: hold for name, hold in holds.items() if hold["until"] > at}
                others = {name: hold for name, hold in live.items() if name != holder}
                own = live.get(holder, {}).get("held", 0)
                left = budget_nano - item.get("spent", 0) - held_by(others) - own
                granted = max(0, min(amount_nano, left))
                if not granted:
                    return 0, standing_of(account, item, at)
                held = own + granted
                latest = max(self._tables.at(until), live.get(holder, {}).get("until", 0))
                changed = {"held": held, "until": latest, "write": mine}
                lapsed = sorted(holds.keys() - live.keys() - {holder})[:_MOST_REMOVED]
                change = taking(holder, changed, lapsed, seen=item.get("write"))
                after = await self._tables.update(self._tables.names.state, key_of(account), change)
                if after is not None:
                    after["spent"] = item["spent"]
                    return granted, standing_of(account, after, at)
                await self._tables.contended(attempt)
        raise _busy(account)

    async def give_back(self, account: Account, *, holder: str, amount_nano: int) -> None:
        """See `Ledger.give_back`."""
        mine = new_write()
        async with self._turn(account):
            for attempt in range(_MOST_ATTEMPTS):
                hold = holds_in(await self._account(account)).get(holder)
                if hold is None or hold["write"] == mine:
                    return
                change = lowering(holder, hold, amount_nano, mine)
                if await self._tables.update(self._tables.names.state, key_of(account), change):
                    return
                await self._tables.contended(attempt)
        raise _busy(account)

    async def renew(self, accounts: Sequence[Account], *, holder: str, until: int) -> None:
        """See `Ledger.renew`."""
        change = renewing(holder, self._tables.at(until))
        state = self._tables.names.state
        await each(lambda account: self._tables.update(state, key_of(account), change), accounts)

    async def hold(self, holds: Mapping[Account, int], *, holder: str, until: int) -> None:
        """See `Ledger.hold`."""
        await each(lambda one: self._hold(one[0], holder, one[1], until), holds.items())

    async def _hold(self, account: Account, holder: str, nano: int, until: int) -> None:
        mine = new_write()
        async with self._turn(account):
            for attempt in range(_MOST_ATTEMPTS):
                seen = (holds_in(await self._account(account)).get(holder) or {}).get("write")
                if seen == mine or (seen is None and not nano):
                    return
                hold = {"held": nano, "until": self._tables.at(until), "write": mine}
                change = setting(holder, hold, seen)
                if await self._tables.update(self._tables.names.state, key_of(account), change):
                    return
                await self._tables.contended(attempt)
        raise _busy(account)

    async def standings(self, owner: str, *, now: int) -> Sequence[Standing]:
        """See `Ledger.standings`."""
        values = {":pk": f"{ACCOUNT}{owner}"}
        accounts = self._tables.query(self._tables.names.state, "#pk = :pk", values)
        items = {item["sk"]: item async for item in accounts}
        for period, nano in (await self._spent.by_period(owner)).items():
            item = items.setdefault(period, {})
            item["spent"] = item.get("spent", 0) + nano
        at = self._tables.at(now)
        # Periods are in the order of their bytes, so "total" comes last.
        return [standing_of(Account(owner, sk), item, at) for sk, item in sorted(items.items())]

    async def import_spent(self, account: Account, spent_nano: int) -> bool:
        """See `Ledger.import_spent`."""
        if account.period in await self._spent.by_period(account.owner, account.period):
            return False
        mine = new_write()
        unless = ItemChange(
            condition="attribute_not_exists(pk) OR #write = :mine",
            names=NAMES,
            values={":mine": mine},
        )
        item = {**key_of(account), "spent": spent_nano, "write": mine}
        return await self._tables.put(self._tables.names.state, item, unless)

    async def spend(
        self, spending: Mapping[Account, int], delivery: Delivery, *, fresh: bool
    ) -> None:
        """Spends the cost of a batch, once, and takes it off the holds of the batch's writer.

        The writer of a `fresh` batch is this process, which knows of its own holds.
        """
        if fresh:
            held = [account for account in spending if account in self._held]
        else:
            held, counted = await self._look_at(spending, delivery)
            spending = {a: nano for a, nano in spending.items() if a not in counted}
        await self._spent.add(spending, delivery)
        await each(lambda account: self._let_go(account, spending[account], delivery), held)

    async def _look_at(
        self, accounts: Iterable[Account], delivery: Delivery
    ) -> tuple[list[Account], set[Account]]:
        """Returns (accounts that a batch's writer holds a part of, accounts that have counted it).

        In versions without `spent.py`, accounts counted spending in the same write.
        """
        items = await self._tables.get_many(
            self._tables.names.state,
            map(key_of, accounts),
            ProjectionExpression="pk, sk, #h, #w",
            ExpressionAttributeNames={
                "#h": f"{HOLD}{delivery.writer}",
                "#w": delivery.mark,
            },
        )
        held: list[Account] = []
        counted: set[Account] = set()
        for item in items:
            account = Account(item["pk"].removeprefix(ACCOUNT), item["sk"])
            if delivery.counted_in(item):
                counted.add(account)
            elif f"{HOLD}{delivery.writer}" in item:
                held.append(account)
        return held, counted

    async def _let_go(self, account: Account, nano: int, delivery: Delivery) -> None:
        """Takes `nano` off the writer's hold, if there is one, once for a delivery."""
        change = letting_go(delivery.writer, nano)
        async with self._lock(account):
            if await change_once(self._tables, key_of(account), delivery, change):
                return
            item = await self._account(account)
            if delivery.writer not in holds_in(item):
                self._held.pop(account, None)

    @asynccontextmanager
    async def _turn(self, account: Account) -> AsyncIterator[None]:
        """Locks an account for a change of holds, and remembers it for `spend`."""
        async with self._lock(account):
            self._held[account] = None
            yield

    def _lock(self, account: Account) -> asyncio.Lock:
        lock = self._locks.get(account)
        if lock is None:
            lock = self._locks[account] = asyncio.Lock()
        return lock

    async def _read(self, account: Account) -> Item:
        """Returns the item of an account, with `spent` being all that was spent from it."""
        item = await self._account(account)
        spent = await self._spent.by_period(account.owner, account.period)
        return {**item, "spent": item.get("spent", 0) + spent.get(account.period, 0)}

    async def _account(self, account: Account) -> Item:
        return await self._tables.get(self._tables.names.state, key_of(account)) or {}


def _busy(account: Account) -> StoreError:
    return StoreError(f"the account {account.owner} {account.period} is too busy in DynamoDB")
