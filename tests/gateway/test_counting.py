"""count_tokens: what Bedrock is asked, and when it is not."""

from __future__ import annotations

import asyncio
from base64 import b64decode

import pytest
from streams import decode, encode

from anthropic_bedrock_proxy.errors import ProxyError, UpstreamRefusal
from anthropic_bedrock_proxy.fetch.base import NoFetcher
from anthropic_bedrock_proxy.gateway.counting import ESTIMATE_HEADER, Counting
from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.gateway.routing import DEFAULT_PLACE, Registry, RoutingOptions
from anthropic_bedrock_proxy.gateway.sources import Sources
from anthropic_bedrock_proxy.parts import load_model_table
from anthropic_bedrock_proxy.upstream.fake import FakeUpstream

REGISTRY = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
BODY = {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "Hello"}]}
ACCOUNT = "arn:aws:bedrock:us-east-1:123456789012"


def count(change, *script):
    """(reply, the calls made)"""
    upstream = FakeUpstream(list(script))
    exchange = Exchange("req_1", started=0.0, at_ms=0)
    exchange.version = "2023-06-01"
    counting = Counting(
        {DEFAULT_PLACE: upstream}, REGISTRY, Sources(NoFetcher()), monotonic=lambda: 0.0
    )
    reply = asyncio.run(counting.handle(exchange, encode({**BODY, **change})))
    return reply, upstream.calls


@pytest.mark.parametrize(
    ("change", "max_tokens"),
    [
        ({}, 1),
        ({"thinking": None}, 1),
        ({"thinking": {"type": "adaptive"}}, 1),
        ({"thinking": {"type": "disabled", "budget_tokens": 5}}, 1),
        ({"thinking": {"type": "enabled", "budget_tokens": 31_999}}, 32_000),
        ({"thinking": {"type": "enabled", "budget_tokens": -9}}, 1),
        ({"thinking": {"type": "enabled"}}, 1),
        ({"thinking": {"type": "enabled", "budget_tokens": "x"}}, 1),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}, "max_tokens": 50}, 50),
    ],
)
def test_max_tokens_is_over_the_budget_for_thinking(change, max_tokens):
    _, (call,) = count(change, encode({"inputTokens": 5}))
    body = decode(b64decode(decode(call.body)["input"]["invokeModel"]["body"]))
    assert body["max_tokens"] == max_tokens


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        (f"{ACCOUNT}:application-inference-profile/abc", False),
        (f"{ACCOUNT}:provisioned-model/abc", False),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-new-v1:0", True),
        ("anthropic.claude-new-v1:0", True),
    ],
)
def test_only_base_models_can_be_counted(model, asked):
    reply, calls = count({"model": model}, encode({"inputTokens": 5}))
    assert bool(calls) == asked
    assert (ESTIMATE_HEADER in reply.headers) != asked


@pytest.mark.parametrize(
    "words",
    [
        "The provided model doesn't support counting tokens.",
        "CountTokens is not available for this model",
        "Invocation of model ID x with on-demand throughput isn\u2019t supported.",
    ],
)
def test_models_without_counting_are_estimated(words):
    reply, _ = count({}, UpstreamRefusal("ValidationException", words))
    assert ESTIMATE_HEADER in reply.headers


@pytest.mark.parametrize(
    "words",
    [
        "Access to this model is not available for channel program accounts.",
        "The account does not support this.",
    ],
)
def test_an_account_is_not_a_count(words):
    with pytest.raises(ProxyError, match=words[:20]):
        count({}, UpstreamRefusal("ValidationException", words))


def test_what_may_not_be_counted_in_the_region_is_estimated():
    registry = Registry(load_model_table(), RoutingOptions(region="us-east-1", geography="eu"))
    upstream = FakeUpstream()
    exchange = Exchange("req_1", started=0.0, at_ms=0)
    exchange.version = "2023-06-01"
    counting = Counting(
        {DEFAULT_PLACE: upstream}, registry, Sources(NoFetcher()), monotonic=lambda: 0.0
    )
    body = encode({**BODY, "model": "claude-opus-4-8"})
    assert ESTIMATE_HEADER in asyncio.run(counting.handle(exchange, body)).headers
    assert not upstream.calls


def test_counting_runs_no_tool():
    """What a pending search would find is loaded for the model, and would count."""
    search = {"type": "tool_search_tool_regex", "name": "tool_search_tool_regex"}
    schema = {"type": "object"}
    huge = {"name": "huge", "description": "x" * 40_000, "input_schema": schema}
    asked = {
        "type": "server_tool_use",
        "id": "srvtoolu_1",
        "name": "tool_search_tool_regex",
        "input": {"pattern": "huge"},
    }
    change = {
        "model": "qwen.qwen3-32b-v1:0",
        "tools": [search, {"name": "run", "input_schema": schema}, {**huge, "defer_loading": True}],
        "messages": [*BODY["messages"], {"role": "assistant", "content": [asked]}],
    }
    reply, calls = count(change)
    assert not calls
    assert 10 < decode(reply.body)["input_tokens"] < 1000
