"""A cell on its way through a runner that does not keep to what was agreed."""

from __future__ import annotations

import ast
import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from clocks import run_ahead
from executors import until
from fake_isolation import FakeIsolation

from anthropic_bedrock_proxy.sandbox import runner
from anthropic_bedrock_proxy.sandbox.base import (
    BashCell,
    EditCell,
    Failed,
    FunctionResult,
    PythonCell,
    Ran,
)
from anthropic_bedrock_proxy.sandbox.executor.cell_run import (
    _ERROR_CODES,
    MAX_LAPSES,
    CellRun,
    CellSeconds,
)
from anthropic_bedrock_proxy.sandbox.executor.frames import MAX_LINE_BYTES
from anthropic_bedrock_proxy.sandbox.executor.runner_link import (
    RunnerBounds,
    RunnerEndedError,
    start_runner,
)

LONG = CellSeconds()


def seconds(**given):
    return CellSeconds(**{"python": 0.05, "call": 60.0, "grace": 0.0, "wait_grace": 0.0, **given})


@asynccontextmanager
async def running(cell, limits=LONG):
    """A cell that runs: (itself, its task, the isolation)."""
    isolation = FakeIsolation()
    link = await start_runner(isolation, b"{}", RunnerBounds())
    run = CellRun(link, cell, limits, lambda: None)
    task = asyncio.create_task(run.run())
    try:
        yield run, task, isolation
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await link.end("over")


def test_code_that_does_not_end_is_ended_with_its_sandbox():
    async def main():
        async with running(PythonCell("hang"), seconds()) as (_, task, isolation):
            outcome, _ = await task
            assert isinstance(outcome, Failed)
            assert outcome.error_code == "execution_time_exceeded"
            assert isolation.runners == []

    asyncio.run(main())


def test_the_clock_of_code_stands_still_while_it_waits():
    async def main(loop):
        limits = seconds(python=5.0)
        cell = PythonCell("call f\nsay done", {"f": "f"})
        async with running(cell, limits) as (run, task, _):
            await until(lambda: run.calls)
            await loop.pass_time(50.0)  # of the client's
            assert not task.done()
            await run.answer([FunctionResult(run.calls[0].id, "r")])
            outcome, _ = await task
            assert outcome == Ran("r\ndone\n", "", 0)

    run_ahead(main)


def test_and_goes_on_once_all_is_answered():
    async def main():
        cell = PythonCell("gather f f\nhang", {"f": "f"})
        async with running(cell, seconds()) as (run, task, _):
            await until(lambda: run.calls)
            for call in run.calls:
                await run.answer([FunctionResult(call.id, "r")])
            outcome, _ = await task
            assert outcome.error_code == "execution_time_exceeded"

    asyncio.run(main())


def test_a_cell_that_waits_for_too_long_is_ended():
    async def main():
        cell = PythonCell("call f", {"f": "f"})
        async with running(cell, seconds(call=0.02)) as (_, task, _):
            outcome, _ = await task
            assert outcome.error_code == "execution_time_exceeded"

    asyncio.run(main())


def test_a_call_that_the_runner_has_given_up_is_no_call_any_more():
    async def main(loop):
        cell = PythonCell("give up slow\nstand\ncall fast", {"slow": "slow", "fast": "fast"})
        async with running(cell, seconds(python=60.0, call=60.0)) as (run, task, isolation):
            await until(lambda: run.calls)
            (slow,) = run.calls
            await loop.pass_time(60.0)  # until it must have been given up
            isolation.gate.set()
            await until(lambda: [call.name for call in run.calls] == ["fast"])
            await run.answer([FunctionResult(slow.id, "late"), FunctionResult("toolu_x", "?")])
            await run.answer([FunctionResult(run.calls[0].id, "in time")])
            outcome, _ = await task
            assert outcome.stdout == "in time\n"

    run_ahead(main)


def test_code_that_calls_on_and_on_is_abandoned_when_nobody_answers():
    async def main(loop):
        script = "".join("give up f\nstand\n" for _ in range(MAX_LAPSES + 1)) + "call f\nhang"
        limits = seconds(python=0.2, call=60.0)
        async with running(PythonCell(script, {"f": "f"}), limits) as (run, task, isolation):
            known = []
            for _ in range(MAX_LAPSES + 1):
                await until(lambda: [call.id for call in run.calls] != known)  # noqa: B023  # at once
                known = [call.id for call in run.calls]
                if known:
                    await loop.pass_time(60.0)  # until it must have been given up
                isolation.gate.set()  # for the step that stands at it
                isolation.gate.clear()
            outcome, _ = await task
            assert outcome.error_code == "execution_time_exceeded"
            assert isolation.results[-1]["text"].startswith("Error: the conversation went on")

    run_ahead(main)


def test_functions_that_the_cell_was_not_given_are_answered_here():
    async def main():
        cell = PythonCell("gather rm known\ncall rm", {"known": "tool"})
        async with running(cell) as (run, task, _):
            await until(lambda: run.calls)
            (call,) = run.calls
            assert call.name == "tool"
            await run.answer([FunctionResult(call.id, "r")])
            outcome, _ = await task
            error = "Error: there is no function of this name.\n"
            assert outcome.stdout == f"{error}r\n{error}"

    asyncio.run(main())


@pytest.mark.parametrize("cell", [BashCell("call f"), PythonCell('junk {"type":"stored","id":1}')])
def test_what_does_not_belong_to_the_cell_ends_the_sandbox(cell):
    async def main():
        async with running(cell) as (_, task, isolation):
            with pytest.raises(RunnerEndedError, match="broke the protocol"):
                await task
            assert isolation.runners == []

    asyncio.run(main())


def test_the_end_of_another_kind_of_cell_ends_the_sandbox():
    async def main():
        forged = 'junk {"type":"edited","id":1,"kind":"view","result":{}}\nhang'
        async with running(PythonCell(forged)) as (_, task, _):
            with pytest.raises(RunnerEndedError, match="no end of this cell"):
                await task

    asyncio.run(main())


def test_error_codes_are_ours():
    async def main():
        for code, ours in (("evil", "unavailable"), ("file_not_found", "file_not_found")):
            line = f'{{"type":"failed","id":1,"error_code":"{code}","message":"m"}}'
            async with running(BashCell(f"junk {line}\nhang")) as (_, task, _):
                assert (await task)[0] == Failed(ours, "m")

    asyncio.run(main())


def test_a_result_that_is_too_large_becomes_an_error_of_the_call():
    async def main():
        async with running(PythonCell("call f", {"f": "f"})) as (run, task, _):
            await until(lambda: run.calls)
            await run.answer([FunctionResult(run.calls[0].id, "x" * MAX_LINE_BYTES)])
            outcome, _ = await task
            assert outcome.stdout.startswith("Error: the result cannot be passed on")

    asyncio.run(main())


def test_code_that_cannot_be_sent_is_invalid():
    async def main():
        async with running(EditCell({"file_text": "\ud800"})) as (_, task, isolation):
            outcome, _ = await task
            assert outcome.error_code == "invalid_tool_input"
            assert len(isolation.runners) == 1

    asyncio.run(main())


@pytest.mark.parametrize("given", [{"command": "view"}, {"command": "create", "more": {"x": 1}}])
def test_a_result_of_the_editor_in_another_form_ends_the_sandbox(given):
    async def main():
        async with running(EditCell(given)) as (_, task, isolation):
            with pytest.raises(RunnerEndedError, match="no end of this cell"):
                await task
            assert isolation.runners == []

    asyncio.run(main())


def test_every_error_code_of_the_runner_is_known():
    first = {"TransferError": 0, "EditError": 0, "failed": 0, "_fail": 1}  # where the code stands
    codes = set()
    for source in Path(runner.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                given = node.args[first[name] :][:1] if name in first else []
                codes |= {one.value for one in given if isinstance(one, ast.Constant)}
    assert {"unavailable", "output_file_too_large", "execution_time_exceeded"} < codes
    assert codes <= _ERROR_CODES
