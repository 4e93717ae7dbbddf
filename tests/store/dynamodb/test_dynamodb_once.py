"""Batches on their way into DynamoDB: once each, whatever breaks off, with few and small writes."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager

import pytest
from dynamo_servers import BreakingDynamoDB, CheckedDynamoDB, client, connected, server
from hypothesis import given, settings
from hypothesis import strategies as st

from anthropic_bedrock_proxy.aws.dynamodb_values import from_item
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.base.ledger import Account
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.dynamodb.store import DynamoDBStore

AT_MS = 1_796_083_190_000  # ten seconds before 2026-12-01T00:00Z
MONTH = Account("user:u", "2026-11")
TOTAL = Account("user:u", "total")


class CountingDynamoDB(CheckedDynamoDB):
    """Counts the calls by what they do."""

    def __init__(self, *arguments, calls, **options) -> None:
        super().__init__(*arguments, **options)
        self.calls = calls

    async def call(self, operation, request):
        """See `DynamoDB.call`."""
        self.calls.append(operation)
        return await super().call(operation, request)


def a_record(number: int) -> UsageRecord:
    """Twenty of them are of two days, two months and three keys."""
    return UsageRecord(
        id=f"req_{AT_MS:011x}{number:06}",
        key_id=f"key_{number % 3}",
        at_ms=AT_MS + 1000 * (number % 20),
        model="m",
        bedrock_model_id="b",
        dialect="invoke",
        user_id="u",
        cost_nano=10,
    )


def a_batch(number: int, through: int | None = None, *, size: int = 20, writer="w") -> UsageBatch:
    """The batch with this number, or those up to `through` at once."""
    last = number if through is None else through
    records = tuple(a_record(n) for n in range(number * size, (last + 1) * size))
    return UsageBatch(records, writer, number, through)


def store_of(names, kind=CheckedDynamoDB, now=None, **options) -> DynamoDBStore:
    clock = {"now": now} if now else {}
    return DynamoDBStore(lambda: client(server("dynalite"), kind, **options), names, **clock)


@asynccontextmanager
async def opened(store):
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def borrowed(store) -> None:
    for account in (MONTH, TOTAL):
        await store.ledger.borrow(
            account, holder="w", amount_nano=5000, budget_nano=9000, now=0, until=9
        )


async def borrowed_again(store) -> None:
    """As in the process that holds: it need not look what it holds."""
    for account in (MONTH, TOTAL):
        await store.ledger.give_back(account, holder="nobody", amount_nano=0)


async def check_books(store, batches: int, size: int = 20) -> None:
    """Everything counts once: rows, sums, what was spent, and what is held no more."""
    count = batches * size
    (total,) = await store.usage.totals(by=())
    assert (total.requests, total.cost_nano) == (count, 10 * count)
    assert len(await store.usage.records()) == count
    standings = {s.account.period: s for s in await store.ledger.standings("user:u", now=0)}
    november = 10 * sum(r % 20 < 10 for r in range(count))
    assert standings["2026-11"].spent_nano == standings["2026-11-30"].spent_nano == november
    assert standings["2026-12"].spent_nano == standings["2026-12-01"].spent_nano
    assert standings["2026-12"].spent_nano == 10 * count - november
    assert standings["total"].spent_nano == 10 * count
    assert standings["total"].held_nano == 5000 - 10 * count
    assert standings["2026-11"].held_nano == 5000 - november


def test_several_batches_that_break_off_after_any_write_count_once_when_they_come_one_by_one():
    async def broken_off_after(writes: int) -> bool:
        async with connected("dynalite") as (_, names), opened(store_of(names)) as store:
            await borrowed(store)
            broken = False
            async with opened(store_of(names, BreakingDynamoDB, writes=writes)) as breaking:
                await borrowed_again(breaking)
                try:
                    await breaking.usage.append(a_batch(0, 2))
                except StoreError:
                    broken = True
            for number in (0, 1, 2, 2):
                await store.usage.append(a_batch(number))
            await check_books(store, 3)
            return broken

    async def story():
        writes = 0
        while await broken_off_after(writes):
            writes += 1
        assert writes == 3 + 1 + 6 + 8 + 2 + 1, "rows, days, sums, spent, holds, done"

    asyncio.run(story())


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), max_size=6))
def test_any_history_of_deliveries_that_break_off_ends_with_exact_books(history):
    """Each step delivers on for some writes: the first time several at once, then one by one."""

    async def story():
        async with connected("dynalite") as (_, names), opened(store_of(names)) as store:
            await borrowed(store)
            next_number, tried = 0, 0
            for several, writes in history:
                async with opened(store_of(names, BreakingDynamoDB, writes=writes)) as breaking:
                    try:
                        while next_number < tried:
                            await breaking.usage.append(a_batch(next_number))
                            next_number += 1
                        tried = next_number + several + 1
                        await borrowed_again(breaking)
                        await breaking.usage.append(a_batch(next_number, tried - 1))
                        next_number = tried
                    except StoreError:
                        pass
            for number in range(max(tried, 1)):  # an heir begins from the beginning of the file
                await store.usage.append(a_batch(number))
            await check_books(store, max(tried, 1))

    asyncio.run(story())


def test_what_comes_for_the_first_time_is_written_without_a_read_and_once_for_an_owner():
    async def story():
        calls: list[str] = []
        async with (
            connected("dynalite") as (_, names),
            opened(store_of(names, CountingDynamoDB, calls=calls)) as store,
        ):
            await store.usage.append(a_batch(0, 0, size=10))
            calls.clear()
            await store.usage.append(a_batch(2, 5, size=10))
            found = {name: calls.count(name) for name in calls}
            # 3 keys on 2 days; the key's and the user's month, twice; and that it is done
            assert found == {"BatchWriteItem": 3, "UpdateItem": 6 + 6 + 2 + 1}

    asyncio.run(story())


def test_a_batch_that_is_counted_is_looked_for_and_left_alone():
    async def story():
        calls: list[str] = []
        async with (
            connected("dynalite") as (_, names),
            opened(store_of(names, CountingDynamoDB, calls=calls)) as store,
        ):
            await borrowed(store)
            await store.usage.append(a_batch(0, 0))
            calls.clear()
            await store.usage.append(a_batch(0))
            assert calls == ["GetItem", "BatchGetItem"]
            await check_books(store, 1)

    asyncio.run(story())


def test_a_batch_behind_later_ones_counts_once_whatever_breaks_off():
    """As of a file that could not be read before the next one was delivered."""

    async def broken_off_after(writes: int) -> bool:
        async with connected("dynalite") as (_, names), opened(store_of(names)) as store:
            await store.usage.append(a_batch(0, 0))
            await store.usage.append(a_batch(2, 3))
            broken = False
            async with opened(store_of(names, BreakingDynamoDB, writes=writes)) as breaking:
                try:
                    await breaking.usage.append(a_batch(1))
                except StoreError:
                    broken = True
            for number in (1, 1, 2, 3, 0):
                await store.usage.append(a_batch(number))
            (total,) = await store.usage.totals(by=())
            assert (total.requests, total.cost_nano) == (80, 800)
            assert len(await store.usage.records()) == 80
            (*_, spent) = await store.ledger.standings("user:u", now=0)
            assert spent.spent_nano == 800
            return broken

    async def story():
        writes = 0
        while await broken_off_after(writes):
            writes += 1
        assert writes > 10

    asyncio.run(story())


def test_a_row_that_has_expired_is_not_counted_again():
    async def story():
        clock = [AT_MS / 1000]
        async with connected("dynalite") as (dynamo, names):
            store = DynamoDBStore(
                lambda: client(server("dynalite")),
                names,
                usage_ttl_days=30,
                now=lambda: clock[0],
            )
            async with opened(store):
                await store.usage.append(a_batch(0, 0))
                clock[0] += 31 * 86_400
                for row in (await dynamo.call("Scan", {"TableName": names.usage}))["Items"]:
                    key = {name: row[name] for name in ("api_key", "timestamp")}
                    await dynamo.call("DeleteItem", {"TableName": names.usage, "Key": key})
                await store.usage.append(a_batch(0))
                (total,) = await store.usage.totals(by=())
                assert total.requests == 20

    asyncio.run(story())


def test_an_item_forgets_writers_whose_batches_are_counted_and_none_that_broke_off():
    async def story():
        clock = [1_000_000.0]
        async with connected("dynalite") as (dynamo, names):
            now = lambda: clock[0]  # noqa: E731  # a clock
            async with opened(store_of(names, now=now)) as store:
                # One breaks off behind its sums and what was spent, before that it is done.
                async with opened(store_of(names, BreakingDynamoDB, writes=5, now=now)) as breaking:
                    with pytest.raises(StoreError):
                        await breaking.usage.append(a_batch(0, size=1, writer="broken"))
                for number in range(1, 31):
                    await store.usage.append(a_batch(number, writer=f"w{number}"))
                    clock[0] += 10
                    marks = await remembered(dynamo, names)
                    assert "w#broken" in marks
                    assert f"w#w{number}" in marks
                    assert len(marks) <= 8 + 8, "those of the last minute and a few"
                await store.usage.append(a_batch(0, size=1, writer="broken"))
                await store.usage.append(a_batch(1, writer="w1"))
                (total,) = await store.usage.totals(by=())
                assert total.requests == 601
                clock[0] += 31 * 86_400
                await store.usage.append(a_batch(40, writer="late"))
                assert await remembered(dynamo, names) == ["w#late"]

    async def remembered(dynamo, names):
        key = {"pk": {"S": "spent#key:key_0"}, "sk": {"S": "2026-11"}}
        answer = await dynamo.call("GetItem", {"TableName": names.state, "Key": key})
        return [name for name in from_item(answer["Item"]) if name.startswith("w#")]

    asyncio.run(story())


def test_what_was_spent_before_there_were_months_counts_with_them():
    """An account as the version before left it: each period an item with what was spent."""

    async def story():
        async with connected("dynalite") as (dynamo, names), opened(store_of(names)) as store:
            for period, spent in (("2026-11", 700), ("2026-11-30", 300), ("total", 1000)):
                item = {"pk": {"S": "account#user:u"}, "sk": {"S": period}, "write": {"S": "x"}}
                item["spent"] = {"N": str(spent)}
                await dynamo.call("PutItem", {"TableName": names.state, "Item": item})
            await store.usage.append(a_batch(0))
            spent = {
                s.account.period: s.spent_nano
                for s in await store.ledger.standings("user:u", now=0)
            }
            assert spent == {
                "2026-11": 800,
                "2026-11-30": 400,
                "2026-12": 100,
                "2026-12-01": 100,
                "total": 1200,
            }
            for period, left in (("2026-11", 200), ("2026-11-30", 600), ("total", 1)):
                granted, _ = await store.ledger.borrow(
                    Account("user:u", period),
                    holder="v",
                    amount_nano=9999,
                    budget_nano=spent[period] + left,
                    now=0,
                    until=9,
                )
                assert granted == left
            assert not await store.ledger.import_spent(Account("user:u", "2026-12"), 5)

    asyncio.run(story())


def test_what_the_version_before_counted_of_a_batch_is_not_counted_again():
    """It was killed behind its last write, or between two accounts, and this one is its heir."""

    async def spent_after(accounts):
        async with connected("dynalite") as (dynamo, names), opened(store_of(names)) as store:
            await store.usage.append(a_batch(0, size=1))
            for owner, month in (("key:key_0", "2026-11"), ("user:u", "2026-11")):
                key = {"pk": {"S": f"spent#{owner}"}, "sk": {"S": month}}
                await dynamo.call("DeleteItem", {"TableName": names.state, "Key": key})
            key = {"pk": {"S": "writer#w"}, "sk": {"S": "done"}}
            await dynamo.call("DeleteItem", {"TableName": names.state, "Key": key})
            for owner, period in accounts:
                item = {
                    "pk": {"S": f"account#{owner}"},
                    "sk": {"S": period},
                    "spent": {"N": "10"},
                    "w#w": {"M": {"n": {"N": "0"}, "at": {"N": "1"}}},
                    "write": {"S": "x"},
                }
                await dynamo.call("PutItem", {"TableName": names.state, "Item": item})
            for _ in range(2):
                await store.usage.append(a_batch(0, size=1))
            return [
                (standing.account.owner, standing.account.period, standing.spent_nano)
                for owner in ("key:key_0", "user:u")
                for standing in await store.ledger.standings(owner, now=0)
            ]

    periods = ("2026-11", "2026-11-30", "total")
    every = [(owner, period) for owner in ("key:key_0", "user:u") for period in periods]

    async def story():
        for counted in (every, every[:3], []):
            assert await spent_after(counted) == [(*one, 10) for one in every]

    asyncio.run(story())


def test_nothing_is_missed_by_who_borrows_while_another_spends():
    """Who borrows in any moment between two writes of a delivery finds both, held or spent."""

    async def granted_after(writes: int) -> bool:
        async with connected("dynalite") as (_, names), opened(store_of(names)) as store:
            await borrowed(store)
            broken = False
            async with opened(store_of(names, BreakingDynamoDB, writes=writes)) as breaking:
                try:
                    await breaking.usage.append(a_batch(0))
                except StoreError:
                    broken = True
            for account in (MONTH, TOTAL):
                granted, standing = await store.ledger.borrow(
                    account, holder="v", amount_nano=9000, budget_nano=9000, now=0, until=9
                )
                assert granted <= 4000
                assert standing.spent_nano + standing.held_nano <= 9000
            await store.usage.append(a_batch(0))
            standings = await store.ledger.standings("user:u", now=0)
            assert all(s.spent_nano + s.held_nano <= 9000 for s in standings)
            return broken

    async def story():
        for writes in itertools.count():
            if not await granted_after(writes):
                break

    asyncio.run(story())
