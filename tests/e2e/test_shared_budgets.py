"""A budget of one dollar, spent by three processes at once."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import msgspec
import pytest
from dynamo_servers import fresh_names, server
from servers import command, proxy_environment, wait_for
from streaming import post

CONCURRENT = 200
BUDGET = Decimal(1)
REPLY = {
    "reply": {
        "content": [{"type": "text", "text": "Yes."}],
        "usage": {"input_tokens": 1000, "output_tokens": 200},
    },
    "delay_ms": 50,
    "times": "forever",
}
# Haiku 4.5: 1000 input tokens at 1 USD and 200 output tokens at 5 USD per million.
REQUEST_COST = Decimal("0.002")
REFUSALS = 20  # in a row, until a client gives up: with holds, what others hold may come back


async def ask(url, key, *, stream):
    """One request; whole and streamed ones are of one size, so that one estimate fits both."""
    return await post(url, key, stream=stream, text="Hello!" if stream else "Hello")


async def spend(urls, key):
    """(successes, refusals) of CONCURRENT clients that go on until each was refused for good."""
    successes = refusals = 0

    async def client(number):
        nonlocal successes, refusals
        refused = 0
        while refused < REFUSALS:
            read = await ask(urls[number % len(urls)], key, stream=number % 2 == 0)
            if read.status == 200:
                successes += 1
                refused = 0
                continue
            if read.status == 503:  # the ledger took its time
                await asyncio.sleep(0.1)
                continue
            error = msgspec.json.decode(read.body)["error"]
            assert (read.status, error["type"]) == (403, "permission_error"), read
            assert error["details"]["error_code"] == "budget_exceeded"
            assert "monthly budget of 1 USD of the key" in error["message"]
            assert read.headers["x-should-retry"] == "false"
            refused += 1
            refusals += 1
            await asyncio.sleep(0.1)

    await asyncio.gather(*(client(number) for number in range(CONCURRENT)))
    return successes, refusals


@pytest.fixture(params=["sqlite", "dynalite"])
def store(request, tmp_path):
    """Settings of a store that processes share, its tables made."""
    if request.param == "sqlite":
        return {"STORE_URL": f"sqlite:///{tmp_path}/shared/proxy.db"}
    settings = {
        "STORE_URL": "dynamodb://",
        "DYNAMODB_ENDPOINT_URL": server("dynalite"),
        **{
            f"DYNAMODB_{name.upper()}_TABLE": table
            for name, table in msgspec.structs.asdict(fresh_names()).items()
        },
    }
    environment = proxy_environment(tmp_path, "http://127.0.0.1:1", settings)
    command(tmp_path, environment, "tables", "create")
    return settings


@pytest.mark.parametrize("holds", ["off", "expected", "max"])
def test_three_processes_and_one_dollar(sim, start, tmp_path, store, holds):
    sim.script([REPLY])
    settings = {**store, "BUDGET_HOLDS": holds, "JOURNAL_INTERVAL": "0.2"}
    # Or a machine under load shows something else: who waits for a second for the ledger goes on.
    settings["BUDGETS_ON_FAILURE"] = "closed"
    proxies = [start(tmp_path / name, **settings) for name in ("one", "two", "three")]
    key_id, key = proxies[0].create_key("spender", "--monthly-budget", "1", "--rate-limit", "99999")
    urls = [proxy.url for proxy in proxies]
    for url in urls:  # each learns what is usual: before that, nobody knows what to hold
        assert asyncio.run(ask(url, key, stream=True)).status == 200
    successes, refusals = asyncio.run(spend(urls, key))
    successes += len(urls)
    spent = successes * REQUEST_COST
    print(f"spent {spent} USD of {BUDGET}, {successes} answers, {refusals} refusals")
    assert refusals >= REFUSALS * CONCURRENT
    if holds == "max":
        assert spent <= BUDGET, "nothing is overspent"
    elif holds == "expected":
        assert spent <= BUDGET + 3 * REQUEST_COST, "but by the only one in a process"
    else:
        assert spent <= BUDGET + CONCURRENT * REQUEST_COST, "but what was running"
    assert spent >= BUDGET * Decimal("0.97"), "nobody is blocked by mistake"

    def booked():
        total = proxies[0].command("usage", "--key", key_id)["total"]
        return total["requests"] == successes and total

    total = wait_for(booked, "every row is there")
    assert Decimal(str(total["cost_usd"])) == spent
    for proxy in proxies:
        assert proxy.stop() == 0, proxy.logged()
    budget = proxies[0].command("budgets", "show", "key", key_id)["budgets"][0]
    assert Decimal(str(budget["spent_usd"])) == spent
    assert Decimal(str(budget["held_usd"])) == 0
