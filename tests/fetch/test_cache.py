"""What is fetched twice within a minute, and what is not."""

from __future__ import annotations

import asyncio

import pytest

from anthropic_bedrock_proxy.fetch.base import (
    BusyError,
    Fetched,
    FetchError,
    NotAccessibleError,
    NotAllowedError,
    StatusError,
    TooLargeError,
    WrongTypeError,
)
from anthropic_bedrock_proxy.fetch.cache import CONTENT_SECONDS, CachedFetcher

IMAGES, TEXTS = frozenset(("image/png",)), frozenset(("text/*",))


class World:
    """A cache over a scripted fetcher, and its clock."""

    def __init__(self, *outcomes, **options):
        self.now = 0.0
        self.outcomes = list(outcomes)
        self.asked = []
        self.closed = False
        self.cache = CachedFetcher(self, now=lambda: self.now, **options)

    async def fetch(self, url, *, accept, max_bytes, key):
        self.asked.append((url, key))
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return Fetched(outcome, "image/png", url)

    def close(self):
        self.closed = True

    async def get(self, url="u", *, accept=IMAGES, max_bytes=5000, key="k", fresh=False):
        try:
            fetched = await self.cache.fetch(
                url, accept=accept, max_bytes=max_bytes, key=key, fresh=fresh
            )
        except FetchError as error:
            return error.reason
        return fetched.body


def run(world, main):
    async def whole():
        await main()
        world.cache.close()

    asyncio.run(whole())
    assert world.closed
    assert world.cache.size == 0


def test_a_content_is_kept_for_a_minute_and_for_its_key():
    world = World(b"1", b"2", b"3", b"4")

    async def main():
        assert [await world.get() for _ in range(3)] == [b"1"] * 3
        assert await world.get(key="another") == b"2"
        assert await world.get(accept=TEXTS) == b"3"
        world.now += 60
        assert await world.get() == b"4"

    run(world, main)


def test_a_refusal_is_kept_for_ten_seconds():
    world = World(FetchError("gone"), FetchError("still"), b"1")

    async def main():
        assert [await world.get() for _ in range(50)] == ["gone"] * 50
        assert await world.get(key="another") == "still"
        world.now += 10
        assert await world.get() == b"1"

    run(world, main)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotAllowedError("no"), NotAllowedError),
        (WrongTypeError("no"), WrongTypeError),
        (StatusError("no", status=404), NotAccessibleError),
    ],
)
def test_a_refusal_that_is_kept_is_of_the_same_kind(error, kind):
    world = World(error)

    async def main():
        for _ in range(3):
            with pytest.raises(kind) as refused:
                await world.cache.fetch("u", accept=IMAGES, max_bytes=1, key="k")
            assert refused.value.reason == error.reason
        assert len(world.asked) == 1

    run(world, main)


def test_a_fresh_fetch_takes_nothing_from_memory_and_renews_it():
    world = World(b"1", b"2", FetchError("gone"), b"3")

    async def main():
        assert await world.get() == b"1"
        assert await world.get(fresh=True) == b"2"
        assert await world.get() == b"2"
        assert await world.get(fresh=True) == "gone"
        assert await world.get() == "gone"
        assert await world.get(fresh=True) == b"3"
        assert await world.get() == b"3"

    run(world, main)


def test_contents_are_kept_as_long_as_is_said():
    world = World(b"1", b"2", content_seconds=900)

    async def main():
        await world.get()
        world.now += 899
        assert await world.get() == b"1"
        world.now += 1
        assert await world.get() == b"2"

    run(world, main)


def test_contents_can_be_kept_not_at_all():
    world = World(b"1", b"2", content_seconds=0)

    async def main():
        assert [await world.get(), await world.get()] == [b"1", b"2"]

    run(world, main)


@pytest.mark.parametrize("error", [TooLargeError("large"), BusyError("busy")])
def test_what_another_request_may_get_is_not_kept(error):
    world = World(error, b"1", b"2")

    async def main():
        assert await world.get() == error.reason
        assert await world.get() == b"1"
        assert await world.get(max_bytes=0) == b"2"

    run(world, main)


def test_a_key_has_a_quarter_of_the_memory_and_all_have_no_more():
    world = World(*[bytes(3000)] * 20, max_bytes=16_384)

    async def main():
        for key in "aabbccddee":
            await world.get(f"{len(world.asked)}", key=key)
            assert world.cache.size <= 16_384
        assert [await world.get("0", key="a"), len(world.asked)] == [bytes(3000), 10]
        await world.get("1", key="a")
        await world.get("8", key="e")
        assert len(world.asked) == 12

    run(world, main)


def test_urls_that_nobody_reads_do_not_fill_it():
    world = World(*[FetchError("no")] * 600, max_bytes=1 << 20)

    async def main():
        for number in range(600):
            await world.get(f"{number}" + "x" * (number % 2) * 3000)
        assert world.cache.size <= 1 << 18

    run(world, main)


class Timer:
    """One of a fake loop."""

    def __init__(self, delay, work):
        self.delay, self.work = delay, work

    def cancel(self):
        """Nobody waits for it here."""


def test_the_memory_is_given_back_though_nobody_asks():
    timers = []

    def later(delay, work):
        timers.append(Timer(delay, work))
        return timers[-1]

    world = World(b"1", b"2", later=later)

    async def main():
        await world.get("1")
        world.now += 30
        await world.get("2")
        for left in (True, False):
            world.now += 45
            timer = timers.pop()
            assert timer.delay == CONTENT_SECONDS
            timer.work()
            assert bool(world.cache.size) == left
        assert not timers

    run(world, main)
