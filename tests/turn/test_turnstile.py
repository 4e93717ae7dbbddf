"""Long work on the event loop: a slice a round, whoever has some."""

from __future__ import annotations

import asyncio

import pytest

from anthropic_bedrock_proxy.turn.turnstile import Turnstile


def test_one_slice_is_let_through_for_each_round_of_the_loop():
    async def main():
        turnstile, rounds, slices = Turnstile(), 0, []

        async def tick():
            nonlocal rounds
            while True:
                rounds += 1
                await asyncio.sleep(0)

        async def work(name):
            for _ in range(10):
                await turnstile.wait()
                slices.append((rounds, name))

        ticking = asyncio.ensure_future(tick())
        await asyncio.gather(*map(work, "abc"))
        ticking.cancel()
        assert len({number for number, _ in slices}) == len(slices) == 30
        # First come, first served.
        assert [name for _, name in slices] == ["a", "b", "c"] * 10

    asyncio.run(main())


def test_who_leaves_while_he_waits_keeps_nobody_waiting():
    async def main():
        turnstile = Turnstile()
        waiting = [asyncio.ensure_future(turnstile.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        for left in waiting[:2]:  # one whose turn it was, one behind it
            left.cancel()
            with pytest.raises(asyncio.CancelledError):
                await left
        await asyncio.wait_for(waiting[2], 1)

    asyncio.run(main())
