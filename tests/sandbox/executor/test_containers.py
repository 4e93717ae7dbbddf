"""All containers: any order of what clients may do breaks no promise."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from clocks import Clock
from executors import until
from fake_isolation import FakeIsolation
from hypothesis import given, settings
from hypothesis import strategies as st

from anthropic_bedrock_proxy.sandbox.base import (
    CellAddress,
    ContainerGoneError,
    Failed,
    FunctionResult,
    PythonCell,
    Ran,
    SandboxUnavailableError,
    Waiting,
)
from anthropic_bedrock_proxy.sandbox.executor.cell_run import CellSeconds
from anthropic_bedrock_proxy.sandbox.executor.container import SharedParts
from anthropic_bedrock_proxy.sandbox.executor.containers import ContainerBounds, Containers
from anthropic_bedrock_proxy.sandbox.executor.runner_link import RunnerBounds, start_runner
from anthropic_bedrock_proxy.sandbox.executor.spool import Spool

BOUNDS = ContainerBounds(total=3, per_owner=2, idle_seconds=100)
WAIT = PythonCell("call f", {"f": "f"})


class Story:
    def __init__(self):
        self.clock = Clock(1000.0)
        self.isolation = FakeIsolation()
        self.spool = Spool()
        tools = SharedParts(self._start, lambda: None, self.spool, CellSeconds())
        self.containers = Containers(tools, BOUNDS, now=self.clock)

    async def _start(self):
        return await start_runner(self.isolation, b"{}", RunnerBounds())

    async def run(self, container, owner, cell="c1", code=None, *, create=True):
        at = CellAddress(container, owner, cell)
        return await self.containers.run(at, code or PythonCell("say x"), create=create)

    async def resume(self, container, owner, cell, outcome):
        results = [FunctionResult(call.id, "r") for call in outcome.calls]
        return await self.containers.resume(CellAddress(container, owner, cell), results)


@asynccontextmanager
async def story():
    told = Story()
    try:
        yield told
    finally:
        await told.containers.close()
        told.spool.close()
        assert told.isolation.runners == []


def test_a_container_expires_once_it_is_idle_and_only_then():
    async def main():
        async with story() as told:
            reply = await told.run("a", "o", code=WAIT)
            assert reply.expires_at == 1000 + 270
            told.clock.now += 1000
            told.containers.sweep()
            reply = await told.resume("a", "o", "c1", reply.outcome)
            assert reply.expires_at == 2000 + 100
            told.clock.now += 99
            assert told.containers.look("a", "o").expires_at == 2099 + 100
            told.clock.now += 100
            with pytest.raises(ContainerGoneError):
                told.containers.look("a", "o")
            await until(lambda: not told.isolation.runners)

    asyncio.run(main())


def test_where_an_owner_has_as_many_as_it_may_the_longest_idle_goes():
    async def main():
        async with story() as told:
            for name in ("a", "b", "a", "c"):
                told.clock.now += 1
                await told.run(name, "o", f"c{told.clock.now}")
            told.containers.look("a", "o")
            with pytest.raises(ContainerGoneError):
                told.containers.look("b", "o")

    asyncio.run(main())


def test_where_none_is_idle_the_cell_fails_and_nothing_is_kept_of_it():
    async def main():
        async with story() as told:
            waiting = [await told.run(name, "o", code=WAIT) for name in ("a", "b")]
            refused = await told.run("c", "o")
            assert isinstance(refused.outcome, Failed)
            assert refused.outcome.error_code == "too_many_requests"
            other = await told.run("d", "p", code=WAIT)
            assert isinstance(other.outcome, Waiting)
            assert (await told.run("e", "q")).outcome.error_code == "too_many_requests"
            await told.resume("a", "o", "c1", waiting[0].outcome)
            assert (await told.run("c", "o")).outcome == Ran("x\n", "", 0)

    asyncio.run(main())


def test_two_that_make_one_container_at_once_get_one():
    async def main():
        async with story() as told:
            for name in ("x", "y"):
                await told.run(name, "o")
            replies = await asyncio.gather(*(told.run("a", "o", "c1") for _ in range(3)))
            assert {reply.outcome.stdout for reply in replies} == {"x\n"}
            assert len(told.isolation.ran) == 3

    asyncio.run(main())


def test_a_container_whose_runner_ended_between_cells_is_gone():
    async def main():
        async with story() as told:
            await told.run("a", "o")
            told.isolation.runners[0].die("killed")
            await until(lambda: not told.isolation.runners)
            with pytest.raises(ContainerGoneError):
                await told.run("a", "o", "c2", create=False)

    asyncio.run(main())


def test_who_waits_for_a_cell_is_told_when_its_container_is_removed():
    async def main():
        async with story() as told:
            running = asyncio.create_task(told.run("a", "o", code=PythonCell("hang")))
            await until(lambda: told.isolation.ran)
            await told.containers.remove("a", "o")
            with pytest.raises(ContainerGoneError):
                await running
            running = asyncio.create_task(told.run("b", "o", code=PythonCell("hang")))
            await until(lambda: len(told.isolation.ran) > 1)
            await told.containers.close()
            with pytest.raises(SandboxUnavailableError):
                await running
            with pytest.raises(SandboxUnavailableError):
                await told.run("c", "o")

    asyncio.run(main())


def test_counts_tell_who_runs_and_who_waits():
    async def main():
        async with story() as told:
            await told.run("a", "o", code=WAIT)
            running = asyncio.create_task(told.run("b", "o", code=PythonCell("stand")))
            await told.run("c", "p")
            await until(lambda: len(told.isolation.ran) == 3)
            counts = told.containers.counts()
            assert (counts.containers, counts.running, counts.waiting) == (3, 1, 1)
            told.isolation.gate.set()
            await running

    asyncio.run(main())


OWNERS, NAMES, CELLS = ("o", "p"), ("a", "b", "c", "d"), ("c1", "c2")
ADDRESS = st.tuples(st.sampled_from(NAMES), st.sampled_from(OWNERS), st.sampled_from(CELLS))
CREATE = st.sampled_from([True, True, True, False])
RUN = st.tuples(st.just("run"), ADDRESS, st.sampled_from(["say", "call", "die"]), CREATE)
STEP = st.one_of(  # hypothesis chooses evenly: most steps run cells
    RUN,
    RUN,
    RUN,
    RUN,
    st.tuples(st.just("resume"), ADDRESS),
    st.tuples(st.just("remove"), ADDRESS),
    st.tuples(st.just("kill"), st.integers(0, 3)),
    st.tuples(st.just("pass"), st.sampled_from([10, 60, 200])),
)


class Model:
    """What was promised to whom: checks each step's outcome."""

    def __init__(self, told):
        self.told = told
        self.codes = {}  # addresses of cells, by what only their own code prints
        self.calls = {}  # the ids of calls that wait, by container and cell

    async def step(self, step):
        match step:
            case ("run", address, kind, create):
                await self.run(address, kind, create=create)
            case ("resume", (name, owner, cell)):
                results = [FunctionResult(call, "r") for call in self.calls.get((name, cell), [])]
                at = CellAddress(name, owner, cell)
                await self.gone_or(self.told.containers.resume(at, results))
            case ("remove", (name, owner, _)):
                await self.gone_or(self.told.containers.remove(name, owner))
            case ("kill", number):
                runners = self.told.isolation.runners
                if number < len(runners):
                    runners[number].die("killed")
            case ("pass", seconds):
                self.told.clock.now += seconds
                self.told.containers.sweep()

    async def run(self, address, kind, *, create):
        name, owner, cell = address
        mark = f"{owner}-{len(self.codes)}"
        self.codes[mark] = address
        script = {"say": f"say {mark}", "call": f"call f\nsay {mark}", "die": f"die {mark}"}[kind]
        code = PythonCell(script, {"f": "f"})
        reply = await self.gone_or(self.told.run(name, owner, cell, code, create=create))
        if reply is None:
            return
        match reply.outcome:
            case Ran(stdout):
                printed = stdout.split()[-1]
                assert self.codes[printed] == address, "an outcome of another cell"
            case Waiting(calls):
                self.calls[name, cell] = [call.id for call in calls]

    async def gone_or(self, work):
        try:
            async with asyncio.timeout(20):
                return await work
        except ContainerGoneError:
            return None

    def check(self):
        containers = self.told.containers._by_id
        assert len(containers) <= BOUNDS.total
        owners = Counter(container.owner for container in containers.values())
        assert max(owners.values(), default=0) <= BOUNDS.per_owner
        ran = Counter(
            (runner, self.codes[script.split()[-1]]) for runner, script in self.told.isolation.ran
        )
        assert max(ran.values(), default=0) <= 1, "a cell ran twice"


@settings(max_examples=300)
@given(st.lists(STEP, min_size=8, max_size=30))
def test_no_order_of_steps_runs_a_cell_twice_shows_it_to_others_or_goes_beyond_limits(steps):
    async def main():
        async with story() as told:
            model = Model(told)
            for step in steps:
                await model.step(step)
                model.check()
        assert told.isolation.runners == []

    asyncio.run(main())


@settings(max_examples=60)
@given(st.lists(STEP.filter(lambda step: step[0] != "pass"), min_size=6, max_size=16))
def test_nor_do_steps_at_the_same_time(steps):
    async def main():
        async with story() as told:
            model = Model(told)
            await asyncio.gather(*map(model.step, steps))
            model.check()

    asyncio.run(main())
