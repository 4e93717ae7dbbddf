"""Items are handed on together: a moment after the first, or when they are many."""

from __future__ import annotations

import asyncio

from anthropic_bedrock_proxy.telemetry.gathering import Gathering


def gather(work, *, most=10):
    """What is handed on while `work` adds to a gathering."""
    handed = []

    async def main():
        await work(Gathering(handed.append, seconds=0.01, most=most), handed)

    asyncio.run(asyncio.wait_for(main(), 5))
    return handed


def test_a_moment_after_the_first_all_are_handed_on_once():
    async def work(gathering, handed):
        gathering.add("a")
        gathering.add("b")
        assert gathering.waiting == ["a", "b"]
        while not handed:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        gathering.add("c")
        while len(handed) < 2:
            await asyncio.sleep(0.001)

    assert gather(work) == [["a", "b"], ["c"]]


def test_sizes_beyond_the_most_are_handed_on_at_once():
    async def work(gathering, handed):
        gathering.add("a", 10)
        assert handed == []
        gathering.add("b", 1)
        assert handed == [["a", "b"]]
        assert gathering.waiting == []

    assert gather(work) == [["a", "b"]]


def test_nothing_is_handed_on_where_nothing_waits():
    async def work(gathering, handed):
        gathering.flush()
        gathering.add("a")
        gathering.flush()
        gathering.flush()
        await asyncio.sleep(0.05)

    assert gather(work) == [["a"]]
