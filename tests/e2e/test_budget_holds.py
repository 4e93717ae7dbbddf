"""Budgets and what running requests hold of them: many at once, and one after the other."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from streaming import post

AT_ONCE = 50
# Haiku 4.5: 1000 input tokens at 1 USD and 400 output tokens at 5 USD per million.
COST = Decimal("0.003")
REPLY = {
    "reply": {
        "content": [{"type": "text", "text": "Yes."}],
        "usage": {"input_tokens": 1000, "output_tokens": 400},
    },
    "times": "forever",
}


def answered(statuses):
    assert set(statuses) <= {200, 403, 429}
    return sum(status == 200 for status in statuses)


async def ask(url, key, max_tokens=4000):
    return (await post(url, key, max_tokens=max_tokens)).status


@pytest.mark.parametrize(("holds", "most"), [("off", AT_ONCE), ("expected", 34), ("max", 33)])
def test_fifty_at_once_and_a_tenth_of_a_dollar(sim, start, tmp_path, holds, most):
    """Ten requests have taught what is usual; 0.1 USD pays for 33 more."""
    proxy = start(tmp_path / "proxy", BUDGET_HOLDS=holds)
    _, key = proxy.create_key("spender", "--total-budget", str(Decimal("0.1") + 10 * COST))
    sim.script([REPLY])

    async def story():
        for _ in range(10):
            assert await ask(proxy.url, key) == 200
        sim.script([{**REPLY, "delay_ms": 1000}])
        return await asyncio.gather(*(ask(proxy.url, key) for _ in range(AT_ONCE)))

    successes = answered(asyncio.run(story()))
    over = max(Decimal(0), successes * COST - Decimal("0.1"))
    print(f"{holds}: {successes} of {AT_ONCE} ran, overspent by {over} USD")
    assert successes <= most
    assert successes >= (1 if holds == "max" else 30)


def test_a_thousand_in_turn_that_use_a_tenth_of_max_tokens_are_all_served(sim, start, tmp_path):
    proxy = start(tmp_path / "proxy")
    sim.script([REPLY])
    _, key = proxy.create_key("spender", "--total-budget", str(1000 * COST))

    async def story():
        statuses = [await ask(proxy.url, key) for _ in range(1000)]
        return statuses, await ask(proxy.url, key)

    statuses, after = asyncio.run(story())
    assert statuses.count(200) == 1000
    assert after in (403, 429)
