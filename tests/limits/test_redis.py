"""What is particular to Redis: shared by processes, and slow, gone, back, or forgetful."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager

import pytest
from clocks import Clock
from draws import Take, draw, settle
from redisprocess import RedisProcess

from anthropic_bedrock_proxy.limits.base import Bucket, LimiterError, Slot
from anthropic_bedrock_proxy.limits.memory import MemoryLimiter
from anthropic_bedrock_proxy.limits.outage import LONGEST_PAUSE, STEADY_SECONDS
from anthropic_bedrock_proxy.limits.redis import RedisLimiter

MANY = Bucket("many", 1000, 50_000.0)  # nothing comes back while a test runs
SLOT = Slot("slot", 1)


@pytest.fixture
def server():
    with RedisProcess() as running:
        yield running


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def opened(server, clock):
    """`async with opened() as limiter`: as another machine would have it."""

    @asynccontextmanager
    async def open_limiter(**options):
        options = {"timeout_seconds": 10, "fallback": MemoryLimiter(), "monotonic": clock} | options
        limiter = RedisLimiter(options.pop("url", server.url), **options)
        try:
            yield limiter
        finally:
            await limiter.close()

    return open_limiter


async def take(limiter, cost=1, slots=()):
    """(allowed, remaining)."""
    decision = await draw(limiter, [Take(MANY, cost)], slots)
    return decision.allowed, decision.levels[0].remaining


async def probed(limiter, clock):
    """Lets the pause pass, asks once, and waits until the probe has ended."""
    await idle(limiter)
    clock.now += LONGEST_PAUSE
    await draw(limiter, [], [])
    await idle(limiter)


async def steady(limiter, clock):
    """Lets so much time pass after a probe that the outage is over."""
    clock.now += STEADY_SECONDS
    await idle(limiter)


async def idle(limiter):
    limiter._send()
    while limiter._courier is not None:
        await asyncio.sleep(0.001)


def levels(caplog):
    return [record.levelno for record in caplog.records if record.name.endswith("limits")]


def test_machines_share_the_counts(opened):
    async def story():
        async with opened() as one, opened() as other:
            assert await take(one, 300) == (True, 700)
            holding = await draw(other, [Take(MANY, 300)], [SLOT])
            assert await take(one, 1, [SLOT]) == (False, 400)
            settle(other, holding, [Take(MANY, -100)], [SLOT])
            await idle(other)
            assert await take(one, 100, [SLOT]) == (True, 400)

    asyncio.run(story())


def test_what_is_settled_last_arrives_before_the_end(opened):
    async def story():
        async with opened() as one:
            settle(one, await draw(one, [], [SLOT]), [Take(MANY, 7)], [SLOT])
        async with opened() as other:
            assert await take(other, 0, [SLOT]) == (True, 993)

    asyncio.run(story())


def test_requests_of_one_tick_share_a_call(opened):
    async def story():
        async with opened() as limiter:
            await take(limiter, 0)
            before = limiter.counts.calls
            await asyncio.gather(*[take(limiter) for _ in range(200)])
            assert limiter.counts.calls == before + 1
            assert await take(limiter, 0) == (True, 800)

    asyncio.run(story())


def test_more_than_a_call_holds_takes_several(opened):
    async def story():
        async with opened() as limiter:
            await asyncio.gather(*[take(limiter) for _ in range(600)])
            assert await take(limiter, 0) == (True, 400)
            first = await draw(limiter, [])
            for index in range(3000):
                settle(limiter, first, [Take(Bucket(str(index), 10, 50_000), 4)])
            for index in (0, 1500, 2999):
                decision = await draw(limiter, [Take(Bucket(str(index), 10, 50_000), 0)])
                assert decision.levels[0].remaining == 6

    asyncio.run(story())


def test_keys_expire(opened, server):
    async def story():
        async with opened(url=f"{server.url}?prefix=team-a") as limiter:
            await draw(limiter, [Take(Bucket("b", 10, 60), 5)], [SLOT])
            ttl = int(server.tell("TTL", "team-a:b:10:60000000:b")[1:])
            assert 30 <= ttl <= 32
            assert 40 <= int(server.tell("TTL", "team-a:s:slot")[1:]) <= 45

    asyncio.run(story())


def test_a_flushed_script_is_loaded_again(opened, server):
    async def story():
        async with opened(fail="closed") as limiter:
            assert await take(limiter) == (True, 999)
            assert server.tell("SCRIPT", "FLUSH") == b"+OK"
            assert await take(limiter) == (True, 998)
            assert not limiter.degraded

    asyncio.run(story())


def test_slots_of_a_dead_process_lapse_and_those_of_the_living_are_kept(opened):
    async def beat(_):
        await asyncio.sleep(0.02)

    async def story():
        # The server's clock cannot be injected, but how long a slot lives is told with each call.
        short, two = {"lapse_seconds": 1.0}, Slot("two", 2)
        async with opened(**short) as living, opened(**short) as dead, opened() as asking:
            assert (await draw(dead, [], [two])).allowed
            assert (await draw(living, [], [two])).allowed
            keeping = asyncio.create_task(living.run(sleep=beat))
            assert not (await draw(asking, [], [two])).allowed
            while not (await draw(asking, [], [two])).allowed:
                await asyncio.sleep(0.01)
            assert not (await draw(asking, [], [two])).allowed, "the living one has the other"
            keeping.cancel()
            await asyncio.wait([keeping])

    asyncio.run(story())


def test_a_server_that_is_killed_is_stood_in_for_and_found_again(opened, server, clock, caplog):
    caplog.set_level(logging.INFO)

    async def story():
        async with opened() as limiter:
            before = await draw(limiter, [Take(MANY, 100)], [SLOT])
            server.kill()
            during = await draw(limiter, [Take(MANY, 10)], [SLOT])
            assert (during.allowed, during.levels[0].remaining) == (True, 990)
            assert limiter.degraded
            for _ in range(3):  # once more in vain
                await probed(limiter, clock)
                assert limiter.degraded
            settle(limiter, before, [Take(MANY, 5)])
            server.start()
            await probed(limiter, clock)
            assert not limiter.degraded
            # The new server has heard what is held here, and what was settled meanwhile.
            assert await take(limiter, 1, [SLOT]) == (False, 995)
            settle(limiter, before, [], [SLOT])
            assert await take(limiter, 1, [SLOT]) == (True, 994)
            settle(limiter, during, [Take(MANY, -10)], [SLOT])
            assert await take(limiter, 1, [SLOT]) == (False, 994), "settled where it was decided"
            assert await take(limiter, 0) == (True, 994)
            assert (limiter.counts.failures, limiter.counts.stood_in) == (4, 5)
            await steady(limiter, clock)

    asyncio.run(story())
    assert levels(caplog) == [logging.ERROR, logging.INFO]


def test_a_hanging_server_costs_one_short_wait(opened, server, clock, caplog):
    async def story():
        async with opened(timeout_seconds=1) as limiter:
            await take(limiter)
            server.hang()
            started = time.monotonic()
            decisions = await asyncio.gather(*[take(limiter, 10) for _ in range(300)])
            assert time.monotonic() - started < 5
            assert sum(allowed for allowed, _ in decisions) == 100
            assert limiter.degraded
            calls = limiter.counts.calls
            await asyncio.gather(*[take(limiter) for _ in range(100)])
            assert limiter.counts.calls == calls, "nobody asks while the pause lasts"
            server.wake()
            await probed(limiter, clock)
            assert not limiter.degraded
            # The call that was under way may have been counted there: 99 of its takes fitted.
            assert await take(limiter, 0) in {(True, 999), (True, 9)}
            await steady(limiter, clock)

    asyncio.run(story())
    assert levels(caplog) == [logging.ERROR, logging.INFO]


def test_a_call_that_was_lost_leaves_no_slot_behind(opened, server, clock):
    async def story():
        async with opened(timeout_seconds=1) as limiter, opened() as other:
            holding = await draw(limiter, [], [SLOT])
            server.hang()
            settle(limiter, holding, [], [SLOT])
            during = await draw(limiter, [], [Slot("another", 1)])
            assert limiter.degraded
            server.wake()
            await probed(limiter, clock)
            assert await take(other, 0, [SLOT, Slot("another", 1)]) == (True, 1000)
            settle(limiter, during, [], [Slot("another", 1)])

    asyncio.run(story())


def test_an_answer_that_comes_too_late_is_nobody_elses(opened, server, clock):
    async def story():
        async with opened(timeout_seconds=1) as limiter:
            await take(limiter)
            server.hang()
            await draw(limiter, [Take(MANY, 1), Take(Bucket("other", 5), 1)])
            server.wake()
            await probed(limiter, clock)
            for _ in range(5):
                decision = await draw(limiter, [Take(MANY, 0)])
                assert len(decision.levels) == 1

    asyncio.run(story())


def test_failing_closed_refuses_until_it_is_back(opened, server, clock):
    async def story():
        async with opened(fail="closed") as limiter:
            server.kill()
            for _ in range(3):
                with pytest.raises(LimiterError, match="cannot be reached"):
                    await take(limiter)
            assert limiter.counts.refused == 3
            server.start()
            await idle(limiter)
            clock.now += LONGEST_PAUSE
            with pytest.raises(LimiterError):
                await take(limiter)
            await idle(limiter)
            assert await take(limiter) == (True, 999)

    asyncio.run(story())


def test_a_request_that_is_given_up_takes_nothing(opened):
    async def story():
        async with opened() as limiter:
            await take(limiter, 0)
            gone = asyncio.create_task(draw(limiter, [Take(MANY, 100)], [SLOT]))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.wait([gone])
            await idle(limiter)
            assert await take(limiter, 0, [SLOT]) == (True, 1000)

    asyncio.run(story())


def test_a_request_given_up_in_the_moment_of_its_answer_takes_nothing(opened):
    async def story():
        async with opened() as limiter:
            gone = draw(limiter, [Take(MANY, 100)], [SLOT])
            answer = gone.send(None)  # by hand: a task would be woken before it can be cancelled
            await asyncio.wait([answer])
            with pytest.raises(asyncio.CancelledError):
                gone.throw(asyncio.CancelledError)
            await idle(limiter)
            assert await take(limiter, 0, [SLOT]) == (True, 1000)

    asyncio.run(story())


def test_a_reply_that_makes_no_sense_is_a_failure(opened, server):
    async def story():
        async with opened() as limiter:
            key = f"abp:b:{MANY.limit}:{MANY.window_us}:{MANY.name}"
            assert server.tell("SET", key, "nonsense") == b"+OK"
            assert await take(limiter) == (True, 999)
            assert server.tell("DEL", key) == b":1"
            assert server.tell("LPUSH", key, "wrong type") == b":1"
            assert await take(limiter) == (True, 999)
            assert limiter.degraded

    asyncio.run(story())


def test_what_waits_for_redis_is_bounded(opened):
    async def story():
        async with opened(most_kept=10) as limiter:
            decision = await draw(limiter, [Take(MANY, 1)])
            for index in range(12):
                settle(limiter, decision, [Take(Bucket(str(index), 5), 1)])
            settle(limiter, decision, [Take(Bucket("0", 5), 1)])
            assert limiter.counts.lost == 2

    asyncio.run(story())


def test_settling_after_the_loop_has_ended_does_no_harm(server):
    async def story():
        limiter = RedisLimiter(server.url, fallback=MemoryLimiter())
        decision = await draw(limiter, [], [SLOT])
        await limiter.close()
        return limiter, decision

    limiter, decision = asyncio.run(story())
    settle(limiter, decision, [Take(MANY, 1)], [SLOT])


def test_a_check_tells_an_outage_and_its_end(opened, server, clock):
    """Without any request in between: whoever checks has Redis tried again."""

    async def story():
        async with opened() as limiter:
            await limiter.check()
            server.kill()
            with pytest.raises(LimiterError, match="does not answer"):
                await limiter.check()
            await take(limiter)
            with pytest.raises(LimiterError, match="does not count"):
                await limiter.check()
            server.start()
            clock.now += LONGEST_PAUSE
            await limiter.check()

    asyncio.run(story())
