"""One suite for every limiter: what the port promises, wherever the counts are."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import pytest
from draws import Take, draw, settle
from redisprocess import CA, RedisProcess
from redistopologies import clustered, watched

from anthropic_bedrock_proxy.limits.base import Bucket, Decision, Slot
from anthropic_bedrock_proxy.limits.memory import MemoryLimiter
from anthropic_bedrock_proxy.limits.redis import RedisLimiter
from anthropic_bedrock_proxy.limits.shared import SharedLimiter

SLOW = 50_000.0  # seconds to refill: nothing comes back while a test runs


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    async def wait(self, seconds: float) -> None:
        self.now += seconds


@contextmanager
def one_server(_):
    """(what has the keys, how to connect)."""
    with RedisProcess() as server:
        yield [server], server.url


@contextmanager
def one_server_by_tls(_):
    with RedisProcess(tls=True) as server:
        yield [server], f"{server.tls_url}?ssl_ca_certs={CA}"


@contextmanager
def sentinel(folder):
    with watched(folder) as servers:
        yield [servers.primary], servers.url


@contextmanager
def cluster(folder, *, tls=False):
    with clustered(folder, tls=tls) as servers:
        yield servers.primaries, servers.url


REDIS = {
    "redis": one_server,
    "rediss": one_server_by_tls,
    "redis+sentinel": sentinel,
    "redis+cluster": cluster,
    "rediss+cluster": partial(cluster, tls=True),
}


@pytest.fixture(scope="module", params=["memory", "shared", *REDIS])
def place(request, tmp_path_factory):
    """Where the counts are: a name, or the servers of Redis and their URL."""
    if request.param not in REDIS:
        yield request.param, None
        return
    with REDIS[request.param](tmp_path_factory.mktemp("redis")) as (servers, url):
        yield servers, url


@pytest.fixture
def opened(place, tmp_path):
    """`async with opened() as (limiter, wait)`: an empty limiter, and how to let time pass.

    Redis counts by its own clock, so there time really passes.
    """
    clock = Clock()

    def make():
        where, url = place
        if where == "memory":
            return MemoryLimiter(now=clock), clock.wait
        if where == "shared":
            return SharedLimiter(tmp_path / "limits", now=clock), clock.wait
        for server in where:
            assert server.tell("FLUSHALL") == b"+OK"
        options = {"fallback": MemoryLimiter(), "timeout_seconds": 20, "fail": "closed"}
        return RedisLimiter(url, **options), asyncio.sleep

    @asynccontextmanager
    async def open_limiter():
        limiter, wait = make()
        try:
            yield limiter, wait
        finally:
            await limiter.close()

    return open_limiter


def story(opened):
    """Runs `tell(limiter, wait)`."""

    def run(tell):
        async def running():
            async with opened() as (limiter, wait):
                await tell(limiter, wait)

        asyncio.run(running())

    return run


def bucket(limit: int = 10, seconds: float = SLOW, name: str = "b") -> Bucket:
    return Bucket(name, limit, seconds)


def remaining(decision: Decision) -> list[int]:
    return [level.remaining for level in decision.levels]


def test_a_bucket_admits_its_limit_and_no_more(opened):
    async def tell(limiter, _):
        take = [Take(bucket(), 1)]
        for left in reversed(range(10)):
            decision = await draw(limiter, take)
            assert (decision.allowed, decision.denied, decision.retry_after) == (True, None, 0)
            assert remaining(decision) == [left]
            assert decision.levels[0].limit == 10
        assert decision.levels[0].reset_seconds == pytest.approx(SLOW, rel=0.01)
        refused = await draw(limiter, take)
        assert (refused.allowed, refused.denied, remaining(refused)) == (False, 0, [0])
        assert refused.retry_after == pytest.approx(SLOW / 10, rel=0.01)

    story(opened)(tell)


def test_it_refills_steadily(opened):
    async def tell(limiter, wait):
        take = [Take(bucket(10, 0.5), 5)]
        assert (await draw(limiter, take)).allowed
        assert (await draw(limiter, take)).allowed
        refused = await draw(limiter, take)
        assert not refused.allowed
        assert 0 < refused.retry_after <= 0.25
        await wait(refused.retry_after + 0.001)
        assert (await draw(limiter, take)).allowed
        await wait(0.6)
        assert remaining(await draw(limiter, [Take(bucket(10, 0.5), 0)])) == [10]

    story(opened)(tell)


def test_all_or_nothing(opened):
    async def tell(limiter, _):
        few, many = bucket(3, name="few"), bucket(100, name="many")
        assert (await draw(limiter, [Take(many, 10), Take(few, 3)])).allowed
        refused = await draw(limiter, [Take(many, 10), Take(few, 1)])
        assert (refused.allowed, refused.denied, remaining(refused)) == (False, 1, [90, 0])
        slot = Slot("s", 1)
        assert (await draw(limiter, [Take(many, 10)], [slot])).allowed
        refused = await draw(limiter, [Take(many, 10)], [slot])
        assert (refused.allowed, refused.denied, remaining(refused)) == (False, 1, [80])
        assert refused.retry_after == 1.0
        assert (await draw(limiter, [Take(many, 80)])).allowed

    story(opened)(tell)


def test_the_longest_wait_is_named(opened):
    async def tell(limiter, _):
        short, long = bucket(10, 100, "short"), bucket(10, SLOW, "long")
        assert (await draw(limiter, [Take(short, 10), Take(long, 10)], [Slot("s", 1)])).allowed
        refused = await draw(limiter, [Take(short, 1), Take(long, 1)], [Slot("s", 1)])
        assert refused.denied == 1
        assert refused.retry_after == pytest.approx(SLOW / 10, rel=0.01)

    story(opened)(tell)


def test_settling_charges_into_debt_and_gives_back(opened):
    async def tell(limiter, _):
        many = bucket(100)
        first = await draw(limiter, [Take(many, 60)])
        settle(limiter, first, [Take(many, -40)])
        assert remaining(await draw(limiter, [Take(many, 0)])) == [80]
        settle(limiter, first, [Take(many, 130)])
        in_debt = await draw(limiter, [Take(many, 1)])
        assert (in_debt.allowed, remaining(in_debt)) == (False, [0])
        assert in_debt.levels[0].reset_seconds == pytest.approx(1.5 * SLOW, rel=0.01)
        assert in_debt.retry_after == pytest.approx(0.51 * SLOW, rel=0.01)
        settle(limiter, first, [Take(many, -10_000)])
        assert remaining(await draw(limiter, [Take(many, 0)])) == [100]

    story(opened)(tell)


def test_a_cost_beyond_the_limit_needs_a_full_bucket(opened):
    async def tell(limiter, _):
        huge = Take(bucket(), 1000)
        assert huge.charged == 10
        first = await draw(limiter, [huge])
        assert (first.allowed, remaining(first)) == (True, [0])
        settle(limiter, first, [Take(bucket(), 3 - huge.charged)])
        assert not (await draw(limiter, [huge])).allowed
        assert remaining(await draw(limiter, [Take(bucket(), 0)])) == [7]

    story(opened)(tell)


def test_a_limit_of_nothing_admits_nothing(opened):
    async def tell(limiter, _):
        for limit in (0, -1):
            refused = await draw(limiter, [Take(bucket(limit, 60), 0)])
            assert (refused.allowed, refused.denied, refused.retry_after) == (False, 0, 60)
            settle(limiter, refused, [Take(bucket(limit, 60), 5)])
        assert not (await draw(limiter, [], [Slot("none", 0)])).allowed

    story(opened)(tell)


def test_a_changed_limit_begins_with_a_full_bucket(opened):
    async def tell(limiter, _):
        assert (await draw(limiter, [Take(bucket(1000), 1000)])).allowed
        assert remaining(await draw(limiter, [Take(bucket(5), 1)])) == [4]

    story(opened)(tell)


def test_no_takes_are_always_admitted(opened):
    async def tell(limiter, _):
        decision = await draw(limiter, [])
        assert (decision.allowed, decision.levels) == (True, [])
        settle(limiter, decision, [])

    story(opened)(tell)


def test_names_may_be_anything(opened):
    async def tell(limiter, _):
        for name in ("", "a/b:c", "é\n\0", "\ud800", "x" * 5000):
            take, slot = [Take(bucket(2, name=name), 1)], [Slot(name, 1)]
            decision = await draw(limiter, take, slot)
            assert (decision.allowed, remaining(decision)) == (True, [1])
            settle(limiter, decision, [], slot)

    story(opened)(tell)


def test_slots_count_what_runs_at_once(opened):
    async def tell(limiter, _):
        two, one = Slot("two", 2), Slot("one", 1)
        first = await draw(limiter, [], [two, one])
        refused = await draw(limiter, [], [two, one])
        assert (first.allowed, refused.allowed, refused.denied) == (True, False, 1)
        second = await draw(limiter, [], [two])
        assert second.allowed
        assert (await draw(limiter, [], [two])).denied == 0
        settle(limiter, first, [], [two, one])
        assert (await draw(limiter, [], [two, one])).allowed
        settle(limiter, second, [], [two])
        settle(limiter, second, [], [two, one])
        settle(limiter, second, [], [two, one])  # once too often changes nothing
        taken = [(await draw(limiter, [], [two])).allowed for _ in range(3)]
        assert taken == [True, True, False]

    story(opened)(tell)


def test_requests_of_one_moment_share_what_there_is(opened):
    async def tell(limiter, _):
        take, slots = [Take(bucket(50), 1)], [Slot("s", 20)]
        with_slots = await asyncio.gather(*[draw(limiter, take, slots) for _ in range(40)])
        assert sum(decision.allowed for decision in with_slots) == 20
        without = await asyncio.gather(*[draw(limiter, take) for _ in range(400)])
        assert sum(decision.allowed for decision in without) == 30
        for decision in with_slots:
            if decision.allowed:
                settle(limiter, decision, [Take(bucket(50), -1)], slots)
        again = await asyncio.gather(*[draw(limiter, take, slots) for _ in range(400)])
        assert sum(decision.allowed for decision in again) == 20

    story(opened)(tell)


def test_while_it_counts_a_check_finds_nothing(opened):
    async def tell(limiter, _):
        await limiter.check()
        await draw(limiter, [Take(bucket(), 1)])
        await limiter.check()

    story(opened)(tell)


@pytest.mark.parametrize("seed", range(3))
def test_it_counts_like_a_plain_sum(opened, seed):
    """Anything in any order, against the obvious model: with no refill, used is the sum."""
    dice = random.Random(seed)
    buckets = [bucket(limit, 1e6, f"b{limit}") for limit in (1, 7, 1000, 100_000)]
    slots = [Slot(f"s{limit}", limit) for limit in (1, 3)]
    most = {one: one.limit * (1 + 86_400 / one.seconds) for one in buckets}  # a day of debt

    async def tell(limiter, _):
        used, held, running = dict.fromkeys(buckets, 0), dict.fromkeys(slots, 0), []
        for _ in range(150):
            if running and dice.random() < 0.4:
                decision, chosen = running.pop()
                change = Take(dice.choice(buckets), dice.choice((-3, 2, -4000, 9000)))
                settle(limiter, decision, [change], chosen)
                after = used[change.bucket] + change.cost
                used[change.bucket] = max(0, min(after, most[change.bucket]))
                for slot in chosen:
                    held[slot] -= 1
                continue
            takes = [Take(one, dice.choice((0, 1, 3, 5000))) for one in dice.sample(buckets, 2)]
            chosen = dice.sample(slots, dice.randrange(3))
            decision = await draw(limiter, takes, chosen)
            fits = all(used[t.bucket] + t.charged <= t.bucket.limit for t in takes)
            assert decision.allowed == (fits and all(held[s] < s.limit for s in chosen))
            if decision.allowed:
                running.append((decision, chosen))
                for take in takes:
                    used[take.bucket] += take.charged
                for slot in chosen:
                    held[slot] += 1
            left = [max(0, t.bucket.limit - used[t.bucket]) for t in takes]
            assert remaining(decision) == pytest.approx(left, abs=1)

    story(opened)(tell)


def test_absurd_numbers_do_no_harm(opened):
    async def tell(limiter, _):
        absurd = Bucket("absurd", 10**30, 1e12)
        decision = await draw(limiter, [Take(absurd, 10**40)], [Slot("s", 10**30)])
        assert decision.allowed
        settle(limiter, decision, [Take(absurd, 10**40), Take(bucket(), 10**40)], [])
        settle(limiter, decision, [Take(absurd, -(10**40)), Take(bucket(1, name="c"), -(10**40))])
        refused = await draw(limiter, [Take(bucket(), 1)])
        assert not refused.allowed
        assert refused.retry_after == pytest.approx(86_400 + SLOW / 10, rel=0.01)

    story(opened)(tell)
