"""Every answer is priced the same, streamed and not; clients are told if the operator wants it."""

from __future__ import annotations

import asyncio

import pytest
from cost_cases import CASES, SONNET
from http_client import Client
from streams import MESSAGE, chunk_frame, encode

from anthropic_bedrock_proxy.store.base.catalog import PriceRecord

SERVED = {name: case for name, case in CASES.items() if not case.batch}


def answered(proxy, case, *, stream):
    message = MESSAGE | {"usage": case.usage}
    proxy.upstream.service_tier = case.tier
    if stream:
        start = {"type": "message_start", "message": message | {"content": [], "stop_reason": None}}
        delta = {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": case.usage["output_tokens"]},
        }
        events = (start, delta, {"type": "message_stop"})
        proxy.upstream.script.append([chunk_frame(encode(event)) for event in events])
    else:
        proxy.upstream.script.append(encode(message))
    if case.price is not None:
        price = PriceRecord(
            model=case.model, updated_at=0, input_nano=case.price[0], output_nano=case.price[1]
        )
        proxy.pricing.replace_stored([price])
    body = {
        "model": case.model,
        "max_tokens": 5000,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": stream,
    }
    secret = proxy.add_key(cache_ttl=case.cache_ttl)
    client = Client(proxy.app, headers={"x-api-key": secret}, body=body)
    return asyncio.run(client.send())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", SERVED)
def test_the_table(make_proxy, name, stream):
    proxy, case = make_proxy(), SERVED[name]
    answer = answered(proxy, case, stream=stream)
    assert answer.status == 200
    (record,) = proxy.records
    assert record.cost_nano == case.nano
    assert "x-cost-usd" not in answer.headers
    assert b"cost_usd" not in answer.body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", ["plain", "unpriced"])
def test_the_client_is_told(make_proxy, name, stream):
    case = SERVED[name]
    answer = answered(make_proxy(report_cost=True), case, stream=stream)
    if case.nano is None:
        assert b"cost_usd" not in answer.body
    else:
        assert b'"cost_usd":0.0105' in answer.body
    if not stream:
        told = answer.headers.get("x-cost-usd")
        assert told == (None if case.nano is None else "0.0105")
        usage = answer.json["usage"]
        assert {**case.usage, **usage} == usage, "nothing else has changed"


def test_sonnet_is_priced():
    assert all(case.model == SONNET for name, case in CASES.items() if name != "unpriced")


@pytest.mark.parametrize(("tier", "cost"), [("default", 30), ("flex", 15), ("priority", 53)])
def test_the_tier_that_converse_says(proxy, tier, cost):
    """It says so in the body, where Anthropic's usage has no word for most of them."""
    model = "amazon.nova-lite-v1:0"
    price = PriceRecord(model=model, updated_at=0, input_nano=10**6, output_nano=10**6)
    proxy.pricing.replace_stored([price])
    answer = {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 10, "outputTokens": 20, "totalTokens": 30},
        "metrics": {"latencyMs": 1},
        "serviceTier": {"type": tier},
    }
    proxy.upstream.script.append(encode(answer))
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": model, "max_tokens": 100, "messages": messages}
    client = Client(proxy.app, headers={"x-api-key": proxy.add_key()}, body=body)
    assert asyncio.run(client.send()).status == 200
    (record,) = proxy.records
    assert record.cost_nano == cost
