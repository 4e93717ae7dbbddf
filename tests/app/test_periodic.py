"""Work that is due again and again: when, by whom, and what its failure means."""

from __future__ import annotations

import asyncio
import logging

import pytest

from anthropic_bedrock_proxy.app.fetched import SyncError
from anthropic_bedrock_proxy.app.periodic import MachineTurn, PeriodicWork
from anthropic_bedrock_proxy.errors import UnavailableError
from anthropic_bedrock_proxy.store.base.errors import StoreError

INTERVAL = 3600.0
START = 1_000_000.0


class World:
    """A clock that sleeping moves on, a store that remembers, and processes that share a folder."""

    def __init__(self, folder, *, done_at=0.0, fails_with=None):
        self.at = START
        self.until = START + 10 * INTERVAL
        self.folder = folder
        self.done_at = done_at
        self.fails_with = fails_with
        self.tried = []
        self.asleep = []

    async def sleep(self, seconds):
        woken = asyncio.get_running_loop().create_future()
        self.asleep.append((self.at + seconds, woken))
        await woken

    async def last_done(self):
        if isinstance(self.done_at, Exception):
            raise self.done_at
        return self.done_at

    async def work(self):
        self.tried.append(self.at)
        if self.fails_with is not None:
            raise self.fails_with
        self.done_at = self.at
        return "done"

    def process(self, *, jitter=0.0, shared=True):
        return PeriodicWork(
            "the work",
            self.work,
            last_done=self.last_done,
            turn=MachineTurn(self.folder / "turn" if shared else None),
            interval_seconds=INTERVAL,
            longest_seconds=60,
            now=lambda: self.at,
            sleep=self.sleep,
            spread=lambda most: min(jitter, most),
        )

    def run(self, *processes):
        """Lets processes run: time goes on when all of them sleep."""

        async def main():
            tasks = [asyncio.create_task(process.run()) for process in processes]
            while True:
                while len(self.asleep) < len(processes):
                    await asyncio.sleep(0)
                at, woken = next_one = min(self.asleep, key=lambda one: one[0])
                if at > self.until:
                    break
                self.asleep.remove(next_one)
                self.at = max(self.at, at)
                woken.set_result(None)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(main())


def test_the_first_time_it_is_due_at_once_and_then_once_in_an_interval(tmp_path):
    world = World(tmp_path)
    world.run(world.process())
    assert world.tried == [START + n * INTERVAL for n in range(11)]


def test_what_was_done_elsewhere_is_not_done_again(tmp_path):
    world = World(tmp_path, done_at=START - INTERVAL / 4)
    world.until = START + INTERVAL
    world.run(world.process())
    assert world.tried == [START + INTERVAL * 3 / 4]


def test_jitter_comes_on_top(tmp_path):
    world = World(tmp_path)
    world.until = START + 2 * INTERVAL
    world.run(world.process(jitter=1000))
    assert world.tried == [START + 60, START + 60 + INTERVAL + 60], "a minute at most"


def test_of_many_processes_one_does_it(tmp_path):
    world = World(tmp_path)
    world.until = START + INTERVAL / 2
    world.run(*(world.process() for _ in range(8)))
    assert world.tried == [START]


@pytest.mark.parametrize(
    "error", [SyncError("no such list"), UnavailableError("no store"), StoreError("down")]
)
def test_a_failure_is_told_and_tried_again_after_an_interval_by_one(tmp_path, caplog, error):
    world = World(tmp_path, fails_with=error)
    world.until = START + INTERVAL * 1.5
    with caplog.at_level(logging.WARNING):
        world.run(*(world.process() for _ in range(3)))
    assert len(world.tried) == 2
    assert world.tried[1] >= START + INTERVAL
    assert str(error) in caplog.text
    assert "changed nothing" in caplog.text


def test_one_that_takes_too_long_is_ended(tmp_path, caplog):
    class Endless(World):
        async def work(self):
            self.tried.append(self.at)
            raise TimeoutError

    world = Endless(tmp_path)
    world.until = START + INTERVAL / 2
    world.run(world.process())
    assert world.tried == [START]
    assert "longer than 60 s" in caplog.text


def test_while_the_store_is_down_the_turn_of_the_machine_counts(tmp_path, caplog):
    world = World(tmp_path, done_at=StoreError("down"), fails_with=StoreError("down"))
    world.until = START + INTERVAL * 1.5
    world.run(world.process())
    assert world.tried == [START, START + INTERVAL]
    assert "is not known: down" in caplog.text


def test_a_moment_that_is_still_to_come_counts_for_nothing(tmp_path):
    (tmp_path / "turn").write_text(repr(START + 99 * INTERVAL))
    world = World(tmp_path, done_at=START + 99 * INTERVAL)
    world.until = START + INTERVAL / 2
    world.run(world.process())
    assert world.tried == [START]


@pytest.mark.parametrize("broken", ["", "yesterday", "nan"])
def test_a_broken_turn_is_as_none(tmp_path, broken):
    (tmp_path / "turn").write_text(broken)
    turn = MachineTurn(tmp_path / "turn")
    assert turn.take(START, after=START - 1)
    assert turn.last() == START
    assert not turn.take(START, after=START - 1)


def test_where_no_file_can_be_written_a_process_stands_for_itself(tmp_path, caplog):
    turn = MachineTurn(tmp_path / "gone" / "turn")
    assert turn.take(START, after=START - 1)
    assert "every process syncs" in caplog.text
    assert not turn.take(START, after=START - 1)
    alone = MachineTurn(None)
    assert alone.last() == 0
    assert alone.take(START, after=0)
    assert alone.last() == START
