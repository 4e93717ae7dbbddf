"""Machines whose clocks differ, on the tables of one DynamoDB: its clock decides."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from deliveries import Delivered
from dynamo_servers import client, connected, server

from anthropic_bedrock_proxy.errors import PermissionDeniedError
from anthropic_bedrock_proxy.gateway.admission.budget_slice import Budget
from anthropic_bedrock_proxy.gateway.admission.budgets import Budgets
from anthropic_bedrock_proxy.store.base.callers import KeyRecord, NewSecret
from anthropic_bedrock_proxy.store.base.ledger import Account
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.dynamodb.store import DynamoDBStore

APART = 90.0
ACCOUNT = Account("key:key_1", "total")
DOLLAR = 10**9


class Machine:
    """A store in a process whose clock is ahead."""

    def __init__(self, names, ahead):
        self.ahead = ahead
        self.store = DynamoDBStore(
            lambda: client(server("dynalite"), now=self.now), names, now=self.now
        )

    def now(self):
        return time.time() + self.ahead

    def budgets(self, name):
        return Budgets(
            self.store.ledger,
            Delivered(name),
            now=self.now,
            monotonic=time.monotonic,
            fail_open=False,
        )


@asynccontextmanager
async def machines(*ahead):
    async with connected("dynalite") as (_, names), AsyncExitStack() as stack:
        found = [Machine(names, one) for one in ahead]
        for machine in found:
            await machine.store.open()
            stack.push_async_callback(machine.store.close)
        yield found


def borrow(machine, nano, *, holder, seconds=60):
    now = int(machine.now())
    return machine.store.ledger.borrow(
        ACCOUNT, holder=holder, amount_nano=nano, budget_nano=100, now=now, until=now + seconds
    )


@pytest.mark.parametrize("ahead", [(0, APART), (APART, 0), (-APART, 0), (-APART, APART)])
def test_a_hold_lapses_for_everybody_at_once(ahead):
    async def run():
        async with machines(*ahead) as (one, two):
            assert (await borrow(one, 100, holder="one"))[0] == 100
            assert (await borrow(two, 100, holder="two"))[0] == 0, "lent twice"
            await one.store.ledger.renew([ACCOUNT], holder="one", until=int(one.now()) + 60)
            assert (await borrow(two, 100, holder="two"))[0] == 0
            await one.store.ledger.hold({ACCOUNT: 70}, holder="one", until=int(one.now()) + 60)
            (standing,) = await two.store.ledger.standings("key:key_1", now=int(two.now()))
            assert standing.held_nano == 70
            later = int(two.now()) + 63
            granted, _ = await two.store.ledger.borrow(
                ACCOUNT, holder="two", amount_nano=90, budget_nano=100, now=later, until=later
            )
            assert granted == 90, "and it does lapse"

    asyncio.run(run())


@pytest.mark.parametrize("ahead", [(0, APART), (APART, 0)])
def test_two_machines_spend_one_budget(ahead):
    async def run():
        async with machines(*ahead) as found:
            workers = [one.budgets(f"w{number}") for number, one in enumerate(found)]
            admitted = 0
            for _ in range(4):
                for budgets in workers:
                    budget = Budget(ACCOUNT, DOLLAR, "total", None)
                    try:
                        while admitted < 40:
                            await budgets.take([budget], DOLLAR // 10)
                            admitted += 1
                    except PermissionDeniedError:
                        pass
            assert admitted == 10

    asyncio.run(run())


def test_a_rotated_secret_holds_as_long_as_was_said():
    async def run():
        async with machines(0, APART) as (one, two):
            old, new = b"a" * 32, b"b" * 32
            key = KeyRecord(id="key_1", name="n", secret_hint="", created_at=0, updated_at=0)
            await one.store.keys.create(key, old)
            secret = NewSecret(hash=new, hint="bbbb", overlap_seconds=60)
            await one.store.keys.rotate("key_1", secret, now=int(one.now()))
            assert await two.store.keys.find(old, now=int(two.now())) is not None
            assert await two.store.keys.find(old, now=int(two.now()) + 63) is None

    asyncio.run(run())


def test_a_clock_that_is_weeks_ahead_makes_no_item_forget_a_batch_that_broke_off():
    def batch(writer):
        record = UsageRecord(
            id=f"req_{writer}",
            key_id="key_1",
            at_ms=0,
            model="m",
            bedrock_model_id="b",
            dialect="invoke",
            cost_nano=1,
        )
        return UsageBatch((record,), writer, 1)

    async def run():
        async with machines(0, 40 * 86_400) as (one, two):
            await one.store.usage.append(batch("broken"))  # but for its last write
            done = {"pk": {"S": "writer#broken"}, "sk": {"S": "done"}}
            client, names = one.store._tables.client, one.store._tables.names
            await client.call("DeleteItem", {"TableName": names.state, "Key": done})
            await two.store.keys.get("key_1")  # its first answer tells the time
            for number in range(20):
                machine = one if number < 10 else two
                await machine.store.usage.append(batch(f"w{number}"))
            await one.store.usage.append(batch("broken"))
            (total,) = await one.store.usage.totals(by=())
            assert total.cost_nano == 21
            (*_, standing) = await one.store.ledger.standings("key:key_1", now=0)
            assert standing.spent_nano == 21

    asyncio.run(run())
