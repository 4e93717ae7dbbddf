"""Budgets in DynamoDB: processes that compete."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import msgspec
import pytest
from dynamo_servers import client, connected, dynamo_store, server
from dynamo_usage import a_batch, opened, store_of

from anthropic_bedrock_proxy.aws.dynamodb_values import to_item
from anthropic_bedrock_proxy.store.base.ledger import Account, Standing
from anthropic_bedrock_proxy.store.dynamodb.store import DynamoDBStore

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("kind", ["dynalite", "moto"])
def test_an_account_with_the_holds_of_a_thousand_dead_processes_can_be_borrowed_from(kind):
    async def story():
        async with connected(kind) as (dynamo, names):
            dead = {"held": 1, "until": 5, "write": "theirs"}
            item = {"pk": "account#team:t", "sk": "total", "spent": 1, "write": "theirs"}
            item |= {f"h#{number:012x}": dead for number in range(1000)}
            await dynamo.call("PutItem", {"TableName": names.state, "Item": to_item(item)})
            store = DynamoDBStore(lambda: client(server(kind)), names)
            account = Account("team:t", "total")
            async with opened(store):
                for number in range(1, 20):
                    granted, standing = await store.ledger.borrow(
                        account, holder="w", amount_nano=5, budget_nano=900, now=9, until=60
                    )
                    assert (granted, standing) == (5, Standing(account, 1, 5 * number))
            key = {name: {"S": item[name]} for name in ("pk", "sk")}
            answer = await dynamo.call("GetItem", {"TableName": names.state, "Key": key})
            left = [name for name in answer["Item"] if name.startswith("h#")]
            assert left == ["h#w"], "little by little they are forgotten"

    asyncio.run(story())


def test_renewing_never_shortens_a_hold():
    """A renewal may arrive late, behind what was borrowed since."""

    async def story():
        async with dynamo_store("dynalite") as store:
            account = Account("team:t", "total")
            hold = {"holder": "w", "amount_nano": 5, "budget_nano": 9, "now": 0, "until": 100}
            await store.ledger.borrow(account, **hold)
            await store.ledger.renew([account], holder="w", until=50)
            (standing,) = await store.ledger.standings("team:t", now=60)
            assert standing.held_nano == 5
            await store.ledger.renew([account], holder="w", until=150)
            (standing,) = await store.ledger.standings("team:t", now=110)
            assert standing.held_nano == 5

    asyncio.run(story())


def test_stores_that_write_to_one_account_at_once_keep_it_exact():
    async def story():
        async with connected("dynalite") as (_, names):
            stores = [store_of(names) for _ in range(4)]
            for store in stores:
                await store.open()
            account = Account("user:u", "total")

            async def use(number, store):
                holder, spent = f"w{number}", 0
                for step in range(6):
                    granted, _ = await store.ledger.borrow(
                        account,
                        holder=holder,
                        amount_nano=37,
                        budget_nano=500,
                        now=0,
                        until=9,
                    )
                    spent += granted // 10
                    first = 1000 * number + 10 * step
                    batch = a_batch(step + 1, granted // 10, first=first, writer=holder)
                    await store.usage.append(batch)
                    left = granted % 10
                    await store.ledger.give_back(account, holder=holder, amount_nano=left)
                    await store.ledger.renew([account], holder=holder, until=9)
                return spent

            spent = sum(await asyncio.gather(*(use(n, s) for n, s in enumerate(stores))))
            standings = await stores[0].ledger.standings("user:u", now=0)
            (total,) = [one for one in standings if one.account == account]
            assert total.spent_nano == 10 * spent
            assert total.spent_nano + total.held_nano <= 500
            for store in stores:
                await store.close()

    asyncio.run(story())


BORROW = """
import asyncio, sys
from dynamo_servers import client
from anthropic_bedrock_proxy.store.dynamodb.store import DynamoDBStore
from anthropic_bedrock_proxy.store.dynamodb.tables import TableNames
from anthropic_bedrock_proxy.store.base.ledger import Account

url, names, holder = sys.argv[1:]
import msgspec

async def main():
    store = DynamoDBStore(lambda: client(url), msgspec.json.decode(names, type=TableNames))
    await store.open()
    account, sum_ = Account("team:t", "2026-11"), 0
    for _ in range(25):
        granted, standing = await store.ledger.borrow(
            account, holder=holder, amount_nano=7, budget_nano=401, now=0, until=60)
        assert standing.spent_nano + standing.held_nano <= 401
        sum_ += granted
    await store.close()
    print(sum_)

asyncio.run(main())
"""


def test_processes_that_borrow_at_once_never_exceed_the_budget():
    async def story():
        async with connected("dynalite") as (_, names), opened(store_of(names)) as store:
            arguments = [server("dynalite"), msgspec.json.encode(names).decode()]
            path = f"{ROOT / 'src'}:{ROOT / 'tests' / 'support'}"
            processes = [
                await asyncio.create_subprocess_exec(
                    *(sys.executable, "-c", BORROW, *arguments, f"w{number}"),
                    stdout=asyncio.subprocess.PIPE,
                    env={**os.environ, "PYTHONPATH": path},
                )
                for number in range(3)
            ]
            outputs = [await process.communicate() for process in processes]
            granted = [int(output) for output, _ in outputs]
            assert sum(granted) == 401
            assert min(granted) > 0, "they did compete"
            (standing,) = await store.ledger.standings("team:t", now=0)
            assert standing.held_nano == 401

    asyncio.run(story())
