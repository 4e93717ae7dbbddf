"""The usage table is throttled, and nothing else: a spent budget stays spent.

IDLE_SECONDS is for how long nobody asks: longer than what a process borrows is held for (60 s), or
nothing would be shown.
"""

from __future__ import annotations

import asyncio
import os
import time
from decimal import Decimal

import msgspec
from dynamo_servers import fresh_names, server
from servers import command, proxy_environment, wait_for
from streaming import post
from throttle import Throttle

IDLE_SECONDS = float(os.environ.get("IDLE_SECONDS", "68"))
BUDGET = Decimal("0.10")
# Haiku 4.5: 4000 input tokens at 1 USD and 1200 output tokens at 5 USD per million.
REQUEST_COST = Decimal("0.01")
REPLY = {
    "reply": {
        "content": [{"type": "text", "text": "Yes."}],
        "usage": {"input_tokens": 4000, "output_tokens": 1200},
    },
    "times": "forever",
}


def use_up(proxy, key):
    """Requests, one after the other, until one is refused; returns how many were not."""
    for answered in range(40):
        read = asyncio.run(post(proxy.url, key, stream=False))
        if read.status != 200:
            assert b"budget_exceeded" in read.body, read
            return answered
    return 40


def test_a_spent_budget_is_not_lent_again_while_its_usage_is_shut_out(start, sim, tmp_path):
    sim.script([REPLY])
    names = msgspec.structs.asdict(fresh_names())
    with Throttle(server("dynalite"), names["usage"]) as dynamo:
        settings = {
            "STORE_URL": "dynamodb://",
            "DYNAMODB_ENDPOINT_URL": dynamo.url,
            **{f"DYNAMODB_{name.upper()}_TABLE": table for name, table in names.items()},
        }
        environment = proxy_environment(tmp_path, "http://127.0.0.1:1", settings)
        command(tmp_path, environment, "tables", "create")
        first, second = (start(tmp_path / name, **settings) for name in ("first", "second"))
        key_id, key = first.create_key("spender", "--total-budget", str(BUDGET))
        dynamo.throttled = True
        answered = [use_up(first, key)]
        time.sleep(IDLE_SECONDS)
        answered += [use_up(first, key), use_up(second, key)]
        first.process.kill()
        first.process.wait()
        first = start(tmp_path / "first", make_key=False, **settings)
        answered += [use_up(first, key), use_up(second, key)]
        print(f"answered {answered} requests of {REQUEST_COST} USD, budget {BUDGET}")
        assert dynamo.refused, "usage was shut out"
        assert sum(answered) * REQUEST_COST <= BUDGET + REQUEST_COST, "but what was running"
        assert answered[0] >= 9
        dynamo.throttled = False

        def booked():
            total = first.command("usage", "--key", key_id)["total"]
            return total["requests"] == sum(answered) and total

        wait_for(booked, "every row is there", 60)
        for proxy in (first, second):
            assert proxy.stop() == 0, proxy.logged()
        budgets = first.command("budgets", "show", "key", key_id)["budgets"]
        (budget,) = [one for one in budgets if one["period"] == "total"]
        assert Decimal(str(budget["spent_usd"])) == sum(answered) * REQUEST_COST
        assert Decimal(str(budget["held_usd"])) == 0
