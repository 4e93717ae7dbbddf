from __future__ import annotations

import asyncio
import base64

import pytest
from executors import until
from fake_isolation import FakeIsolation

from anthropic_bedrock_proxy.sandbox.executor.frames import DoneFrame, RunBashFrame
from anthropic_bedrock_proxy.sandbox.executor.runner_link import (
    _READ_AHEAD_BYTES,
    RunnerBounds,
    RunnerEndedError,
    start_runner,
)
from anthropic_bedrock_proxy.sandbox.isolation.base import IsolationError

QUICK = RunnerBounds(start_seconds=0.05)


async def started(isolation):
    return await start_runner(isolation, b"{}", RunnerBounds(max_output=7, max_file=8))


def bash(number, script):
    return RunBashFrame(number, script, restart=False, seconds=30)


def test_a_runner_is_told_its_bounds_first():
    async def main():
        isolation = FakeIsolation()
        link = await started(isolation)
        (runner,) = isolation.runners
        assert runner.received == [
            {"type": "start", "workspace": "/workspace", "max_output": 7, "max_file": 8}
        ]
        await link.end("over")
        assert isolation.runners == []

    asyncio.run(main())


def test_one_that_never_answers_does_not_start_and_is_removed():
    async def main():
        isolation = FakeIsolation()
        isolation.mute = True
        with pytest.raises(IsolationError, match="did not answer in time"):
            await start_runner(isolation, b"{}", QUICK)
        assert isolation.runners == []

    asyncio.run(main())


def test_one_whose_start_is_given_up_is_removed():
    async def main():
        isolation = FakeIsolation()
        isolation.mute = True
        starting = asyncio.create_task(started(isolation))
        await until(lambda: isolation.runners)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        assert isolation.runners == []

    asyncio.run(main())


def test_work_has_a_number_and_an_end():
    async def main():
        link = await started(FakeIsolation())
        for number in (1, 2):
            assert link.begin() == number
            await link.send(bash(number, "say x"))
            frame = await link.receive(5)
            assert isinstance(frame, DoneFrame)
            assert (frame.id, frame.stdout) == (number, "x\n")
            link.finish()
        await link.end("over")

    asyncio.run(main())


@pytest.mark.parametrize(
    "junk",
    [
        'junk {"type":"stored","id":99}',
        'junk {"type":"ready","python":"","hardened":true}',
        "junk no json",
        'junk {"type":"run"}',
    ],
)
def test_a_line_that_belongs_to_nothing_ends_it(junk):
    async def main():
        isolation = FakeIsolation()
        link = await started(isolation)
        await link.send(bash(link.begin(), f"{junk}\nhang"))
        with pytest.raises(RunnerEndedError, match="broke the protocol"):
            await link.receive(5)
        await until(lambda: not isolation.runners)
        with pytest.raises(RunnerEndedError):
            await link.send(bash(link.begin(), "say x"))

    asyncio.run(main())


def test_a_line_after_the_end_of_the_work_ends_it():
    async def main():
        isolation = FakeIsolation()
        link = await started(isolation)
        number = link.begin()
        await link.send(bash(number, "say x"))
        await link.receive(5)
        link.finish()
        isolation.runners[0].tell(type="stored", id=number)
        await until(lambda: link.ended)
        assert "nobody asked" in link.ended

    asyncio.run(main())


def test_what_nobody_takes_is_not_read():
    async def main():
        isolation = FakeIsolation()
        link = await started(isolation)
        number = link.begin()
        runner = isolation.runners[0]
        for _ in range(100):
            runner.tell(type="stored", id=number)
        for _ in range(1000):  # turns of the loop, of which one line takes a few
            await asyncio.sleep(0)
        assert runner._out.qsize() > 80
        for _ in range(100):
            await link.receive(5)
        await link.end("over")

    asyncio.run(main())


def test_large_lines_are_read_ahead_by_their_bytes():
    async def main():
        isolation = FakeIsolation()
        link = await started(isolation)
        number = link.begin()
        runner = isolation.runners[0]
        data = base64.b64encode(bytes(_READ_AHEAD_BYTES // 3)).decode()  # of two lines, no third
        for _ in range(5):
            runner.tell(type="data", id=number, data=data, last=False)
        await until(lambda: runner._out.qsize() <= 2)
        await asyncio.sleep(0.01)
        assert runner._out.qsize() == 2  # two are taken, and one waits for room
        for _ in range(5):
            assert len((await link.receive(5)).data) == _READ_AHEAD_BYTES // 3
        await link.end("over")

    asyncio.run(main())


def test_its_end_is_told_with_the_reason():
    async def main():
        isolation = FakeIsolation()
        link = await started(isolation)
        told = asyncio.Event()
        link.on_ended = told.set
        isolation.runners[0].die("out of memory")
        async with asyncio.timeout(5):
            await told.wait()
        assert link.ended == "out of memory"
        with pytest.raises(RunnerEndedError, match="out of memory"):
            await link.receive(5)

    asyncio.run(main())


def test_a_fault_of_a_library_is_told_by_its_kind_alone(caplog):
    async def main():
        isolation = FakeIsolation()
        link = await started(isolation)

        async def fails():
            raise KeyError("what a cell wrote")

        isolation.runners[0].read = fails
        isolation.runners[0].tell(type="stored", id=link.begin())  # the read before
        await until(lambda: link.ended)

    asyncio.run(main())
    (record,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert (record.error, record.exc_info) == ("KeyError", None)
