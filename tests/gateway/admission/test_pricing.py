from __future__ import annotations

import msgspec

from anthropic_bedrock_proxy.app.models import load_model_table, load_prices
from anthropic_bedrock_proxy.gateway.admission.pricing import Pricing
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.store.base.catalog import PriceRecord

REGISTRY = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
SONNET = REGISTRY.route("claude-sonnet-4-5").targets[0]
SHIPPED = 3_000_000_000


class World(Pricing):
    """Prices at a time that can be set, in one region."""

    def __init__(self, *prices, region="us-east-1"):
        self.at = 1000.0
        super().__init__(
            REGISTRY.names.behind, lambda _: region, load_prices(), now=lambda: self.at
        )
        self.replace_stored(prices)

    def input(self, target=SONNET):
        rates = self.rates(target)
        return rates and rates.input


def price(nano, *, model="claude-sonnet-4-5", **fields):
    return PriceRecord(model=model, updated_at=0, input_nano=nano, output_nano=nano, **fields)


def test_the_shipped_price_holds_where_the_operator_says_nothing():
    assert World().input() == SHIPPED
    assert World(price(1, model="claude-haiku-4-5")).input() == SHIPPED


def test_a_price_is_found_by_every_name_of_the_model():
    for name in (
        "claude-sonnet-4-5",
        "claude-sonnet-4-5-20250929",
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        SONNET.bedrock_model_id,
    ):
        assert World(price(7, model=name)).input() == 7, name


def test_a_region_beats_the_general_price_only_there():
    prices = (price(1), price(2, region="eu-west-1"))
    assert World(*prices).input() == 1
    assert World(*prices, region="eu-west-1").input() == 2


def test_prices_come_and_go_with_their_dates():
    world = World(price(1, valid_from=2000), price(2, valid_from=3000, valid_until=4000))
    seen = []
    for at in (1000, 1999.9, 2000, 2999, 3000, 3999, 4000, 9999):
        world.at = at
        seen.append(world.input())
    assert seen == [SHIPPED, SHIPPED, 1, 1, 2, 2, 1, 1]


def test_a_change_is_in_force_at_once():
    world = World(price(1))
    assert world.input() == 1
    world.replace_stored([price(5)])
    assert world.input() == 5
    world.replace_stored([])
    assert world.input() == SHIPPED


def test_a_model_without_a_price_has_no_rates():
    assert World().rates(REGISTRY.route("claude-fable-5-2").targets[0]) is None


def test_a_model_that_nobody_lists_can_be_given_a_price():
    target = REGISTRY.route("anthropic.claude-sonnet-9-20300101-v1:0").targets[0]
    assert World().rates(target) is None
    assert World(price(4, model=target.bedrock_model_id)).input(target) == 4


def test_a_profile_is_priced_once_it_is_known_what_is_behind_it():
    registry = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
    target = msgspec.structs.replace(SONNET, bedrock_model_id=arn)
    at = 0.0
    pricing = Pricing(registry.names.behind, lambda _: "us-east-1", load_prices(), now=lambda: at)
    assert pricing.rates(target) is None
    registry.learn_profile(arn, "anthropic.claude-sonnet-4-5-20250929-v1:0")
    at = 11.0
    assert pricing.rates(target).input == SHIPPED * 11 // 10  # of what, it is not told


def test_of_two_prices_under_two_names_it_is_always_the_same():
    bedrock = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    world = World(price(1), price(2, model=bedrock), price(3, model="claude-sonnet-4-5-20250929"))
    assert world.input() == 2


def test_the_most_that_a_call_may_cost():
    def most(target=SONNET, **fields):
        body = {"model": "m", "max_tokens": 1000, "messages": [{"role": "user", "content": "x"}]}
        request = parse_request(msgspec.json.encode(body | fields), "2023-06-01")
        return World(price(10**9)).most(target, request)

    usual = most()
    # 1000 tokens at 1 USD per million, in the dearest tier, and the input at twice that.
    assert 1000 * 1000 * 1.75 < usual < 1000 * 1000 * 1.75 + 3000 * 2000 * 1.75
    assert most(max_tokens=0) < usual < most(max_tokens=2000)
    capabilities = msgspec.structs.replace(SONNET.capabilities, output_tokens=1000)
    lowered = msgspec.structs.replace(SONNET, capabilities=capabilities)
    assert most(lowered, max_tokens=10**30) - usual < 100 * 2000 * 1.75, "it is lowered on its way"
    # Up to a million tokens of context, as the flag of a larger one may be set.
    assert most(messages=[{"role": "user", "content": "x" * 3 * 10**6}]) > 10**6 * 2000 * 1.75
    assert World().most(REGISTRY.route("claude-fable-5-2").targets[0], None) == 0
