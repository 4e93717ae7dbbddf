from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from executors import until
from fake_isolation import FakeIsolation

from anthropic_bedrock_proxy.sandbox.base import (
    BashCell,
    ContainerGoneError,
    Failed,
    FunctionResult,
    PythonCell,
    Ran,
    SandboxUnavailableError,
    Waiting,
)
from anthropic_bedrock_proxy.sandbox.executor.cell_queue import MAX_QUEUE
from anthropic_bedrock_proxy.sandbox.executor.cell_run import CellSeconds
from anthropic_bedrock_proxy.sandbox.executor.container import (
    KEPT_BYTES,
    KEPT_OUTCOMES,
    SandboxContainer,
    SharedParts,
)
from anthropic_bedrock_proxy.sandbox.executor.runner_link import RunnerBounds, start_runner
from anthropic_bedrock_proxy.sandbox.executor.spool import Spool
from anthropic_bedrock_proxy.sandbox.isolation.base import IsolationError


@asynccontextmanager
async def contained(seconds=None):
    isolation, spool = FakeIsolation(), Spool()

    async def start():
        return await start_runner(isolation, b"{}", RunnerBounds())

    container = SandboxContainer(
        "key-1", SharedParts(start, lambda: None, spool, seconds or CellSeconds())
    )
    try:
        yield container, isolation
    finally:
        await container.end()
        spool.close()


def test_cells_run_one_at_a_time_in_order_of_arrival():
    async def main():
        async with contained() as (container, isolation):
            scripts = ["stand\nsay 0", *(f"say {number}" for number in range(1, 6))]
            cells = [
                asyncio.create_task(container.run(f"c{number}", BashCell(script), ()))
                for number, script in enumerate(scripts)
            ]
            await until(lambda: isolation.ran)
            assert isolation.ran == [(1, scripts[0])]
            isolation.gate.set()
            outcomes = await asyncio.gather(*cells)
            assert [outcome.stdout for outcome in outcomes] == [f"{n}\n" for n in range(6)]
            assert [script for _, script in isolation.ran] == scripts

    asyncio.run(main())


def test_who_goes_away_does_not_end_a_cell():
    async def main():
        async with contained() as (container, isolation):
            cell = BashCell("stand\nsay x")
            caller = asyncio.create_task(container.run("c1", cell, ()))
            await until(lambda: isolation.ran)
            caller.cancel()
            await asyncio.gather(caller, return_exceptions=True)
            isolation.gate.set()
            assert await container.run("c1", cell, ()) == Ran("x\n", "", 0)
            assert len(isolation.ran) == 1

    asyncio.run(main())


def test_outcomes_are_kept_by_number_and_a_forgotten_cell_is_not_run_again():
    async def main():
        async with contained() as (container, isolation):
            for number in range(KEPT_OUTCOMES + 1):
                await container.run(f"c{number}", BashCell(f"say {number}"), ())
            forgotten = await container.run("c0", BashCell("say again"), ())
            assert isinstance(forgotten, Failed)
            assert await container.run("c1", BashCell("say again"), ()) == Ran("1\n", "", 0)
            assert len(isolation.ran) == KEPT_OUTCOMES + 1

    asyncio.run(main())


def test_outcomes_are_kept_by_size_too():
    async def main():
        async with contained() as (container, _):
            large = "x" * (KEPT_BYTES // 3)
            for number in range(4):
                await container.run(f"c{number}", BashCell(f"say {large}"), ())
            kept = [await container.run(f"c{n}", BashCell("say again"), ()) for n in range(4)]
            assert [isinstance(outcome, Ran) for outcome in kept] == [False, False, True, True]

    asyncio.run(main())


def test_a_queue_has_an_end():
    async def main():
        async with contained() as (container, isolation):
            cells = [
                asyncio.create_task(container.run(f"c{number}", BashCell("stand"), ()))
                for number in range(MAX_QUEUE)
            ]
            await until(lambda: isolation.ran)
            more = await container.run("one more", BashCell("stand"), ())
            assert more.error_code == "too_many_requests"
            isolation.gate.set()
            await asyncio.gather(*cells)

    asyncio.run(main())


def test_cells_behind_one_that_was_ended_run_in_a_new_runner():
    async def main():
        async with contained(CellSeconds(bash=0.02, grace=0.0)) as (container, isolation):
            first = asyncio.create_task(container.run("c1", BashCell("hang"), ()))
            second = asyncio.create_task(container.run("c2", BashCell("say x"), ()))
            assert (await first).error_code == "execution_time_exceeded"
            assert await second == Ran("x\n", "", 0)
            assert isolation.started == 2
            assert not container.gone

    asyncio.run(main())


def test_a_runner_that_ends_while_its_code_waits_fails_the_cell():
    async def main():
        async with contained() as (container, isolation):
            cell = PythonCell("call f", {"f": "f"})
            waiting = await container.run("c1", cell, ())
            isolation.runners[0].die("out of memory")
            result = FunctionResult(waiting.calls[0].id, "r")
            outcome = await container.resume("c1", [result])
            assert outcome.error_code == "unavailable"
            assert "out of memory" in outcome.message

    asyncio.run(main())


def test_a_cell_that_begins_to_wait_before_one_of_another_conversation_is_abandoned():
    async def main():
        async with contained() as (container, isolation):
            functions = {"f": "f"}
            first = PythonCell("stand\ncall f\nsay end", functions)
            one = asyncio.create_task(container.run("c1", first, ()))
            await until(lambda: isolation.ran)
            other = asyncio.create_task(container.run("c2", BashCell("say x"), (), ["c9"]))
            await until(lambda: container.cells == ["c1", "c2"])
            isolation.gate.set()
            # It would get `Waiting` without a call that anybody could answer.
            assert await other == Ran("x\n", "", 0)
            await one  # with its calls, or its end: both came at once
            ended = await container.run("c1", first, ())
            assert ended.stdout.startswith("Error: the conversation went on")

    asyncio.run(main())


def test_a_cell_waits_behind_one_of_its_own_conversation():
    async def main():
        async with contained() as (container, isolation):
            first = PythonCell("stand\ncall f", {"f": "f"})
            one = asyncio.create_task(container.run("c1", first, (), ["c2"]))
            await until(lambda: isolation.ran)
            two = asyncio.create_task(container.run("c2", BashCell("say x"), (), ["c1"]))
            isolation.gate.set()
            assert await two == Waiting([])
            waiting = await one
            await container.resume("c1", [FunctionResult(waiting.calls[0].id, "r")])
            assert await container.run("c2", BashCell("say x"), (), []) == Ran("x\n", "", 0)

    asyncio.run(main())


def test_a_runner_that_ends_while_its_cell_is_abandoned_keeps_nobody_busy():
    async def main():
        async with contained() as (container, isolation):
            first = PythonCell("stand\ngather f f", {"f": "f"})
            one = asyncio.create_task(container.run("c1", first, ()))
            await until(lambda: isolation.ran)
            two = asyncio.create_task(container.run("c2", BashCell("say x"), ()))
            await until(lambda: container.cells == ["c1", "c2"])
            runner = isolation.runners[0]
            runner.write = _broken
            isolation.gate.set()
            assert await two == Ran("x\n", "", 0)
            await one
            assert isolation.started == 2

    asyncio.run(main())


def test_a_cell_that_comes_twice_while_another_is_abandoned_runs_once():
    async def main():
        async with contained() as (container, isolation):
            await container.run("c1", PythonCell("call f", {"f": "f"}), ())
            cell = BashCell("say x")
            twice = [asyncio.create_task(container.run("c2", cell, ())) for _ in range(2)]
            assert await asyncio.gather(*twice) == [Ran("x\n", "", 0)] * 2
            assert [script for _, script in isolation.ran].count("say x") == 1
            assert container.cells == ["c1", "c2"]

    asyncio.run(main())


def test_a_container_that_is_removed_while_a_cell_of_it_is_abandoned_takes_no_more():
    async def main():
        async with contained() as (container, isolation):
            await container.run("c1", PythonCell("call f", {"f": "f"}), ())
            reached, going_on = asyncio.Event(), asyncio.Event()
            write = isolation.runners[0].write

            async def slow(data):
                reached.set()
                await going_on.wait()
                await write(data)

            isolation.runners[0].write = slow
            running = asyncio.create_task(container.run("c2", BashCell("say x"), ()))
            await reached.wait()
            await container.end()
            going_on.set()
            with pytest.raises(ContainerGoneError):
                await running
            assert not container.busy
            assert isolation.started == 1

    asyncio.run(main())


def test_a_file_that_is_too_large_costs_python_that_file_and_bash_the_cell():
    async def main():
        async with contained() as (container, _):
            script = "say x\nleave a 1\nleave-large b"
            ran = await container.run("c1", PythonCell(script), ())
            assert (ran.stdout, [file.name for file in ran.files]) == ("x\n", ["a"])
            assert ran.stderr == "b was left out: too large\n"
            failed = await container.run("c2", BashCell(script), ())
            assert failed.error_code == "output_file_too_large"

    asyncio.run(main())


def test_a_fault_of_our_own_is_told_by_its_kind_alone(caplog):
    async def main():
        async with contained() as (container, isolation):

            async def fails(_):
                raise KeyError("what a cell wrote")

            await container.run("c1", BashCell("say x"), ())
            isolation.runners[0].write = fails
            with pytest.raises(SandboxUnavailableError):
                await container.run("c2", BashCell("say x"), ())

    asyncio.run(main())
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert (record.error, record.exc_info) == ("KeyError", None)


async def _broken(_):
    raise IsolationError("broken pipe")
