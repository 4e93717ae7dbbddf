"""Usage in DynamoDB: deliveries that break off."""

from __future__ import annotations

import asyncio

import pytest
from dynamo_servers import BreakingDynamoDB, client, connected, dynamo_store, server
from dynamo_usage import AT_MS, a_batch, a_record, opened, store_of

from anthropic_bedrock_proxy.aws.dynamodb_values import from_item
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.base.ledger import Account, Standing
from anthropic_bedrock_proxy.store.base.usage import UsageBatch
from anthropic_bedrock_proxy.store.dynamodb.store import DynamoDBStore


async def picture(store):
    """Sums, accounts and records."""
    return (
        await store.usage.totals(by=("day", "key_id")),
        await store.ledger.standings("key:key_0", now=0),
        await store.ledger.standings("user:u", now=0),
        [record.id for record in await store.usage.records()],
    )


def test_a_delivery_that_breaks_off_after_any_write_counts_once_when_it_comes_again():
    expected = None

    async def broken_off_after(writes: int) -> bool:
        nonlocal expected
        async with connected("dynalite") as (_, names), opened(store_of(names)) as store:
            month = Account("user:u", "2026-11")
            hold = {"holder": "w", "amount_nano": 400, "budget_nano": 1000, "now": 0, "until": 9}
            await store.ledger.borrow(month, **hold)
            await store.usage.append(a_batch(1, 4, first=100))
            broken = True
            async with opened(store_of(names, BreakingDynamoDB, writes=writes)) as breaking:
                try:
                    await breaking.usage.append(a_batch(2))
                    broken = False
                except StoreError:
                    pass
            for _ in range(2):
                await store.usage.append(a_batch(2))
            found = await picture(store)
            expected = expected or found
            assert found == expected
            assert found[2][0] == Standing(month, 340, 60)
            return broken

    async def story():
        writes = 0
        while await broken_off_after(writes):
            writes += 1
        assert writes > 8

    asyncio.run(story())


def test_a_record_in_the_batch_of_another_writer_is_the_first_one_s():
    async def story():
        async with dynamo_store("dynalite") as store:
            await store.usage.append(a_batch(1, 10))
            await store.usage.append(a_batch(1, 10, first=5, writer="v"))
            await store.usage.append(a_batch(1, 10, first=5, writer="v"))
            assert sum(total.requests for total in await store.usage.totals()) == 15
            assert len(await store.usage.records()) == 15

    asyncio.run(story())


def test_a_batch_without_a_writer_counts_once():
    async def story():
        async with dynamo_store("dynalite") as store:
            one = UsageBatch((a_record(1), a_record(2)))
            for batch in (one, one, UsageBatch((a_record(2), a_record(3))), one):
                await store.usage.append(batch)
            assert sum(total.requests for total in await store.usage.totals()) == 3

    asyncio.run(story())


@pytest.mark.parametrize(("days", "expected"), [(7, AT_MS // 1000 + 7 * 86_400), (0, None)])
def test_rows_expire_when_they_are_told_to(days, expected):
    async def story():
        async with connected("dynalite") as (dynamo, names):
            store = DynamoDBStore(lambda: client(server("dynalite")), names, usage_ttl_days=days)
            async with opened(store):
                await store.usage.append(a_batch(1, 1))
                answer = await dynamo.call("Scan", {"TableName": names.usage})
                (row,) = map(from_item, answer["Items"])
                assert row.get("ttl") == expected
                assert row["timestamp"] == f"{AT_MS:015}#{row['request_id']}"
                assert row["api_key"] == "key_0"

    asyncio.run(story())


def test_a_moment_after_every_date_is_behind_every_record():
    async def story():
        async with dynamo_store("dynalite") as store:
            await store.usage.append(a_batch(1, 1))
            assert await store.usage.records(since_ms=10**15) == []
            assert len(await store.usage.records(until_ms=10**15)) == 1

    asyncio.run(story())
