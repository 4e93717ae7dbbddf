from __future__ import annotations

import asyncio

import pytest
from executors import until
from fake_isolation import FakeIsolation

from anthropic_bedrock_proxy.sandbox.executor.pool import WarmRunners
from anthropic_bedrock_proxy.sandbox.executor.runner_link import RunnerBounds, start_runner
from anthropic_bedrock_proxy.sandbox.isolation.base import IsolationError


class Story:
    """A pool over the fake isolation; its pauses last until the test says so."""

    def __init__(self, keep=2):
        self.isolation = FakeIsolation()
        self.pauses = []
        self.go_on = asyncio.Event()
        self.pool = WarmRunners(self._start, keep, sleep=self._sleep)

    async def _start(self):
        return await start_runner(self.isolation, b"{}", RunnerBounds())

    async def _sleep(self, seconds):
        self.pauses.append(seconds)
        await self.go_on.wait()
        self.go_on.clear()


def story(tell, keep=2):
    async def main():
        told = Story(keep)
        try:
            await tell(told, told.pool)
        finally:
            await told.pool.close()

    asyncio.run(main())


def test_runners_wait_and_are_replaced_once_they_are_taken():
    async def tell(told, pool):
        pool.open()
        await until(lambda: pool.warm == 2)
        link = await pool.take()
        assert not link.ended
        await until(lambda: pool.warm == 2)
        assert told.isolation.started == 3
        await pool.close()
        assert len(told.isolation.runners) == 1  # the one that was taken
        await link.end("over")

    story(tell)


def test_one_that_ends_by_itself_is_replaced():
    async def tell(told, pool):
        pool.open()
        await until(lambda: pool.warm == 2)
        told.isolation.runners[0].die("")
        await until(lambda: told.isolation.started == 3 and pool.warm == 2)
        assert all(not link.ended for link in pool._warm)

    story(tell)


def test_without_any_that_waits_one_is_started():
    async def tell(_, pool):
        link = await pool.take()
        assert not link.ended
        await link.end("over")

    story(tell, keep=0)


def test_after_failures_it_pauses_for_longer_and_who_needs_one_is_told_why():
    async def tell(told, pool):
        told.isolation.refuses = "no daemon"
        pool.open()
        for count in range(1, 9):
            await until(lambda count=count: len(told.pauses) == count)
            told.go_on.set()
        assert told.pauses == [1, 2, 4, 8, 16, 32, 60, 60]
        with pytest.raises(IsolationError, match="no daemon"):
            await pool.take()
        told.isolation.refuses = ""
        told.go_on.set()
        await until(lambda: pool.warm == 2)

    story(tell)
