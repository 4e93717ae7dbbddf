"""What was spent is not lent again while its usage is on the way, whatever happens meanwhile.

The real journal, budgets and stores; only the clock, and whether usage arrives, are the tests'.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from dynamo_servers import UnsteadyDynamoDB, client, connected, server
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import STORES, running

from anthropic_bedrock_proxy.errors import PermissionDeniedError, UnavailableError
from anthropic_bedrock_proxy.gateway.admission.budget_slice import Budget
from anthropic_bedrock_proxy.gateway.admission.budgets import Budgets
from anthropic_bedrock_proxy.gateway.admission.upkeep import LEASE_SECONDS, MARGIN_SECONDS
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.base.ledger import Account
from anthropic_bedrock_proxy.store.base.usage import UsageRecord
from anthropic_bedrock_proxy.store.dynamodb.store import DynamoDBStore
from anthropic_bedrock_proxy.store.journal import Journal

DOLLAR = 10**9
START = 1_000_000.0
OWNER = "key:key_1"
ACCOUNT = Account(OWNER, "total")
TICK = 5.0  # of the loop of budgets
RENEWED_SECONDS = 15.0  # so long ago, at most, while the ledger answers
SHORTEST_LEASE_SECONDS = LEASE_SECONDS - MARGIN_SECONDS - RENEWED_SECONDS


class Way:
    """The way of usage to the store: open, shut, or so that answers are lost."""

    def __init__(self, usage):
        self.usage = usage
        self.batches_at_once = usage.batches_at_once
        self.state = "open"

    async def append(self, batch):
        if self.state == "shut":
            raise StoreError("throttled")
        await self.usage.append(batch)
        if self.state == "silent":
            raise StoreError("no answer")


class Asked:
    """A ledger that answers, does not hear what it is asked, or so that its answers are lost."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.state = "open"

    def __getattr__(self, name):
        async def ask(*arguments, **options):
            if self.state == "shut":
                raise StoreError("throttled")
            answer = await getattr(self.ledger, name)(*arguments, **options)
            if self.state == "silent":
                raise StoreError("no answer")
            return answer

        return ask


class Process:
    """What one worker has of journal and budgets, its loops stepped by hand."""

    def __init__(self, world, directory):
        self.world = world
        self.journal = Journal(directory, world.ledger, now=lambda: world.now)
        self.budgets = Budgets(
            world.ledger,
            self.journal,
            now=lambda: world.now,
            monotonic=lambda: world.now,
            fail_open=False,
        )
        self.running = []
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        self.loop = asyncio.create_task(self.budgets.run(sleep=self.sleep))

    async def sleep(self, _):
        self.reached.set()
        await self.go.wait()
        self.go.clear()

    async def tick(self, *, drains):
        await self.reached.wait()
        self.reached.clear()
        self.go.set()
        await self.reached.wait()
        if drains:
            with contextlib.suppress(StoreError):
                await self.journal.drain(self.world.way)

    async def begin_request(self, most):
        try:
            hold = await self.budgets.take([self.world.budget], most if self.world.holds else 0)
        except (PermissionDeniedError, UnavailableError):
            return False
        self.running.append((hold, most))
        return True

    def end_request(self, cost):
        hold, _ = self.running.pop(0)
        self.world.spend(self.journal, cost)
        self.budgets.settle(hold, cost)

    async def end_loop(self):
        self.loop.cancel()
        await asyncio.gather(self.loop, return_exceptions=True)

    async def kill(self):
        await self.end_loop()
        self.journal._forget()  # as the kernel does: its files are let go of

    async def stop(self):
        while self.running:
            self.end_request(0)
        await self.end_loop()
        await self.journal.finish(self.world.way)
        await self.budgets.close()
        self.journal.close()


class World:
    """A store, a clock, and processes on one machine or on two."""

    def __init__(self, store, directory, *, holds=True, machines=1, budget=DOLLAR):
        self.store, self.ledger, self.way = store, Asked(store.ledger), Way(store.usage)
        self.holds = holds
        self.now = START
        self.budget = Budget(ACCOUNT, budget, "total", None)
        self.most = DOLLAR // 50  # of a request that is to use up the budget
        self.spent = self.requests = 0
        self.overshoot = [0, 0]  # without holds: what may have run at once in each process
        self.silence = 0.0  # seconds in which the ledger has not answered
        self.unheld = {}  # what ran when that had lasted for a lease
        self.directories = [directory / str(n % machines) for n in range(2)]
        for one in self.directories:
            one.mkdir(parents=True, exist_ok=True)
        self.processes = [Process(self, one) for one in self.directories]

    def spend(self, journal, cost):
        self.requests += 1
        self.spent += cost
        journal.append(
            UsageRecord(
                id=f"req_{self.requests}",
                key_id="key_1",
                at_ms=int(self.now * 1000),
                model="m",
                bedrock_model_id="m",
                dialect="invoke",
                cost_nano=cost,
            )
        )

    @property
    def allowed(self):
        """The most that may be spent."""
        unheld = sum(hold.nano for hold in self.unheld.values())
        return self.budget.nano + unheld + (0 if self.holds else sum(self.overshoot))

    def lapses(self):
        """Says whether holds may have lapsed unheard. Nobody is refused for what runs then."""
        lapses = self.silence >= SHORTEST_LEASE_SECONDS
        for process in self.processes if lapses else ():
            if process is not None:
                self.unheld.update((id(hold), hold) for hold, _ in process.running)
        return lapses

    async def begin(self, number, most):
        process = self.processes[number]
        admitted = await process.begin_request(most)
        at_once = sum(most for _, most in process.running)
        self.overshoot[number] = max(self.overshoot[number], at_once)
        return admitted

    async def request(self, number, cost):
        admitted = await self.begin(number, cost)
        if admitted:
            self.processes[number].end_request(cost)
        return admitted

    async def use_up(self, number):
        """Requests until one is refused; returns how many were admitted."""
        admitted = 0
        while await self.request(number, self.most):
            admitted += 1
        return admitted

    async def idle(self, seconds, *, drains=True):
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            self.silence = 0.0 if self.ledger.state == "open" else self.silence + TICK
            self.lapses()
            for process in self.processes:
                if process is not None:
                    await process.tick(drains=drains)

    async def kill(self, number, *, away=0.0):
        await self.processes[number].kill()
        await self.replace(number, away)

    async def stop(self, number, *, away=0.0):
        await self.processes[number].stop()
        await self.replace(number, away)

    async def replace(self, number, away):
        """Nobody is in this place for a while, in which the others spend what they can."""
        self.processes[number] = None
        await self.idle(away)
        if away:
            await self.use_up(1 - number)
        self.processes[number] = Process(self, self.directories[number])

    async def pause(self, number, seconds):
        """A process stands still."""
        paused, self.processes[number] = self.processes[number], None
        await self.idle(seconds)
        self.processes[number] = paused

    async def standing(self):
        standings = await self.store.ledger.standings(OWNER, now=int(self.now))
        (total,) = [one for one in standings if one.account == ACCOUNT] or [None]
        return (total.spent_nano, total.held_nano) if total else (0, 0)

    async def end(self):
        """Everything is delivered, everybody stops: what was spent is all that is left."""
        for process in self.processes:
            while process.running:
                process.end_request(0)
        self.way.state = self.ledger.state = "open"
        await self.idle(75)
        assert await self.standing() == (self.spent, 0)
        rows = await self.store.usage.records(limit=self.requests + 1)
        assert len(rows) == self.requests
        for total in await self.store.usage.totals(by=()):
            assert (total.requests, total.cost_nano) == (self.requests, self.spent)
        for process in self.processes:
            await process.stop()
        assert await self.standing() == (self.spent, 0)


def play(story, *, kind="memory", **options):
    """Runs a story in a world of its own."""

    async def run(directory):
        async with STORES[kind](directory) as store:
            world = World(store, directory / "journals", **options)
            await story(world)
            await world.end()

    with tempfile.TemporaryDirectory() as name:
        asyncio.run(run(Path(name)))


@pytest.fixture(params=["memory", "sqlite", "dynalite-twice"])
def kind(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["holds", "slices"])
def holds(request):
    return request.param


def test_a_spent_budget_is_not_lent_again_while_usage_is_shut_out(kind, holds):
    async def story(world):
        world.way.state = "shut"
        for number in (0, 1, 0, 1):
            await world.use_up(number)
            await world.idle(68)
        assert world.spent <= world.allowed

    play(story, kind=kind, holds=holds)


def test_nor_when_usage_is_delivered_seldom(holds):
    """As with an interval of 200 s: nothing fails, and nothing arrives."""

    async def story(world):
        for _ in range(3):
            await world.use_up(0)
            await world.idle(68, drains=False)
        assert world.spent <= world.allowed

    play(story, holds=holds)


@pytest.mark.parametrize("away", [0.0, 70.0])
def test_nor_over_restarts(kind, holds, away):
    """Of a machine whose usage was shut out for a while, and another that spends meanwhile."""

    async def story(world):
        world.way.state = "shut"
        await world.use_up(0)
        await world.idle(20)
        for end in (world.stop, world.kill, world.stop):
            await end(0, away=away)
            await world.use_up(0)
            await world.idle(20)
        assert world.spent <= world.allowed

    play(story, kind=kind, holds=holds, machines=2)


def test_nor_after_a_stop_before_anything_was_known_to_be_late(kind, holds):
    async def story(world):
        world.way.state = "shut"
        await world.use_up(0)
        await world.stop(0, away=200)
        assert world.spent <= world.allowed

    play(story, kind=kind, holds=holds, machines=2)


def test_nor_by_a_process_that_has_just_begun(kind, holds):
    """It lends nothing before it has looked at what the dead have left."""

    async def story(world):
        world.way.state = "shut"
        await world.use_up(0)
        await world.processes[0].kill()
        world.now += 200
        world.processes[0] = Process(world, world.directories[0])
        await world.use_up(0)
        assert world.spent <= world.allowed

    play(story, kind=kind, holds=holds, machines=2)


def test_what_a_dead_sibling_spent_is_held_by_the_other(kind, holds):
    async def story(world):
        await world.idle(10)
        world.way.state = "shut"
        await world.request(1, DOLLAR // 100)
        await world.use_up(0)
        await world.processes[0].kill()
        world.processes[0] = None
        await world.idle(200)
        await world.use_up(1)
        assert world.spent <= world.allowed
        world.processes[0] = Process(world, world.directories[0])

    play(story, kind=kind, holds=holds)


def test_a_slice_that_lapsed_holds_what_it_spent_again(kind, holds):
    """A process that stood still for minutes, with usage that is not delivered."""

    async def story(world):
        world.way.state = "shut"
        await world.request(0, DOLLAR // 20)
        assert (await world.standing())[1] >= DOLLAR // 20
        await world.pause(0, 300)
        assert (await world.standing())[1] == 0
        await world.request(0, DOLLAR // 20)
        assert (await world.standing())[1] >= DOLLAR // 10
        await world.use_up(1)
        await world.use_up(0)
        assert world.spent <= world.allowed

    play(story, kind=kind, holds=holds)


def test_answers_that_are_lost_hold_nothing_for_long(kind):
    async def story(world):
        world.way.state = "silent"
        for _ in range(3):
            await world.request(0, DOLLAR // 20)
            await world.idle(30)
        await world.kill(0)
        await world.idle(30)
        world.way.state = "open"
        await world.idle(120)
        assert await world.standing() == (world.spent, 0)
        assert await world.use_up(1) == 50 * 17 // 20, "nobody is blocked by mistake"

    play(story, kind=kind)


def test_a_hold_that_was_set_in_doubt_is_set_again(kind):
    """The store had counted what was held for it, which its answer did not say."""

    async def story(world):
        world.way.state = "silent"
        await world.request(0, DOLLAR // 20)
        await world.idle(10)
        await world.pause(0, 300)
        await world.begin(0, DOLLAR // 10)
        await world.idle(10)
        assert (await world.standing())[1] > DOLLAR // 10
        world.way.state = "open"
        await world.idle(30)
        (slice_,) = world.processes[0].budgets.slices.values()
        assert (await world.standing())[1] == slice_.claim <= DOLLAR * 95 // 100 // 8
        world.processes[0].end_request(0)

    play(story, kind=kind)


def test_a_ledger_whose_answers_are_lost_holds_nothing_for_long(kind, holds):
    """It holds for a day what it has counted already, and nobody was told of either."""

    async def story(world):
        await world.use_up(0)
        world.way.state = world.ledger.state = "silent"
        await world.idle(30)
        world.way.state = "open"
        await world.idle(5)
        world.ledger.state = "open"
        await world.idle(70)
        assert await world.standing() == (world.spent, 0)

    play(story, kind=kind, holds=holds)


def test_an_heir_that_is_killed_leaves_no_hold_of_what_it_delivered(kind):
    """The store had counted it before; and the heir's last write to the ledger comes to nothing."""

    async def story(world):
        world.way.state = "silent"
        await world.request(0, DOLLAR // 20)
        await world.idle(10)
        await world.processes[0].kill()
        world.way.state = "open"

        class Last(Way):
            async def append(self, batch):
                await super().append(batch)
                world.ledger.state = "shut"

        heir = Process(world, world.directories[0])
        with pytest.raises(StoreError):
            await heir.journal.drain(Last(world.store.usage))
        await heir.kill()
        world.ledger.state = "open"
        world.processes[0] = Process(world, world.directories[0])
        await world.idle(10)
        assert await world.standing() == (world.spent, 0)

    play(story, kind=kind, machines=2)


def test_an_heir_holds_for_longer_than_a_day_what_it_cannot_deliver(kind):
    async def story(world):
        world.way.state = "shut"
        await world.use_up(0)
        await world.kill(0)
        for _ in range(30):
            await world.idle(10)
            world.now += 3600
        assert await world.standing() == (0, world.spent)

    play(story, kind=kind)


def test_an_heir_whose_hold_is_not_answered_sets_it_once_more(kind):
    """A question on behalf of a request, which comes in while the dead one's usage is delivered."""

    async def story(world):
        await world.request(0, DOLLAR // 20)
        await world.processes[0].kill()
        reached, go = asyncio.Event(), asyncio.Event()

        class Late(Asked):
            """Answers the first question late, and then not."""

            async def hold(self, *arguments, **options):
                late = not reached.is_set()
                if late:
                    reached.set()
                    await go.wait()
                await self.ledger.hold(*arguments, **options)
                if late:
                    raise StoreError("no answer")

        ledger = Late(world.store.ledger)
        journal = Journal(world.directories[0], ledger, now=lambda: world.now)
        asked = asyncio.create_task(journal.hold_inherited(ACCOUNT))
        await reached.wait()
        await journal.drain(world.way)
        go.set()
        with pytest.raises(StoreError):
            await asked
        await journal.drain(world.way)
        assert await world.standing() == (world.spent, 0)
        await journal.finish(world.way)
        journal.close()
        world.processes[0] = Process(world, world.directories[0])

    play(story, kind=kind)


def test_a_busy_slice_keeps_nothing_that_it_does_not_know_of(kind):
    """The answer to a question for more is lost, and its other holds are renewed all the time."""

    async def story(world):
        await world.begin(0, DOLLAR // 100)
        world.ledger.state = "silent"
        for _ in range(3):
            assert not await world.begin(0, DOLLAR // 5)
            world.now += 2
        world.ledger.state = "open"
        await world.idle(120)
        (slice_,) = world.processes[0].budgets.slices.values()
        assert (await world.standing())[1] == slice_.claim < DOLLAR // 8

    play(story, kind=kind)


def test_nothing_that_is_lent_is_held_for_long(kind):
    """Only what is unpaid outlives the lease of a process that was killed."""

    async def story(world):
        world.way.state = "shut"
        await world.request(0, DOLLAR // 20)
        await world.idle(30)
        await world.request(0, DOLLAR // 20)
        world.way.state = "open"
        await world.processes[0].journal.drain(world.way)
        assert (await world.standing())[1] > 0, "a slice"
        await world.kill(0)
        await world.idle(65)
        assert await world.standing() == (world.spent, 0)

    play(story, kind=kind)


def test_many_accounts_that_are_idle_are_held_for_long():
    async def story(world):
        world.way.state = "shut"
        await world.request(0, DOLLAR // 20)
        budgets = world.processes[0].budgets
        owners = [f"key:other_{number}" for number in range(100)]
        for owner in owners:
            budget = Budget(Account(owner, "total"), DOLLAR, "total", None)
            budgets.settle(await budgets.take([budget], 0), 5)
        await world.idle(15)
        now = int(world.now) + 3600
        for owner in owners:
            (standing,) = await world.store.ledger.standings(owner, now=now)
            assert standing.held_nano == 5

    play(story)


class Counted:
    """Counts the calls of a ledger."""

    state = "open"

    def __init__(self, ledger):
        self.ledger = ledger
        self.calls = Counter()

    def __getattr__(self, name):
        self.calls[name] += 1
        return getattr(self.ledger, name)


def test_usage_that_arrives_in_time_costs_no_further_writes():
    async def story(world):
        world.ledger = Counted(world.store.ledger)
        await world.stop(0)
        for _ in range(20):
            await world.request(0, DOLLAR // 100)
            await world.processes[0].journal.drain(world.way)
            await world.idle(15)
        assert world.ledger.calls == {"borrow": 20, "give_back": 20}

    play(story)


STEPS = st.one_of(
    st.tuples(st.just("begin"), st.integers(0, 1)),
    st.tuples(st.just("begin"), st.integers(0, 1)),
    st.tuples(st.just("end"), st.integers(0, 1)),
    st.tuples(st.just("use_up"), st.integers(0, 1)),
    st.tuples(st.just("way"), st.sampled_from(["open", "shut", "silent"])),
    st.tuples(st.just("ledger"), st.sampled_from(["open", "shut", "silent"])),
    st.tuples(st.just("drain"), st.integers(0, 1)),
    st.tuples(st.just("idle"), st.sampled_from([5, 15, 70])),
    st.tuples(st.just("kill"), st.integers(0, 1)),
    st.tuples(st.just("stop"), st.integers(0, 1)),
)


async def take(world, step, which, draw):
    process = world.processes[which] if isinstance(which, int) and which < 2 else None
    if step == "begin":
        await world.begin(which, world.most)
    elif step == "end" and process.running:
        process.end_request(draw(st.integers(0, world.most)))
    elif step == "use_up":
        await world.use_up(which)
    elif step == "way":
        world.way.state = which
    elif step == "ledger":
        world.ledger.state = which
        if world.lapses():
            await world.idle(TICK)  # who asks before may be lent what is unpaid
    elif step == "drain":
        with contextlib.suppress(StoreError):
            await process.journal.drain(world.way)
    elif step == "idle":
        await world.idle(which)
    elif step == "kill":
        # What a machine has spent is known to nobody else, and held for a minute.
        alone = world.directories[0] != world.directories[1]
        await world.kill(which, away=0.0 if alone else draw(st.sampled_from([0.0, 70.0])))
    elif step == "stop":
        await world.stop(which, away=draw(st.sampled_from([0.0, 65.0])))


def test_who_is_killed_right_after_a_late_delivery_leaves_no_hold_for_a_day(kind, holds):
    async def story(world):
        await world.request(0, DOLLAR // 10)
        world.way.state = "silent"  # the store has it, and the process does not know
        await world.idle(10)
        world.way.state = "open"
        await world.processes[0].journal.drain(world.way)
        await world.kill(0)

    play(story, kind=kind, holds=holds)


def test_what_lapsed_in_an_outage_of_all_is_held_again_when_that_ends(kind, holds):
    """Within a tick: what another process asks for before may be lent twice."""

    async def story(world):
        await world.use_up(1)
        world.way.state = world.ledger.state = "shut"
        await world.idle(70)
        assert (await world.standing())[1] == 0
        world.ledger.state = "open"
        await world.idle(TICK)
        await world.use_up(0)
        assert world.spent <= world.allowed

    play(story, kind=kind, holds=holds)


async def held_for_a_day_though_delivered(world):
    """The store had counted it, which its answer did not say; the ledger cannot be told."""
    await world.request(0, DOLLAR // 10)
    world.way.state = "silent"
    await world.idle(10)
    world.way.state, world.ledger.state = "open", "shut"
    await world.processes[0].journal.drain(world.way)


def test_who_stops_after_a_late_delivery_leaves_no_hold_for_a_day(kind, holds):
    """What it could not set right when it stopped, its heir does."""

    async def story(world):
        await held_for_a_day_though_delivered(world)
        await world.stop(0)

    play(story, kind=kind, holds=holds)


def test_nor_does_who_is_killed_long_after_a_late_delivery(kind, holds):
    async def story(world):
        await held_for_a_day_though_delivered(world)
        await world.idle(300)
        await world.kill(0)

    play(story, kind=kind, holds=holds)


def test_files_of_a_late_delivery_are_gone_once_nothing_is_held_for_it(kind, holds):
    async def story(world):
        await held_for_a_day_though_delivered(world)
        await world.idle(300)
        assert list(world.directories[0].iterdir())
        world.ledger.state = "open"
        await world.idle(5)
        assert not list(world.directories[0].iterdir())

    play(story, kind=kind, holds=holds)


def test_who_stops_gives_its_files_up_only_when_its_holds_are_set(kind, holds):
    """Else a sibling would deliver them first, and the hold would be for nothing."""

    async def story(world):
        await world.request(0, DOLLAR // 10)
        world.way.state = "shut"
        stopping, sibling = world.processes
        await stopping.end_loop()
        await stopping.journal.finish(world.way)
        world.way.state = "open"
        assert await sibling.journal.drain(world.way) == 0
        await stopping.budgets.close()
        stopping.journal.close()
        assert await sibling.journal.drain(world.way) == 1
        assert await world.standing() == (world.spent, 0)
        await world.replace(0, 0.0)

    play(story, kind=kind, holds=holds)


async def any_story(world, data):
    world.most = data.draw(st.integers(DOLLAR // 50, DOLLAR // 4))
    for step, which in data.draw(st.lists(STEPS, min_size=5, max_size=40)):
        await take(world, step, which, data.draw)
    for process in world.processes:
        while process.running:
            process.end_request(world.most)
    assert world.spent <= world.allowed


@settings(max_examples=150, deadline=None)
@given(st.data(), st.booleans(), st.integers(1, 2))
def test_any_story_spends_no_more_than_the_budget(data, holds, machines):
    async def story(world):
        await any_story(world, data)

    play(story, holds=holds, machines=machines)


@settings(max_examples=20, deadline=None)
@given(st.data(), st.booleans(), st.integers(1, 2))
def test_any_story_in_sqlite(data, holds, machines):
    async def story(world):
        await any_story(world, data)

    play(story, kind="sqlite", holds=holds, machines=machines)


@settings(max_examples=25, deadline=None)
@given(
    st.data(),
    st.booleans(),
    st.integers(1, 2),
    st.builds(Random, st.integers(0, 2**32)),
    st.sampled_from([("usage",), ("state",), ("usage", "state")]),
)
def test_any_story_in_a_dynamodb_that_fails_any_call(data, holds, machines, chance, tables):
    """Throttled, unanswered, done twice, in one table or in both; calm again in the end."""

    async def story():
        async with connected("dynalite") as (_, names):
            store = DynamoDBStore(
                lambda: client(server("dynalite"), UnsteadyDynamoDB, chance=chance, tables=()),
                names,
            )
            async with running(store):
                with tempfile.TemporaryDirectory() as name:
                    world = World(store, Path(name), holds=holds, machines=machines)
                    store._tables.client.tables = tables
                    for number in range(10):
                        await world.request(number % 2, DOLLAR // 200)
                        await world.idle(5)
                    await any_story(world, data)
                    store._tables.client.tables = ()
                    await world.end()

    asyncio.run(story())
