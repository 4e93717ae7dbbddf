from __future__ import annotations

import asyncio

from draws import Take, draw

from anthropic_bedrock_proxy.limits.base import Bucket
from anthropic_bedrock_proxy.limits.memory import MemoryLimiter


def test_it_forgets_what_is_nearest_to_full():
    now = 1000.0
    limiter = MemoryLimiter(now=lambda: now, most=100)

    async def used(name, cost=0):
        decision = await draw(limiter, [Take(Bucket(name, 1000), cost)])
        return 1000 - decision.levels[0].remaining

    async def story():
        assert await used("hot", 900) == 900
        for index in range(1000):
            await used(index, 1)
            assert len(limiter._cells) <= 100
        assert await used("hot") == 900

    asyncio.run(story())


def test_a_request_keeps_its_buckets_while_others_are_forgotten():
    limiter = MemoryLimiter(now=lambda: 1000.0, most=1)
    takes = [Take(Bucket("a", 10), 5), Take(Bucket("b", 10), 6), Take(Bucket("c", 10), 7)]

    async def story():
        assert [level.remaining for level in (await draw(limiter, takes)).levels] == [5, 4, 3]

    asyncio.run(story())


def test_run_ends_at_once():
    asyncio.run(MemoryLimiter().run())
