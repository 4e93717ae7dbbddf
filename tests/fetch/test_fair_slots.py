"""Slots that keys share: whoever has none gets one, whatever the others do."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.fetch.base import BusyError
from anthropic_bedrock_proxy.fetch.fair_slots import FairSlots


def test_shares_halve_from_key_to_key():
    async def main():
        turns = FairSlots(16)
        waiting = [asyncio.create_task(turns.take(key)) for key in "abcde" for _ in range(20)]
        await asyncio.sleep(0)
        got = {
            key: sum(task.done() for task in waiting[n * 20 : n * 20 + 20])
            for n, key in enumerate("abcde")
        }
        assert got == {"a": 8, "b": 4, "c": 2, "d": 1, "e": 1}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(main())


def test_who_has_least_is_served_first():
    async def main():
        turns, served = FairSlots(4), []

        async def wait(key):
            await turns.take(key)
            served.append(key)

        tasks = [asyncio.create_task(wait(key)) for key in ("a", "a", "b", "c", "a", "d", "e")]
        await asyncio.sleep(0)
        assert served == ["a", "a", "b", "c"]
        turns.give_back("a")
        await asyncio.sleep(0)
        turns.give_back("c")
        await asyncio.sleep(0)
        assert served[4:] == ["d", "e"]
        turns.give_back("d")
        turns.give_back("e")
        await asyncio.sleep(0)
        assert served[6:] == ["a"]
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_the_queue_of_a_key_is_bounded():
    async def main():
        turns = FairSlots(2, max_waiting=3)
        tasks = [asyncio.create_task(turns.take("a")) for _ in range(5)]
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        assert [type(task.exception()) for task in done if task.exception()] == [BusyError]
        async with turns.turn("b"):
            pass
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(main())


def test_a_slot_that_is_granted_to_somebody_who_leaves_goes_on():
    async def main():
        turns = FairSlots(1)
        await turns.take("a")
        leaver = asyncio.create_task(turns.take("b"))
        follower = asyncio.create_task(turns.take("c"))
        await asyncio.sleep(0)
        turns.give_back("a")
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        await follower

    asyncio.run(main())


@given(st.integers(1, 6), st.lists(st.tuples(st.sampled_from("tgc"), st.integers(0, 9))))
def test_nobody_without_a_slot_waits_while_one_is_free(slots, steps):
    async def main():
        turns, tasks = FairSlots(slots), []
        for step, number in steps:
            if step == "t":
                key = "abc"[number % 3]
                tasks.append((key, asyncio.create_task(turns.take(key))))
            elif tasks:
                key, task = tasks.pop(number % len(tasks))
                given_back = task.done()
                if step == "g" and given_back:
                    turns.give_back(key)
                elif given_back or step == "g":
                    tasks.append((key, task))
                else:
                    task.cancel()  # and maybe it is granted a slot before it notices
            if number % 2:
                await asyncio.sleep(0)
        for _ in range(3):
            await asyncio.sleep(0)
        holders = [key for key, task in tasks if task.done()]
        assert len(holders) <= slots
        if len(holders) < slots:
            assert {key for key, _ in tasks} <= set(holders)
        for key in holders:
            turns.give_back(key)
        for _, task in tasks:
            task.cancel()
        await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)
        async with asyncio.timeout(1), turns.turn("d"):
            pass

    asyncio.run(main())
