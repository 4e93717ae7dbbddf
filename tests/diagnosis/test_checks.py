"""Checks run at once, and none keeps the others from being told."""

from __future__ import annotations

import asyncio
import threading

import pytest

from anthropic_bedrock_proxy.diagnosis.checks import (
    Check,
    CheckResult,
    DaemonThreads,
    ok,
    run_checks,
    worst,
)

FINE = ok("well")


async def fine():
    return [FINE]


async def hangs():
    await asyncio.Event().wait()


async def fails():
    raise KeyError("arn:aws:iam::123456789012:role/x")


def test_one_that_hangs_or_fails_is_a_line_of_its_own():
    checks = [Check("hangs", hangs, 0.01), Check("fails", fails), Check("fine", fine)]
    lines = asyncio.run(run_checks(checks))
    assert [(line.name, line.state) for line in lines] == [
        ("hangs", "fail"),
        ("fails", "fail"),
        ("fine", "ok"),
    ]
    assert lines[0].found == "no answer in 0.01 s"
    assert "KeyError" in lines[1].found
    assert "123456789012" not in lines[1].found


def test_all_run_at_once():
    barrier = asyncio.Barrier(2)

    async def meets():
        await barrier.wait()
        return [FINE]

    lines = asyncio.run(run_checks([Check("a", meets, 5.0), Check("b", meets, 5.0)]))
    assert [line.state for line in lines] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("states", "expected"),
    [(["ok"], "ok"), (["ok", "warn"], "warn"), (["warn", "fail", "ok"], "fail")],
)
def test_the_worst_line_is_the_state_of_all(states, expected):
    assert worst([CheckResult(state=state, found="") for state in states]) == expected


def test_nobody_waits_for_a_thread_that_hangs():
    free = threading.Event()

    async def story():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(DaemonThreads())
        assert await asyncio.to_thread(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.to_thread(free.wait, 60)

    asyncio.run(story())  # ends before the thread does
    assert not free.is_set()
    free.set()
