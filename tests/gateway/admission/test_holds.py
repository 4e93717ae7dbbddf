"""What is held for a request: nothing, what is usual, or the most."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.app.models import load_model_table, load_prices
from anthropic_bedrock_proxy.gateway.admission.holds import FIRST_OUTPUT, Holds
from anthropic_bedrock_proxy.gateway.admission.pricing import Pricing
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions
from anthropic_bedrock_proxy.protocol.request.messages import parse_request

REGISTRY = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
PRICING = Pricing(REGISTRY.names.behind, lambda _: "us-east-1", load_prices(), now=lambda: 0.0)
HAIKU, OPUS = (REGISTRY.route(name).targets[0] for name in ("claude-haiku-4-5", "claude-opus-5-5"))
# Nano-dollars for each token of Haiku 4.5.
INPUT, OUTPUT, READ = 1000, 5000, 100


def request(max_tokens, size=4000):
    body = {"model": "m", "max_tokens": max_tokens}
    body["messages"] = [{"role": "user", "content": "x" * size}]
    return parse_request(msgspec.json.encode(body), "2023-06-01")


def given_tokens(one):
    return sum(map(len, one.fields.values())) // 4


def amount(holds, max_tokens=100_000, key="k", targets=(HAIKU,)):
    return holds.amount(key, targets, request(max_tokens)).nano


def learn(holds, output, *, factor=1.0, given=1_000_000):
    """A request whose input was estimated to cost `given`, and has cost `factor` times as much."""
    holds.learn("k", HAIKU, output, int(given * factor) + output * OUTPUT, given)


def test_off_holds_nothing_and_max_the_most():
    assert amount(Holds("off", PRICING)) == 0
    assert amount(Holds("max", PRICING)) == PRICING.most(HAIKU, request(100_000))


def test_what_nobody_knows_is_expected_to_write_some_thousand_tokens():
    holds = Holds("expected", PRICING)
    given_ = given_tokens(request(100_000))
    assert amount(holds) == given_ * INPUT + FIRST_OUTPUT * OUTPUT
    assert amount(holds, max_tokens=10) == given_tokens(request(10)) * INPUT + 10 * OUTPUT


def test_what_is_usual_is_learnt_by_key_and_model():
    holds = Holds("expected", PRICING)
    for _ in range(50):
        learn(holds, 200)
    given_ = given_tokens(request(100_000))
    assert amount(holds) == pytest.approx(given_ * INPUT + 200 * OUTPUT, rel=0.01)
    assert amount(holds, key="other") == given_ * INPUT + FIRST_OUTPUT * OUTPUT
    assert amount(holds, targets=(HAIKU, OPUS)) > FIRST_OUTPUT * 20_000  # the dearer of the two


def test_the_example_of_the_theory():
    holds = Holds("expected", PRICING)
    usual = []
    for output in (100, 100, 900):
        learn(holds, output)
        usual.append((amount(holds) - given_tokens(request(100_000)) * INPUT) / OUTPUT)
    assert usual == [200, 175, pytest.approx(656, abs=1)]


@pytest.mark.parametrize("factor", [0.0, 0.12, 1.0, 7.0])
def test_what_input_costs_of_its_estimate_is_learnt(factor):
    """Less where it is read from the cache, more where bytes tell little of the tokens."""
    holds = Holds("expected", PRICING)
    for _ in range(60):
        learn(holds, 1, factor=factor)
    given_ = given_tokens(request(100_000))
    assert amount(holds) == pytest.approx(given_ * factor * INPUT + OUTPUT, rel=0.01)


def test_nonsense_teaches_little():
    holds = Holds("expected", PRICING)
    learn(holds, 1, factor=10**6)
    holds.learn("k", HAIKU, 10, 0, 0)  # nothing was held
    assert amount(holds) <= 100 * given_tokens(request(100_000)) * INPUT + 2 * OUTPUT


@given(st.lists(st.integers(0, 10**7), max_size=30), st.integers(0, 10**6))
def test_never_more_than_max_tokens_would_cost(outputs, max_tokens):
    holds = Holds("expected", PRICING)
    for output in outputs:
        learn(holds, output)
    given_ = given_tokens(request(max_tokens))
    assert given_ * INPUT <= amount(holds, max_tokens) <= given_ * INPUT + max_tokens * OUTPUT


def test_images_are_no_text():
    holds = Holds("expected", PRICING)
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 10**6}
    body = {"model": "m", "max_tokens": 1}
    body["messages"] = [{"role": "user", "content": [{"type": "image", "source": source}]}]
    one = parse_request(msgspec.json.encode(body), "2023-06-01")
    assert holds.amount("k", (HAIKU,), one).nano < 5000 * INPUT


def test_a_model_without_a_price_holds_nothing():
    nobody = REGISTRY.route("anthropic.claude-sonnet-9").targets
    assert Holds("expected", PRICING).amount("k", nobody, request(10)).nano == 0
