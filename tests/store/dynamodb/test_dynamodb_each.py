"""Work for many inputs, a few at a time."""

from __future__ import annotations

import asyncio

import pytest

from anthropic_bedrock_proxy.store.dynamodb.each import each


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 500])
def test_results_are_in_the_order_of_the_inputs_and_few_are_made_beforehand(count):
    running = most = made = done = 0

    def inputs():
        nonlocal made
        for number in range(count):
            made += 1
            assert made - done <= 32 + 1
            yield number

    async def work(number):
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        for _ in range(1 + number % 7):
            await asyncio.sleep(0)
        running -= 1
        done += 1
        return -number

    assert asyncio.run(each(work, inputs())) == [-number for number in range(count)]
    assert most == min(count, 32)


def test_the_first_error_ends_all():
    begun = []

    async def work(number):
        begun.append(number)
        await asyncio.sleep(0)
        if number == 3:
            raise LookupError(number)
        await asyncio.Event().wait()

    async def story():
        with pytest.raises(LookupError):
            await each(work, range(1000))
        assert len(begun) <= 33
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(story())
