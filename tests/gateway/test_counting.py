"""count_tokens: what Bedrock is asked, and when it is not."""

from __future__ import annotations

import asyncio
from base64 import b64decode

import pytest
from factories import make_counters, make_counting
from probe import PROBE, Probe
from streams import decode, encode
from working import search_tools

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.errors import ProxyError, RateLimitError
from anthropic_bedrock_proxy.fetch.base import Fetched, NoFetcher
from anthropic_bedrock_proxy.gateway.admission.admission import Admission
from anthropic_bedrock_proxy.gateway.admission.rate_limits import LimitOptions
from anthropic_bedrock_proxy.gateway.counting import Counting, TokenCount
from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.gateway.sources import Sources
from anthropic_bedrock_proxy.models.registry import DEFAULT_PROVIDER, Registry, RoutingOptions
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.store.base.callers import Caller, KeyRecord
from anthropic_bedrock_proxy.store.base.ledger import Account
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.tools.toolset import Toolset
from anthropic_bedrock_proxy.upstream.fake import FakeUpstream

REGISTRY = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
BODY = {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "Hello"}]}
ACCOUNT = "arn:aws:bedrock:us-east-1:123456789012"


def count(change, *script, toolset=None):
    """(reply, the calls made)"""
    upstream = FakeUpstream(list(script))
    exchange = Exchange("req_1", started=0.0, at_ms=0)
    exchange.version = "2023-06-01"
    upstreams = {DEFAULT_PROVIDER: upstream}
    counting = make_counting(upstreams, REGISTRY, monotonic=lambda: 0.0, toolset=toolset)
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
    assert reply.estimated != asked


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
    assert reply.estimated


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
        {DEFAULT_PROVIDER: upstream},
        registry,
        Sources(NoFetcher()),
        Admission(None),
        search_tools(),
        monotonic=lambda: 0.0,
    )
    body = encode({**BODY, "model": "claude-opus-4-8"})
    assert asyncio.run(counting.handle(exchange, body)).estimated
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
    assert 10 < reply.input_tokens < 1000


def test_counting_does_not_even_prepare_a_tool():
    class Untouchable(Probe):
        def prepare(self, context):
            raise AssertionError("a count runs nothing")

    asked = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "probe", "input": {"n": 1}}
    model = "qwen.qwen3-32b-v1:0"
    opened = [*BODY["messages"], {"role": "assistant", "content": [asked]}]
    counts = []
    for messages in (BODY["messages"], opened):
        change = {"model": model, "tools": [PROBE], "messages": messages}
        count_of, calls = count(change, toolset=Toolset([Untouchable().kind]))
        assert not calls
        counts.append(count_of.input_tokens)
    # The call and an empty result are counted, and nothing that it would bring.
    assert counts[0] < counts[1] < counts[0] + 100


def test_models_that_cannot_be_counted_are_remembered_within_bounds():
    """Clients name the models."""
    refused = UpstreamRefusal("ValidationException", "CountTokens is not available")
    upstream = FakeUpstream([refused] * 1100)
    counting = Counting(
        {DEFAULT_PROVIDER: upstream},
        REGISTRY,
        Sources(NoFetcher()),
        Admission(None),
        search_tools(),
        monotonic=lambda: 0.0,
    )

    async def main():
        for number in range(1100):
            exchange = Exchange("req_1", started=0.0, at_ms=0, version="2023-06-01")
            model = f"anthropic.claude-{number}"
            await counting.handle(exchange, encode({**BODY, "model": model}))

    asyncio.run(main())
    assert len(counting._without) <= 1024


@pytest.mark.parametrize(
    ("model", "listed"), [("claude-haiku-4-5", True), ("anthropic.claude-made-up", False)]
)
def test_the_exchange_tells_whose_tokens_were_counted_and_whether_it_is_listed(model, listed):
    exchange = Exchange("req_1", started=0.0, at_ms=0, version="2023-06-01")
    upstreams = {DEFAULT_PROVIDER: FakeUpstream([encode({"inputTokens": 5})])}
    counting = make_counting(upstreams, REGISTRY, monotonic=lambda: 0.0)
    asyncio.run(counting.handle(exchange, encode({**BODY, "model": model})))
    assert (exchange.model, exchange.listed) == (model, listed)
    assert len(exchange.timeline.upstream) == 1
    assert exchange.target is None  # no model was called


IMAGE = {"type": "image", "source": {"type": "url", "url": "https://a.example/"}}
WITH_URL = [{"role": "user", "content": [IMAGE]}]


class Keyed:
    """Counts for a key, and whatever others would notice of it."""

    def __init__(self, *, rate=1000, spent_nano=0, script=(), **fields):
        self.upstream = FakeUpstream(script)
        self.fetched = []
        self.now = 1000.0
        store = MemoryStore()
        asyncio.run(store.ledger.import_spent(Account("key:k", "total"), spent_nano))
        limits = LimitOptions(requests=rate)
        counters = make_counters(
            self, REGISTRY, monotonic=lambda: self.now, store=store, limits=limits
        )
        self.admission = Admission(counters)
        self.counting = Counting(
            {DEFAULT_PROVIDER: self.upstream},
            REGISTRY,
            Sources(self),
            self.admission,
            search_tools(),
            monotonic=lambda: self.now,
        )
        self.caller = Caller(
            KeyRecord(id="k", name="", secret_hint="", created_at=0, updated_at=0, **fields)
        )

    async def fetch(self, url, *, accept, max_bytes, key):
        self.fetched.append((url, key))
        return Fetched(b"\x89PNG", "image/png", url)

    def exchange(self):
        exchange = Exchange("req_1", started=0.0, at_ms=0, version="2023-06-01")
        exchange.caller, exchange.key_id = self.caller, "k"
        return exchange

    def count(self, **change):
        body = encode({**BODY, **change})
        return asyncio.run(self.counting.handle(self.exchange(), body))


def test_a_key_without_budget_gets_an_estimate_and_orders_nothing():
    """20 counts fetched 1000 URLs for a key with a budget of nothing."""
    world = Keyed(total_budget_nano=0)
    for _ in range(20):
        assert world.count(messages=WITH_URL).estimated
        assert world.count().estimated
    assert not world.fetched
    assert not world.upstream.calls


def test_a_key_with_budget_left_gets_bedrock_s_count_and_spends_nothing():
    world = Keyed(total_budget_nano=5, script=[encode({"inputTokens": 5})] * 9)
    for _ in range(9):
        assert world.count(messages=WITH_URL) == TokenCount(5)
    assert world.fetched == [("https://a.example/", "k")] * 9
    (slice_,) = world.admission._counters.budgets.slices.values()
    assert (slice_.available, slice_.running) == (
        1,
        0,
    )  # the slice that was borrowed, whole


def test_a_budget_that_was_used_up_elsewhere_counts():
    world = Keyed(total_budget_nano=5, spent_nano=5)
    assert world.count(messages=WITH_URL).estimated
    assert not world.fetched


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        ({"allowed_models": ("claude-opus-*",)}, {}),
        ({"allowed_tools": ("x",)}, {"tools": [{"name": "y", "input_schema": {}}]}),
        ({"allowed_models": ("nothing",)}, {"model": f"{ACCOUNT}:application-inference-profile/a"}),
    ],
)
def test_what_a_key_may_not_use_it_may_not_count(fields, change):
    world = Keyed(**fields)
    with pytest.raises(ProxyError, match="this key may not use"):
        world.count(messages=WITH_URL, **change)
    assert not world.fetched
    assert not world.upstream.calls


def test_for_a_profile_that_may_hide_anything_nothing_is_fetched():
    profile = f"{ACCOUNT}:application-inference-profile/a"
    restricted = Keyed(allowed_models=("claude-haiku-*",))
    assert restricted.count(messages=WITH_URL, model=profile).estimated
    assert not restricted.fetched


def test_counts_have_a_rate_limit_of_their_own():
    world = Keyed(rate=3, script=[encode({"inputTokens": 5})] * 9)
    for _ in range(3):
        world.count()
    with pytest.raises(RateLimitError, match="3 token counts per minute of the key k") as refused:
        world.count(messages=WITH_URL)
    assert refused.value.retry_after > 0
    assert not world.fetched
    request = parse_request(encode({**BODY, "max_tokens": 1}), "2023-06-01")
    route = REGISTRY.route(BODY["model"])
    lease = asyncio.run(world.admission.admit(world.exchange(), request, route, b""))
    lease.settle()


@pytest.mark.parametrize("answer", [b"{}", b"no JSON", b'{"inputTokens": "1"}', b"[" * 5000])
def test_an_answer_without_a_count_is_made_up_for_by_an_estimate(answer):
    reply, _ = count({}, answer)
    assert reply.input_tokens > 0
    assert reply.estimated
