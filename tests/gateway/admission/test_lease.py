"""Leases: whatever happens, each is settled once, and nothing stays taken."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

import msgspec
import pytest
from deliveries import Delivered
from hypothesis import given, settings
from hypothesis import strategies as st

from anthropic_bedrock_proxy.app.models import load_model_table, load_prices
from anthropic_bedrock_proxy.errors import PermissionDeniedError, RateLimitError
from anthropic_bedrock_proxy.gateway.admission.admission import Admission
from anthropic_bedrock_proxy.gateway.admission.budgets import Budgets
from anthropic_bedrock_proxy.gateway.admission.holds import Holds
from anthropic_bedrock_proxy.gateway.admission.lease import Counters
from anthropic_bedrock_proxy.gateway.admission.pricing import Pricing
from anthropic_bedrock_proxy.gateway.admission.rate_limits import LimitOptions, RateLimits
from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.limits.base import Slot
from anthropic_bedrock_proxy.limits.memory import MemoryLimiter
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions
from anthropic_bedrock_proxy.protocol.answer.metering import ServerToolUse
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.store.base.callers import Caller, KeyRecord
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.memory.store import MemoryStore

MODEL = "claude-haiku-4-5"
REGISTRY = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
ROUTE = REGISTRY.route(MODEL)
BODY = json.dumps(
    {"model": MODEL, "max_tokens": 200, "messages": [{"role": "user", "content": "x"}]}
).encode()
REQUEST = parse_request(BODY, "2023-06-01")
CALLER = Caller(
    KeyRecord(
        id="key_1",
        name="n",
        secret_hint="",
        created_at=0,
        updated_at=0,
        rate_limit=40,
        tpm_limit=10_000,
        concurrency_limit=5,
        monthly_budget_nano=20_000_000,  # 0.02 USD: ten answers or so
    )
)


class Worker:
    """One worker's counters, on a store and a limiter that may outlive it."""

    def __init__(self, world, number, holds, search_nano=0):
        self.world, self.number = world, number
        self.journal = []
        self.running = []
        self.budgets = Budgets(
            world.store.ledger,
            Delivered(f"w{number}"),
            now=world.clock,
            monotonic=world.clock,
        )
        limits = RateLimits(world.limiter, LimitOptions(), now=world.clock)
        pricing = Pricing(
            REGISTRY.names.behind, lambda _: "us-east-1", load_prices(), now=world.clock
        )
        self.holds = Holds("max" if holds else "off", pricing)
        self.admission = Admission(
            Counters(
                self,
                pricing,
                limits,
                self.budgets,
                self.holds,
                world.clock,
                search_nano=search_nano,
            )
        )

    def append(self, record):
        self.journal.append(record)
        self.world.recorded.append(record)

    async def admit(self):
        self.world.count += 1
        exchange = Exchange(
            f"req_{self.world.count}", started=self.world.now, at_ms=int(self.world.now * 1000)
        )
        exchange.caller, exchange.key_id, exchange.model = CALLER, "key_1", MODEL
        lease = await self.admission.admit(exchange, REQUEST, ROUTE, BODY)
        self.running.append((exchange, lease))

    async def deliver(self):
        records, self.journal = self.journal, []
        if records:
            self.world.batches += 1
            batch = UsageBatch(tuple(records), f"w{self.number}", self.world.batches)
            await self.world.store.usage.append(batch)


class World:
    def __init__(self):
        self.now = 1_000_000.0
        self.store = MemoryStore()
        self.limiter = MemoryLimiter(now=self.clock)
        self.count = self.batches = self.lives = 0
        self.recorded = []

    def clock(self):
        return self.now

    def worker(self, holds, **more):
        self.lives += 1
        return Worker(self, self.lives, holds, **more)


class Day:
    """Two workers, and what may happen to them: a method for each."""

    def __init__(self, *, holds):
        self.holds = holds
        self.world = World()
        self.workers = [self.world.worker(holds), self.world.worker(holds)]
        self.settled = set()
        self.calls = {}  # of the model, by request, if more than one
        self.crashed = 0

    async def admit(self, index):
        with contextlib.suppress(RateLimitError, PermissionDeniedError):
            await self.workers[index].admit()

    async def call(self, index):
        if running := self.workers[index].running:
            running[0][0].target = ROUTE.targets[0]

    async def more(self, index):
        """One more model call of the same turn."""
        for exchange, lease in self.workers[index].running[:1]:
            if exchange.target is not None:
                with contextlib.suppress(PermissionDeniedError):
                    await lease.extend(REQUEST)
                    self.calls[exchange.request_id] = self.calls.get(exchange.request_id, 1) + 1

    async def finish(self, index):
        self.end(index, tokens=150)

    async def error(self, index):
        self.end(index, error="overloaded_error")

    async def cancel(self, index):
        self.end(index, tokens=20, gone=True)

    async def twice(self, index):
        lease = self.end(index)
        count = len(self.world.recorded)
        if lease is not None:
            lease.settle()
        assert len(self.world.recorded) == count

    async def deliver(self, index):
        await self.workers[index].deliver()

    async def drain(self, index):
        """A stop in good order, and a new life."""
        while self.workers[index].running:
            self.end(index, error="api_error")
        await self.deliver(index)
        await self.workers[index].budgets.close()
        self.workers[index] = self.world.worker(self.holds)

    async def crash(self, index):
        """The journal outlives it, nothing else does."""
        self.crashed += len(self.workers[index].running)
        await self.deliver(index)
        self.workers[index] = self.world.worker(self.holds)

    async def wait(self, _):
        self.world.now += 1.5

    def end(self, index, *, error=None, tokens=0, gone=False):
        worker = self.workers[index]
        if not worker.running:
            return None
        exchange, lease = worker.running.pop(0)
        exchange.error_type, exchange.client_gone = error, gone
        called = exchange.target is not None
        if called and tokens:
            calls = self.calls.get(exchange.request_id, 1)
            exchange.meter.usage.input_tokens = 100 * calls
            exchange.meter.usage.output_tokens = tokens * calls
            exchange.meter.final = True
        before = len(self.world.recorded)
        lease.settle()
        assert lease.state == "settled"
        assert len(self.world.recorded) - before == called
        if called:
            self.settled.add(exchange.request_id)
        return lease


STEPS = ("admit", "admit", "admit", "call", "finish", "error", "cancel", "twice", "deliver")
RARE = ("drain", "crash", "wait", "more")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(STEPS + RARE)), max_size=60),
    st.booleans(),
)
def test_any_interleaving(steps, holds):
    async def run():
        day = Day(holds=holds)
        for index, step in steps:
            await getattr(day, step)(index)
        for index in (0, 1):
            await day.drain(index)
        await check(day)

    asyncio.run(run())


async def check(day):
    world = day.world
    ids = [record.id for record in world.recorded]
    assert len(ids) == len(set(ids))
    assert set(ids) == day.settled
    spent = sum(record.cost_nano for record in world.recorded)
    if day.holds:
        assert spent <= CALLER.key.monthly_budget_nano
    world.now += 120  # what the crashed held lapses
    for standing in await world.store.ledger.standings("key:key_1", now=int(world.now)):
        assert (standing.spent_nano, standing.held_nano) == (spent, 0)
    # But for the crashed, every place is free again.
    slot = Slot("key:key_1", CALLER.key.concurrency_limit)
    for _ in range(CALLER.key.concurrency_limit - day.crashed):
        assert (await world.limiter.take((), (), [slot])).allowed


def test_a_recorder_that_breaks_still_lets_go():
    async def run():
        world = World()
        worker = world.worker(holds=True)
        await worker.admit()
        exchange, lease = worker.running[0]
        exchange.target = ROUTE.targets[0]

        def broken(_):
            raise OSError("disk")

        worker.append = broken
        with pytest.raises(OSError, match="disk"):
            lease.settle()
        assert all(slice_.running == 0 for slice_ in worker.budgets.slices.values())
        lease.settle()

    asyncio.run(run())


def test_what_was_drawn_is_given_back_if_the_rest_of_admission_fails():
    async def run():
        world = World()
        worker = world.worker(holds=False)
        clock, broken = world.clock, [ValueError("year 10000 is out of range")]

        def now():
            if broken:
                raise broken.pop()
            return clock()

        limits = RateLimits(world.limiter, LimitOptions(), now=now)
        pricing = Pricing(REGISTRY.names.behind, lambda _: "us-east-1", load_prices(), now=clock)
        worker.admission = Admission(
            Counters(worker, pricing, limits, worker.budgets, worker.holds, clock)
        )
        with pytest.raises(ValueError, match="year"):
            await worker.admit()
        for _ in range(CALLER.key.concurrency_limit):
            await worker.admit()

    asyncio.run(run())


def test_a_day_is_over_when_the_clock_steps_back_too():
    """A worker that began with a clock of next year pays from this year's budgets, once told."""

    async def run():
        world = World()
        worker = world.worker(holds=False)
        periods = []
        for days in (366, 1, 0):
            world.now = 1_000_000.0 + days * 86_400
            await worker.admit()
            exchange, lease = worker.running.pop()
            exchange.target = ROUTE.targets[0]
            lease.settle()
            periods.append({account.period for account in worker.budgets.slices})
        assert periods == [{"1971-01"}, {"1971-01", "1970-01"}, {"1971-01", "1970-01"}]

    asyncio.run(run())


def test_a_cost_beyond_what_a_record_can_hold():
    async def run():
        world = World()
        worker = world.worker(holds=False)
        await worker.admit()
        exchange, lease = worker.running[0]
        exchange.target = ROUTE.targets[0]
        exchange.meter.usage.input_tokens = 2**53 - 1
        lease.settle()
        (record,) = world.recorded
        assert msgspec.convert(msgspec.to_builtins(record), UsageRecord) == record

    asyncio.run(run())


@pytest.mark.parametrize("holds", [True, False])
def test_searches_have_their_price(holds):
    async def run():
        world = World()
        worker = world.worker(holds, search_nano=1000)
        await worker.admit()
        exchange, lease = worker.running[0]
        exchange.target = ROUTE.targets[0]
        held = sum(each.held for each in worker.budgets.slices.values())
        await lease.extend(REQUEST, 3)
        more = sum(each.held for each in worker.budgets.slices.values()) - held
        # A model call as the first one, and what was searched before it.
        assert more == (held + 3000 if holds else 0)
        exchange.meter.usage.server_tool_use = ServerToolUse(web_search_requests=4)
        lease.settle()
        (record,) = world.recorded
        assert (record.web_search_requests, record.cost_nano) == (4, 4000)

    asyncio.run(run())


def test_the_master_key_is_admitted_for_nothing():
    async def run():
        world = World()
        worker = world.worker(holds=False)
        exchange = Exchange("req_1", started=0.0, at_ms=int(time.time() * 1000))
        lease = await worker.admission.admit(exchange, REQUEST, ROUTE, BODY)
        lease.settle()
        assert not world.recorded, "no model was called"

    asyncio.run(run())
