"""Budgets of several workers on one ledger: nothing is overspent, nobody is blocked by mistake."""

from __future__ import annotations

import asyncio
import logging

import pytest
from deliveries import Delivered
from hypothesis import given, settings
from hypothesis import strategies as st

from anthropic_bedrock_proxy.errors import PermissionDeniedError, UnavailableError
from anthropic_bedrock_proxy.gateway.admission.budget_slice import Budget, budgets_of
from anthropic_bedrock_proxy.gateway.admission.budgets import Budgets
from anthropic_bedrock_proxy.gateway.admission.periods import today
from anthropic_bedrock_proxy.store.base.callers import Caller, KeyRecord, OwnerRecord
from anthropic_bedrock_proxy.store.base.ledger import Account, Standing
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.memory.store import MemoryStore

DOLLAR = 10**9
ACCOUNT = Account("key:key_1", "1970-01")
LOGGER = "anthropic_bedrock_proxy.budgets"


def a_budget(nano=DOLLAR, account=ACCOUNT):
    return Budget(account, nano, "monthly", 2_678_400)


class World:
    """A store, a clock, and workers that deliver what they spend."""

    def __init__(self, workers=1, **options):
        self.now = 1000.0
        self.store = MemoryStore()
        self.workers = [
            Budgets(
                self.store.ledger,
                Delivered(f"w{number}"),
                now=lambda: self.now,
                monotonic=lambda: self.now,
                **options,
            )
            for number in range(workers)
        ]
        self.records = 0

    async def deliver(self, worker, nano):
        """As the journal does."""
        self.records += 1
        record = UsageRecord(
            id=f"req_{self.records}",
            key_id="key_1",
            at_ms=int(self.now * 1000),
            model="m",
            bedrock_model_id="m",
            dialect="invoke",
            cost_nano=nano,
        )
        await self.store.usage.append(UsageBatch((record,), f"w{worker}", self.records))

    async def standing(self):
        standings = await self.store.ledger.standings("key:key_1", now=int(self.now))
        return next((s for s in standings if s.account == ACCOUNT), Standing(ACCOUNT))


def test_a_budget_is_spent_and_then_refused():
    async def run():
        world = World()
        (budgets,) = world.workers
        for _ in range(100):
            hold = await budgets.take([a_budget()], 0)
            budgets.settle(hold, DOLLAR // 100)
            await world.deliver(0, DOLLAR // 100)
        with pytest.raises(PermissionDeniedError) as caught:
            await budgets.take([a_budget()], 0)
        error = caught.value
        assert (error.error_code, error.should_retry) == ("budget_exceeded", False)
        assert error.message == (
            "The monthly budget of 1 USD of the key key_1 is used up. "
            "It resets at 1970-02-01T00:00:00Z."
        )
        assert (await world.standing()).spent_nano == DOLLAR

    asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_workers_together_overspend_by_running_requests_only(data):
    """Any interleaving of begin, end and delivery; with holds not even that."""
    holds = data.draw(st.booleans())
    most = data.draw(st.integers(1, DOLLAR // 5))
    steps = data.draw(
        st.lists(st.tuples(st.integers(0, 2), st.sampled_from("bbbedg")), max_size=80)
    )

    async def run():
        world = World(3)
        running = [[], [], []]
        pending = [[], [], []]
        spent = at_once = 0
        for worker, step in steps:
            budgets = world.workers[worker]
            if step == "b":
                try:
                    running[worker].append(await budgets.take([a_budget()], most if holds else 0))
                except PermissionDeniedError:
                    world.now += 2  # so that the ledger is asked again
                at_once = max(at_once, sum(map(len, running)))
            elif step == "e" and running[worker]:
                cost = data.draw(st.integers(0, most))
                budgets.settle(running[worker].pop(), cost)
                pending[worker].append(cost)
                spent += cost
            elif step == "d" and pending[worker]:
                await world.deliver(worker, pending[worker].pop(0))
            elif step == "g":
                await budgets.upkeep.give_back()
        for worker, holds_ in enumerate(running):
            for hold in holds_:
                world.workers[worker].settle(hold, most)
                pending[worker].append(most)
                spent += most
        assert spent <= (DOLLAR if holds else DOLLAR + most * at_once)
        for worker, costs in enumerate(pending):
            for cost in costs:
                await world.deliver(worker, cost)
            await world.workers[worker].close()
        standing = await world.standing()
        assert (standing.spent_nano, standing.held_nano) == (spent, 0)

    asyncio.run(run())


def test_concurrent_requests_overspend_by_what_runs():
    async def run():
        world = World(3)
        cost = DOLLAR // 50
        outcomes = []

        async def one(number):
            worker = number % 3
            try:
                hold = await world.workers[worker].take([a_budget()], 0)
            except PermissionDeniedError:
                outcomes.append(0)
                return
            await asyncio.sleep(0)
            world.workers[worker].settle(hold, cost)
            await world.deliver(worker, cost)
            outcomes.append(cost)

        for start in range(0, 300, 20):
            await asyncio.gather(*(one(start + number) for number in range(20)))
        assert DOLLAR <= sum(outcomes) <= DOLLAR + 20 * cost
        for budgets in world.workers:
            await budgets.close()
        assert (await world.standing()).held_nano == 0

    asyncio.run(run())


def test_with_holds_a_request_that_may_cost_too_much_waits_for_the_next_month():
    async def run():
        world = World()
        (budgets,) = world.workers
        first = await budgets.take([a_budget()], DOLLAR * 6 // 10)
        with pytest.raises(PermissionDeniedError, match="not enough left for what this request"):
            await budgets.take([a_budget()], DOLLAR // 2)
        smaller = await budgets.take([a_budget()], DOLLAR * 4 // 10)
        budgets.settle(first, 10)
        budgets.settle(smaller, 10)
        world.now += 2
        again = await budgets.take([a_budget()], DOLLAR // 2)
        budgets.settle(again, 0)

    asyncio.run(run())


def test_a_refusal_takes_nothing_of_the_other_budgets():
    async def run():
        world = World()
        (budgets,) = world.workers
        empty = a_budget(0, Account("team:t", "1970-01"))
        with pytest.raises(PermissionDeniedError, match="team t"):
            await budgets.take([a_budget(), empty], DOLLAR)
        whole = await budgets.take([a_budget()], DOLLAR)
        budgets.settle(whole, 0)
        assert all(slice_.running == 0 for slice_ in budgets.slices.values())

    asyncio.run(run())


def test_a_lowered_budget_is_in_force_at_once_and_a_raised_one_too():
    async def run():
        world = World()
        (budgets,) = world.workers
        budgets.settle(await budgets.take([a_budget()], 0), 100)
        await world.deliver(0, 100)
        with pytest.raises(PermissionDeniedError):
            await budgets.take([a_budget(100)], 0)
        budgets.settle(await budgets.take([a_budget(1000)], 0), 100)
        assert (await world.standing()).held_nano <= 900

    asyncio.run(run())


def test_who_is_over_budget_does_not_ask_the_ledger_each_time():
    async def run():
        world = World()
        (budgets,) = world.workers
        asked = 0
        borrow = world.store.ledger.borrow

        class Counting:
            async def borrow(self, *args, **options):
                nonlocal asked
                asked += 1
                return await borrow(*args, **options)

        budgets = Budgets(
            Counting(), Delivered("w"), now=lambda: world.now, monotonic=lambda: world.now
        )
        for _ in range(50):
            with pytest.raises(PermissionDeniedError):
                await budgets.take([a_budget(0)], 0)
        assert asked == 1
        world.now += 1.1
        with pytest.raises(PermissionDeniedError):
            await budgets.take([a_budget(0)], 0)
        assert asked == 2

    asyncio.run(run())


@pytest.mark.parametrize("fail_open", [True, False])
def test_an_outage_of_the_store(fail_open, caplog):
    async def run():
        world = World(fail_open=fail_open)
        (budgets,) = world.workers
        budgets.settle(await budgets.take([a_budget(DOLLAR)], 0), 10)
        world.store.down = True
        hold = await budgets.take([a_budget(DOLLAR)], 0)  # from what was borrowed
        budgets.settle(hold, DOLLAR // 8)
        for _ in range(3):
            if fail_open:
                budgets.settle(await budgets.take([a_budget(DOLLAR)], 0), 10)
            else:
                with pytest.raises(UnavailableError):
                    await budgets.take([a_budget(DOLLAR)], 0)
        world.store.down = False
        world.now += 1.1
        await world.deliver(0, 10)
        budgets.settle(await budgets.take([a_budget(DOLLAR)], 0), 10)

    with caplog.at_level(logging.INFO, LOGGER):
        asyncio.run(run())
    told = [record.levelname for record in caplog.records]
    assert told == ["ERROR", "INFO"], "its beginning and its end, once each"


def test_who_was_over_budget_before_an_outage_stays_so():
    async def run():
        world = World()
        (budgets,) = world.workers
        with pytest.raises(PermissionDeniedError):
            await budgets.take([a_budget(0)], 0)
        world.store.down = True
        world.now += 2
        with pytest.raises(PermissionDeniedError):
            await budgets.take([a_budget(0)], 0)

    asyncio.run(run())


def test_what_a_paused_worker_had_borrowed_is_not_spent_twice():
    async def run():
        world = World(2)
        one, two = world.workers
        one.settle(await one.take([a_budget(16)], 0), 0)
        world.now += 3600
        budget = a_budget(16)
        for _ in range(16):
            two.settle(await two.take([budget], 0), 1)
            await world.deliver(1, 1)
        with pytest.raises(PermissionDeniedError):
            await one.take([budget], 0)

    asyncio.run(run())


def test_idle_slices_are_given_back_and_used_ones_renewed():
    async def run():
        world = World()
        (budgets,) = world.workers
        other = a_budget(DOLLAR, Account("key:key_2", "1970-01"))
        running = await budgets.take([a_budget()], 0)
        budgets.settle(await budgets.take([other], 0), 0)
        ticks = 0

        async def sleep(seconds):
            nonlocal ticks
            ticks += 1
            world.now += seconds
            if ticks == 30:
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await budgets.run(sleep=sleep)
        assert list(budgets.slices) == [ACCOUNT]
        assert (await world.standing()).held_nano > 0, "150 s later it is still held"
        idle = await world.store.ledger.standings("key:key_2", now=int(world.now))
        assert all(standing.held_nano == 0 for standing in idle)
        budgets.settle(running, 0)
        await budgets.close()
        assert (await world.standing()).held_nano == 0

    asyncio.run(run())


def test_thresholds_are_told_once(caplog):
    async def run():
        world = World()
        (budgets,) = world.workers
        for _ in range(100):
            budgets.settle(await budgets.take([a_budget()], 0), DOLLAR // 100)
            await world.deliver(0, DOLLAR // 100)
        for _ in range(3):
            world.now += 2
            with pytest.raises(PermissionDeniedError):
                await budgets.take([a_budget()], 0)

    with caplog.at_level(logging.INFO, LOGGER):
        asyncio.run(run())
    assert [record.percent for record in caplog.records] == [80, 100]


def test_every_level_has_its_periods():
    allowance = {"monthly_budget_nano": 1, "daily_budget_nano": 2, "total_budget_nano": 3}
    times = {"created_at": 0, "updated_at": 0}
    caller = Caller(
        KeyRecord(id="k", name="n", secret_hint="", **times, **allowance),
        OwnerRecord(kind="user", id="u", name="n", **times, daily_budget_nano=4),
        OwnerRecord(kind="team", id="t", name="n", **times, total_budget_nano=5),
    )
    found = [
        (b.account.owner, b.account.period, b.nano, b.period, b.resets_at)
        for b in budgets_of(caller, today(0))
    ]
    assert found == [
        ("key:k", "1970-01", 1, "monthly", 2_678_400),
        ("key:k", "1970-01-01", 2, "daily", 86_400),
        ("key:k", "total", 3, "total", None),
        ("user:u", "1970-01-01", 4, "daily", 86_400),
        ("team:t", "total", 5, "total", None),
    ]
    assert (
        "does not reset"
        in Budget(Account("team:t", "total"), 5, "total", None).exceeded(left_over=False).message
    )


def test_what_overshot_a_slice_is_not_held_again():
    async def run():
        world = World()
        (budgets,) = world.workers
        budgets.settle(await budgets.take([a_budget()], 0), DOLLAR // 5)
        await world.deliver(0, DOLLAR // 5)
        budgets.settle(await budgets.take([a_budget()], 0), 0)
        await budgets.close()
        standing = await world.standing()
        assert (standing.spent_nano, standing.held_nano) == (DOLLAR // 5, 0)

    asyncio.run(run())


class SlowLedger:
    """Answers once its gate is open, whoever still waits: like the thread of SQLite."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.gate = asyncio.Event()
        self.asked = 0

    async def borrow(self, *args, **options):
        self.asked += 1

        async def work():
            await self.gate.wait()
            return await self.ledger.borrow(*args, **options)

        return await asyncio.shield(asyncio.ensure_future(work()))

    async def give_back(self, *args, **options):
        await self.ledger.give_back(*args, **options)


class SlowWorld(World):
    def __init__(self):
        super().__init__()
        self.ledger = SlowLedger(self.store.ledger)
        self.budgets = Budgets(
            self.ledger, Delivered("w"), now=lambda: self.now, monotonic=lambda: self.now
        )

    async def settle_down(self):
        for _ in range(20):
            await asyncio.sleep(0)


def test_what_is_granted_to_requests_that_were_given_up_is_not_lost():
    async def run():
        world = SlowWorld()
        for _ in range(16):
            task = asyncio.create_task(world.budgets.take([a_budget()], 0))
            await world.settle_down()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        world.ledger.gate.set()
        await world.settle_down()
        assert world.ledger.asked == 1
        (slice_,) = world.budgets.slices.values()
        assert slice_.running == 0
        assert slice_.available == (await world.standing()).held_nano > 0
        world.budgets.settle(await world.budgets.take([a_budget()], 0), 0)
        await world.budgets.close()
        assert (await world.standing()).held_nano == 0

    asyncio.run(run())


def test_an_answer_that_comes_too_late_is_not_lost():
    async def run():
        world = SlowWorld()
        asked = asyncio.create_task(world.budgets.take([a_budget()], 0))
        await world.settle_down()
        world.now += 2  # nobody waits any more
        late = await world.budgets.take([a_budget()], 0)
        world.ledger.gate.set()
        world.budgets.settle(await asked, 0)
        world.budgets.settle(late, 0)
        await world.settle_down()
        (slice_,) = world.budgets.slices.values()
        assert slice_.available == (await world.standing()).held_nano > 0

    asyncio.run(run())


def test_a_slice_that_came_too_late_to_be_enough_does_not_close_the_budget():
    """What requests spent while nobody answered is more than what is granted at last."""

    async def run():
        world = SlowWorld()
        asked = asyncio.create_task(world.budgets.take([a_budget()], 0))
        await world.settle_down()
        world.now += 2
        late = await world.budgets.take([a_budget()], 0)
        world.budgets.settle(late, DOLLAR // 4)
        world.ledger.gate.set()
        world.budgets.settle(await asked, 0)
        await world.settle_down()
        (slice_,) = world.budgets.slices.values()
        assert world.ledger.asked == 2  # the first slice was spent already
        assert slice_.available > 0

    asyncio.run(run())


def test_the_next_slice_is_asked_for_before_the_last_one_is_empty():
    async def run():
        world = SlowWorld()
        world.ledger.gate.set()
        world.budgets.settle(await world.budgets.take([a_budget()], 0), 0)
        (slice_,) = world.budgets.slices.values()
        world.budgets.settle(await world.budgets.take([a_budget()], 0), slice_.available * 4 // 5)
        assert world.ledger.asked == 1
        world.ledger.gate.clear()
        hold = await world.budgets.take([a_budget()], 0)  # and does not wait
        await world.settle_down()
        assert world.ledger.asked == 2
        world.budgets.settle(hold, 0)
        world.budgets.settle(await world.budgets.take([a_budget()], 0), 0)
        world.ledger.gate.set()
        await world.settle_down()
        assert world.ledger.asked == 2
        assert slice_.available > DOLLAR // 20

    asyncio.run(run())


def test_after_an_outage_a_slice_asked_for_early_is_in_nobodys_way():
    """One question a second is for who cannot go on without an answer."""

    async def run():
        world = World(fail_open=False)
        (budgets,) = world.workers
        low = a_budget(16 * DOLLAR)
        empty = a_budget(account=Account("user:user_1", "1970-01"))
        budgets.settle(await budgets.take([low], 0), DOLLAR * 9 // 10)
        world.store.down = True
        with pytest.raises(UnavailableError):
            await budgets.take([empty], 0)
        world.store.down = False
        world.now += 5
        budgets.settle(await budgets.take([low, empty], 0), 1)

    asyncio.run(run())


def test_the_rest_of_a_budget_is_not_asked_for_again_and_again():
    """What is left is less than a slice would be."""

    async def run():
        world = SlowWorld()
        world.ledger.gate.set()
        for _ in range(40):
            hold = await world.budgets.take([a_budget(100)], 0)
            world.budgets.settle(hold, 0)
            await world.settle_down()
        assert world.ledger.asked == 1

    asyncio.run(run())


def test_a_stop_waits_for_what_was_asked():
    async def run():
        world = SlowWorld()
        task = asyncio.create_task(world.budgets.take([a_budget()], 0))
        await world.settle_down()
        task.cancel()
        asyncio.get_running_loop().call_soon(world.ledger.gate.set)
        await world.budgets.close()
        assert (await world.standing()).held_nano == 0

    asyncio.run(run())


def test_what_lapsed_is_not_spent_again_by_those_who_still_hold_it():
    async def run():
        world = World(2)
        one, two = world.workers
        running = await one.take([a_budget()], DOLLAR * 8 // 10)
        world.now += 100
        await two.take([a_budget()], DOLLAR * 8 // 10)
        with pytest.raises(PermissionDeniedError):
            await one.take([a_budget()], DOLLAR // 10)
        one.settle(running, 0)
        for _ in range(2):
            await one.take([a_budget()], DOLLAR // 10)
        with pytest.raises(PermissionDeniedError):
            await one.take([a_budget()], DOLLAR // 10)

    asyncio.run(run())


def test_what_running_requests_hold_of_a_larger_budget_is_not_lent_again():
    async def run():
        world = World()
        (budgets,) = world.workers
        running = await budgets.take([a_budget()], DOLLAR * 8 // 10)
        with pytest.raises(PermissionDeniedError):
            await budgets.take([a_budget(DOLLAR // 10)], DOLLAR // 10)
        budgets.settle(running, 0)
        world.now += 2
        with pytest.raises(PermissionDeniedError):
            await budgets.take([a_budget(DOLLAR // 10)], DOLLAR // 2)
        budgets.settle(await budgets.take([a_budget(DOLLAR // 10)], DOLLAR // 10), 0)
        await budgets.close()
        assert (await world.standing()).held_nano == 0

    asyncio.run(run())


def test_a_budget_that_is_lowered_while_the_ledger_is_asked():
    async def run():
        world = SlowWorld()
        first = asyncio.create_task(world.budgets.take([a_budget()], 0))
        await world.settle_down()
        second = asyncio.create_task(world.budgets.take([a_budget(16)], 0))
        await world.settle_down()
        world.ledger.gate.set()
        world.budgets.settle(await first, 0)
        world.budgets.settle(await second, 0)
        assert (await world.standing()).held_nano <= 16

    asyncio.run(run())


def test_who_was_over_budget_stays_so_though_nothing_was_asked_for_a_while():
    async def run():
        world = World()
        (budgets,) = world.workers
        with pytest.raises(PermissionDeniedError):
            await budgets.take([a_budget(0)], 0)
        world.now += 60
        await budgets.upkeep.give_back(idle_seconds=5)
        world.store.down = True
        with pytest.raises(PermissionDeniedError):
            await budgets.take([a_budget(0)], 0)
        world.now += 3600
        world.store.down = False
        await budgets.upkeep.mend()
        await budgets.upkeep.give_back(idle_seconds=5)
        assert not budgets.slices, "not for ever: a slice is memory"

    asyncio.run(run())


def test_a_debt_is_the_ledgers_when_its_slice_is_dropped():
    """Or what is borrowed next would not be held: another could borrow it too."""

    async def run():
        world = World(2)
        budgets = world.workers[0]
        for delivered_before in (True, False):
            hold = await budgets.take([a_budget()], 0)
            budgets.settle(hold, DOLLAR // 5)
            if delivered_before:
                await world.deliver(0, DOLLAR // 5)
            await budgets.upkeep.give_back()
            if not delivered_before:
                await world.deliver(0, DOLLAR // 5)
            assert (await world.standing()).held_nano == 0
            budgets.settle(await budgets.take([a_budget()], 0), 0)
            (slice_,) = budgets.slices.values()
            assert (await world.standing()).held_nano == slice_.available > 0
            await budgets.upkeep.give_back()

    asyncio.run(run())


def test_a_request_that_goes_on_holds_more():
    async def run():
        world = World()
        (budgets,) = world.workers
        team = a_budget(DOLLAR, Account("team:t", "1970-01"))
        hold = await budgets.take([a_budget(2 * DOLLAR), team], DOLLAR // 2)
        await budgets.extend(hold, DOLLAR // 2)
        with pytest.raises(PermissionDeniedError, match="team t"):
            await budgets.extend(hold, 1)
        assert hold.nano == DOLLAR
        budgets.settle(hold, DOLLAR // 4)
        assert all((p.running, p.held) == (0, 0) for p in budgets.slices.values())
        assert budgets.slices[team.account].available == DOLLAR * 3 // 4

    asyncio.run(run())


def test_a_store_that_is_silent_is_called_so(caplog):
    async def run():
        world = SlowWorld()
        first = asyncio.create_task(world.budgets.take([a_budget()], 0))
        await world.settle_down()
        world.now += 2
        await world.budgets.take([a_budget()], 0)
        world.ledger.gate.set()
        await first

    with caplog.at_level(logging.ERROR, LOGGER):
        asyncio.run(run())
    assert [record.message for record in caplog.records] == [
        "budgets cannot be asked, requests go on: no answer in time"
    ]


def test_a_request_that_may_cost_too_much_takes_nothing_from_other_workers():
    async def run():
        world = World(2)
        one, two = world.workers
        with pytest.raises(PermissionDeniedError, match="not enough left"):
            await one.take([a_budget()], DOLLAR * 2)
        await two.take([a_budget()], DOLLAR // 2)

    asyncio.run(run())


def test_what_a_refused_request_borrowed_is_told_as_left():
    """Not as used up to whoever asks next for less, nor as a budget of which little remains."""

    async def run():
        (budgets,) = World().workers
        for nano in (DOLLAR * 9, DOLLAR * 8, DOLLAR * 7):
            with pytest.raises(PermissionDeniedError, match="not enough left"):
                await budgets.take([a_budget()], nano)
            assert budgets.slices[ACCOUNT].remaining == DOLLAR

    asyncio.run(run())
