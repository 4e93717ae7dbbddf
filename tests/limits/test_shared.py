"""What is particular to the file: several processes, their deaths, and files that do not fit."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import random
import signal
import stat
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from clocks import Clock
from draws import Take, draw, settle
from hypothesis import given, settings
from hypothesis import strategies as st

from anthropic_bedrock_proxy.limits import table as tables
from anthropic_bedrock_proxy.limits.base import Bucket, Slot
from anthropic_bedrock_proxy.limits.shared import SharedLimiter
from anthropic_bedrock_proxy.limits.table import Table

SLOW = 50_000.0  # seconds to refill: nothing comes back while a test runs


@pytest.fixture
def clock():
    return Clock(1_800_000_000.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "limits"


@pytest.fixture
def make(path, clock):
    """`make()`: another limiter on the same file, as another process would have it."""
    made = []

    def another(**options) -> SharedLimiter:
        made.append(SharedLimiter(path, **{"now": clock} | options))
        return made[-1]

    yield another
    for limiter in made:
        asyncio.run(limiter.close())


def take(limiter, cost=1, limit=10, slots=(), name="b", seconds=SLOW):
    return asyncio.run(draw(limiter, [Take(Bucket(name, limit, seconds), cost)], slots))


def left(limiter, **bucket) -> int:
    return take(limiter, 0, **bucket).levels[0].remaining


@contextmanager
def child(work):
    """A forked process that runs `work(ready)` and then waits to be killed.

    Entered when it has called `ready()`.
    """
    readable, writable = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            work(lambda: os.write(writable, b"r"))
            signal.pause()
        finally:
            os._exit(1)
    os.close(writable)
    try:
        assert os.read(readable, 1) == b"r", "the child died"
        yield pid
    finally:
        os.close(readable)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def in_children(count, work) -> list[int]:
    """What `work(index)` returns in each of so many processes at once."""
    results, pids = [], []
    for index in range(count):
        readable, writable = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                os.write(writable, b"%d" % work(index))
            finally:
                os._exit(0)
        os.close(writable)
        pids.append((pid, readable))
    for pid, readable in pids:
        results.append(int(os.read(readable, 99)))
        os.close(readable)
        os.waitpid(pid, 0)
    return results


def test_limiters_of_one_path_count_together(make):
    one, other = make(), make()
    assert take(one, 4).allowed
    assert left(other) == 6
    settle(other, take(other, 0), [Take(Bucket("b", 10, SLOW), -2)])
    assert left(one) == 8


def test_what_is_settled_reaches_the_others_within_a_moment(make):
    async def run():
        one, other = make(), make()
        bucket = Bucket("b", 10, SLOW)
        decision = await draw(one, [Take(bucket, 5)])
        settle(one, decision, [Take(bucket, -2)])
        settle(one, decision, [Take(bucket, -1)])
        assert (await draw(one, [Take(bucket, 0)])).levels[0].remaining == 8
        assert (await draw(other, [Take(bucket, 0)])).levels[0].remaining == 8
        settle(one, decision, [Take(bucket, -1)])
        async with asyncio.timeout(10):
            while (await draw(other, [Take(bucket, 0)])).levels[0].remaining < 9:
                await asyncio.sleep(0)

    asyncio.run(run())


def test_what_is_given_back_beyond_full_hides_no_charge(make):
    async def run():
        limiter, bucket = make(), Bucket("b", 10, SLOW)
        decision = await draw(limiter, [Take(bucket, 1)])
        settle(limiter, decision, [Take(bucket, -9)])
        settle(limiter, decision, [Take(bucket, 3)])
        assert (await draw(limiter, [Take(bucket, 0)])).levels[0].remaining == 7

    asyncio.run(run())


def test_what_is_settled_last_is_written_down_at_the_end(make):
    async def run(limiter):
        bucket = Bucket("b", 10, SLOW)
        settle(limiter, await draw(limiter, [Take(bucket, 5)]), [Take(bucket, -2)])
        await limiter.close()

    asyncio.run(run(make()))
    assert left(make()) == 7


def test_a_busy_process_draws_ahead_and_gives_back(make, path):
    """One lock serves sixteen requests; what they did not need is back within a moment."""

    async def run():
        one, other = make(), make()
        bucket = Bucket("b", 1000, SLOW)
        seen = [(await draw(one, [Take(bucket, 2)])).levels[0].remaining for _ in range(5)]
        assert seen == [998, 996, 994, 992, 990], "as if each had been drawn for itself"
        assert (await draw(other, [Take(bucket, 0)])).levels[0].remaining < 990
        before = path.read_bytes()
        assert (await draw(one, [Take(bucket, 2)])).levels[0].remaining == 988
        assert path.read_bytes() == before
        async with asyncio.timeout(10):
            while (await draw(other, [Take(bucket, 0)])).levels[0].remaining < 988:
                await asyncio.sleep(0)
        assert (await draw(one, [Take(bucket, 2)])).levels[0].remaining == 986

    asyncio.run(run())


def test_a_moment_s_draws_are_settled_with_one_look_at_each_row(make):
    looks = []

    async def run():
        limiter, buckets = make(), [Bucket(name, 10_000, SLOW) for name in "ab"]
        for _ in range(100):  # some of them draw ahead, several times
            decision = await draw(limiter, [Take(bucket, 2) for bucket in buckets])
            settle(limiter, decision, [Take(bucket, -1) for bucket in buckets])
        table = limiter._table
        table.write = lambda *row: looks.append(row)
        await limiter.close()

    asyncio.run(run())
    assert len(looks) == 2


def test_what_was_drawn_ahead_and_drained_meanwhile_hides_no_charge(make, clock):
    async def run():
        limiter, bucket = make(), Bucket("b", 60_000, 60.0)  # a token in a millisecond
        await draw(limiter, [Take(bucket, 0)])
        clock.now += 0.0005
        decision = await draw(limiter, [Take(bucket, 4)])  # for sixteen
        clock.now += 0.009
        settle(limiter, decision, [Take(bucket, 60)])
        await limiter.close()
        assert (await draw(limiter, [Take(bucket, 0)])).levels[0].remaining == 60_000 - 60

    asyncio.run(run())


def test_a_quiet_process_draws_what_it_needs(make, clock):
    async def run():
        one, other = make(), make()
        for left in (999, 998, 997):
            await draw(one, [Take(Bucket("b", 1000, SLOW), 1)])
            assert (await draw(other, [Take(Bucket("b", 1000, SLOW), 0)])).levels[
                0
            ].remaining == left
            clock.now += 0.002

    asyncio.run(run())


@settings(max_examples=100, deadline=None)
@given(
    limit=st.integers(1, 400),
    draws=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=300),
)
def test_whatever_is_drawn_ahead_no_more_than_the_limit_passes(limit, draws):
    with tempfile.TemporaryDirectory() as name:
        clock = Clock(1_800_000_000.0)
        limiters = [SharedLimiter(Path(name, "limits"), now=clock) for _ in range(3)]
        bucket = Bucket("b", limit, SLOW)

        async def run():
            used = 0
            for which, cost in draws:
                decision = await draw(limiters[which], [Take(bucket, cost)])
                charged = Take(bucket, cost).charged
                if decision.allowed:
                    used += charged
                else:  # where it is scarce, nobody holds back anything but for that moment
                    assert used + charged > limit // 2
            assert used <= limit
            for limiter in limiters:
                await limiter.close()
            last = SharedLimiter(Path(name, "limits"), now=clock)
            assert (await draw(last, [Take(bucket, 0)])).levels[0].remaining == limit - used
            await last.close()

        asyncio.run(run())


def test_what_the_parent_is_to_settle_is_not_the_childs(make):
    limiter, bucket, other = make(), Bucket("b", 100, SLOW), Bucket("other", 10, SLOW)

    async def begin():
        settle(limiter, await draw(limiter, [Take(bucket, 50)]), [Take(bucket, -10)])

    def in_the_child(_):
        settle(limiter, take(limiter, 1, name="other"), [Take(other, 1)])
        asyncio.run(limiter.close())
        return left(make(), limit=100)

    with asyncio.Runner() as runner:
        runner.run(begin())
        assert in_children(1, in_the_child) == [50]
        decision = runner.run(draw(limiter, [Take(bucket, 0)]))
        assert decision.levels[0].remaining == 60


def test_counts_outlive_the_processes(make):
    take(first := make(), 4)
    asyncio.run(first.close())
    assert left(make()) == 6


def test_the_file_is_private(make, path):
    take(make())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["limits"]


def test_processes_that_hammer_one_bucket_get_its_limit(make):
    make().open()

    def hammer(_):
        limiter = make()
        return sum(take(limiter, limit=500).allowed for _ in range(400))

    assert sum(in_children(4, hammer)) == 500


def test_processes_get_what_refills_and_no_more(make, path):
    limit, seconds = 50, 0.5
    SharedLimiter(path).open()
    start = time.time()

    def hammer(_):
        limiter, admitted = make(now=time.time), 0
        until = time.time() + 0.6
        while time.time() < until:
            admitted += take(limiter, limit=limit, seconds=seconds).allowed
        return admitted

    admitted = sum(in_children(4, hammer))
    most = limit + (time.time() - start) * limit / seconds
    least = limit + (0.6 - 0.25) * limit / seconds  # a process may be kept waiting before its end
    assert least <= admitted <= most + 1


def test_processes_race_to_make_the_file(make, path):
    path.write_bytes(b"old")

    def first_take(index):
        return take(make(), limit=100).allowed

    assert sum(in_children(8, first_take)) == 8
    assert left(make(), limit=100) == 92


def test_a_limiter_from_before_the_fork_goes_on_in_the_child(make):
    slot = Slot("s", 5)
    limiter = make()
    take(limiter, 3, slots=[slot])

    def use(_):
        return take(limiter, 2, slots=[slot]).levels[0].remaining

    assert in_children(1, use) == [5]
    assert left(limiter) == 5


def test_slots_of_a_killed_process_lapse(make, clock):
    slot = Slot("s", 2)
    limiter = make()

    def hold(ready):
        take(holder := make(), slots=[slot])
        take(holder, slots=[slot])
        ready()

    with child(hold):
        assert not take(limiter, slots=[slot]).allowed
    clock.now += 44
    assert not take(limiter, slots=[slot]).allowed
    clock.now += 2
    assert take(limiter, slots=[slot]).allowed


def test_slots_of_a_living_process_are_kept(make, clock):
    slot = Slot("s", 1)
    limiter, other = make(), make()
    beats = []

    async def beat(seconds):
        beats.append(seconds)
        clock.now += seconds
        assert not (await draw(other, [], [slot])).allowed
        if len(beats) == 10:
            raise asyncio.CancelledError

    async def story():
        holding = await draw(limiter, [], [slot])
        with pytest.raises(asyncio.CancelledError):
            await limiter.run(sleep=beat)
        settle(limiter, holding, [], [slot])
        assert (await draw(other, [], [slot])).allowed

    asyncio.run(story())
    assert sum(beats) > 100


def test_use_keeps_slots_too(make, clock):
    long, short = Slot("long", 1), Slot("short", 1)
    limiter, other = make(), make()
    take(limiter, slots=[long])
    for _ in range(10):
        clock.now += 20
        settle(limiter, take(limiter, 0, slots=[short]), [], [short])
    assert not take(other, 0, slots=[long]).allowed


@pytest.mark.parametrize("step", [+3600, -3600])
def test_a_clock_that_jumps_loses_no_slot_of_the_living(make, clock, step):
    slot, another = Slot("s", 1), Slot("another", 9)
    limiter, other = make(), make()
    held = take(limiter, slots=[slot])
    clock.now += step
    assert take(other, slots=[slot]).allowed, "it may have lapsed meanwhile"
    take(limiter, slots=[another])
    third = make()
    assert not take(third, slots=[slot]).allowed
    settle(limiter, held, [], [slot])
    assert not take(third, slots=[slot]).allowed, "the other one has it"


def test_closing_frees_the_slots(make):
    slot = Slot("s", 1)
    take(limiter := make(), slots=[slot])
    asyncio.run(limiter.close())
    asyncio.run(limiter.close())
    assert take(make(), slots=[slot]).allowed
    assert take(limiter).allowed, "it opens again"


def test_more_processes_than_rows_crowd_out_the_oldest(make, clock):
    slot = Slot("s", 1000)
    limiters = [make() for _ in range(tables.HOLDERS + 3)]
    for limiter in limiters:
        clock.now += 0.1
        assert take(limiter, 0, slots=[slot]).allowed
    assert take(make(), 0, slots=[Slot("s", tables.HOLDERS - 5)]).allowed is False


def test_a_clock_that_steps_back_gives_nothing_and_blocks_nobody(make, clock):
    limiter = make()
    take(limiter, 10, seconds=60)
    clock.now -= 3600
    assert take(limiter, 1, seconds=60).retry_after == pytest.approx(6)
    clock.now += 6
    assert take(limiter, 1, seconds=60).allowed


def test_a_process_killed_at_work_leaves_a_file_that_works(make):
    def hammer(ready):
        limiter, slots = make(), [Slot("s", 1000)]
        take(limiter, slots=slots)
        ready()
        while True:
            take(limiter, 1, 10**9, slots, f"b{random.randrange(50)}")

    limiter = make()
    for _ in range(10):
        with child(hammer):
            assert take(limiter, name="mine", limit=10**6).allowed
    assert left(limiter, name="mine", limit=10**6) == 10**6 - 10
    assert all(left(limiter, name=f"b{i}", limit=10**9) <= 10**9 for i in range(50))


def test_nobody_waits_long_for_a_stopped_process(make, path):
    limiter = make()
    take(limiter, 1)

    def lock(ready):
        with Table(path):
            ready()
            signal.pause()

    with child(lock) as pid:
        os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        for expected in range(8, 0, -1):
            assert take(limiter, 1).levels[0].remaining == expected
        assert time.monotonic() - started < 1
    assert left(limiter) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"\0" * 5_000_000, tables.MAGIC, b"abp limits 0\n" + b"x" * 5_000_000],
    ids=["empty", "foreign", "zeros", "truncated", "another version"],
)
def test_a_file_that_does_not_fit_is_replaced(make, path, content):
    path.write_bytes(content)
    with path.open("rb") as before:
        assert take(make(), 3).allowed
        assert before.read() == content, "whoever has it mapped keeps it"
    assert left(make()) == 7


def test_noise_in_the_file_does_no_lasting_harm(make, path, clock):
    take(make())
    dice = random.Random(0)
    with path.open("r+b") as file:
        file.seek(len(tables.MAGIC))
        file.write(dice.randbytes(path.stat().st_size - len(tables.MAGIC)))
    limiter = make()
    for index in range(300):
        name = str(index)
        decision = take(limiter, 4, name=name, slots=[Slot(name, 100_000)])
        assert (decision.allowed, decision.levels[0].remaining) == (True, 6)
        settle(limiter, decision, [Take(Bucket(name, 10, SLOW), 1)], [Slot(name, 100_000)])


def test_rows_of_full_buckets_are_used_again(make, clock):
    limiter = make()
    for index in range(3000):
        take(limiter, 1, name=str(index), seconds=1)
        clock.now += 0.001
    assert left(limiter, name="2999", seconds=1) == 9


def test_a_crowded_table_forgets_the_fullest(path):
    table = Table(path)
    keys = [b"same place......"[:15] + bytes([index]) for index in range(tables.NEIGHBOURS + 1)]
    with table:
        for index, key in enumerate(keys):
            place, level, _ = table.bucket(key, now=1000)
            assert level == 0
            table.write(place, key, 500, 1000, 2000 + index)
        assert table.bucket(keys[-1], now=1000)[1] == 500
        assert [table.bucket(key, now=1000)[1] for key in keys[1:]] == [500] * 16
        assert table.bucket(keys[0], now=1000)[1] == 0
    table.close()


def test_crowded_slots_forget_the_least_held(path):
    table = Table(path)
    keys = [b"same place......"[:15] + bytes([index]) for index in range(tables.NEIGHBOURS + 1)]
    with table:
        for index, key in enumerate(keys):
            table.hold(key, 3, 2 + index)
        assert not table.slot(keys[0])[1]
        assert [table.held(table.slot(key)[0]) for key in keys[1:]] == list(range(3, 19))
    table.close()


def test_the_lock_is_free_after_a_failure(path):
    table = Table(path)
    with pytest.raises(ZeroDivisionError), table:
        _ = 1 / 0
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    table.close()


def test_without_the_file_a_process_counts_alone(make, path, caplog):
    path.symlink_to("elsewhere")
    limiter = make()
    limiter.open()
    decision = take(limiter, 4, slots=[Slot("s", 1)])
    assert decision.allowed
    assert not take(limiter, slots=[Slot("s", 1)]).allowed
    settle(limiter, decision, [Take(Bucket("b", 10, SLOW), 1)], [Slot("s", 1)])
    assert left(limiter) == 5
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "counts its limits alone" in caplog.text


def test_it_comes_back_when_the_file_can_be_made(make, path, caplog):
    """Tries again after a second, later after up to a minute; the log tells the outage once."""
    path.symlink_to("elsewhere")
    times = Clock(1_800_000_000.0)
    limiter, other = make(monotonic=times), make()
    alone = take(limiter, 4, slots=[Slot("s", 2)])
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        path.unlink()
        times.now += pause - 0.5
        take(limiter, 0)
        assert not path.exists(), "it is not time to try"
        path.symlink_to("elsewhere")
        times.now += 0.5
        take(limiter, 0)
    path.unlink()
    times.now += 60
    together = take(limiter, 3, slots=[Slot("s", 2)])
    assert left(other) == 7, "the file counts again"
    # What was decided alone is settled there: it must not free a place that is held in the file.
    settle(limiter, alone, [Take(Bucket("b", 10, SLOW), -4)], [Slot("s", 2)])
    assert left(other) == 7
    assert take(other, 0, slots=[Slot("s", 2)]).allowed
    assert not take(other, 0, slots=[Slot("s", 2)]).allowed
    settle(limiter, together, [], [Slot("s", 2)])
    assert take(other, 0, slots=[Slot("s", 2)]).allowed
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.INFO]


def test_a_directory_that_appears_later_is_used(make, path):
    """For instance a volume that is mounted after the start."""
    times, parent = Clock(1_800_000_000.0), path.parent / "volume"
    parent.write_text("")
    limiter = SharedLimiter(parent / "limits", now=Clock(1_800_000_000.0), monotonic=times)
    assert take(limiter, 4).allowed
    parent.unlink()
    parent.mkdir()
    times.now += 1
    take(limiter, 1)
    assert (parent / "limits").exists()
