"""The shipped catalogue against the public price list, cell by cell: every difference has a reason.

`public_prices.json` is LiteLLM's list (1.110.2, MIT), reduced to text models on Bedrock; US dollars
per million tokens.
"""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from anthropic_bedrock_proxy.app.models import load_model_table, load_prices
from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.models.geography import PROFILE_PREFIXES, base_model_id
from anthropic_bedrock_proxy.models.prices import PriceList, find_price, places
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions
from anthropic_bedrock_proxy.protocol.answer.cost import cost_nano, rates_of
from anthropic_bedrock_proxy.protocol.answer.metering import Usage
from anthropic_bedrock_proxy.sim.models.lookup import resolve, resolve_for_messages
from anthropic_bedrock_proxy.sim.wire.refusal import Refusal

PUBLIC = json.loads((Path(__file__).parent / "public_prices.json").read_text())
TABLE = load_model_table()
PRICES = load_prices()
TOKENS = 100_000  # below the long context
# Rows that are left out, by a part of their name.
LEFT_OUT = {
    "claude_platform/": "Claude Platform on AWS is not Bedrock",
    "claude-3-7-sonnet-20240620": "a misprint",
    "haiku-4-5@2025": "a name of another cloud",
    "/claude-sonnet-4-5": "a misprint: without its maker",
    "twelvelabs.": "video, priced by the second",
}
LIMITS = {
    "anthropic.claude-sonnet-4-6": "128 000 output tokens [A]",
    "anthropic.claude-3-7-sonnet-20250219-v1:0": "64 000 output tokens [A]",
    "writer.palmyra-x5-v1:0": "a window of a million [A]",
}
CELLS = {
    "input": "input",
    "output": "output",
    "cache_read": "cache_read",
    "cache_write_5m": "cache_write",
    "cache_write_1h": "cache_write_1h",
    "input_above_200k": "long_input",
    "output_above_200k": "long_output",
    "cache_read_above_200k": "long_cache_read",
    "cache_write_5m_above_200k": "long_cache_write",
}


def find(prices, model, dialect, region, *, called):
    return find_price([prices], [model], dialect, region, called=called)


def split(name):
    """(base id, place, dialect, region, the id as it is called) of a row of the public list."""
    parts = name.split("/")
    if parts[0] == "bedrock_mantle":
        region = parts[1] if len(parts) > 2 else "eu-west-9"
        return parts[-1], "/".join(["mantle", *parts[1:-1]]), "mantle", region, parts[-1]
    if parts[0] == "bedrock" and len(parts) > 2:
        return parts[-1], parts[1], "invoke", parts[1], parts[-1]
    prefix, _, rest = parts[-1].partition(".")
    place = prefix if prefix in PROFILE_PREFIXES else ""
    region = "us-gov-west-9" if place == "us-gov" else "eu-west-9"
    return (rest if place else parts[-1]), place, "invoke", region, parts[-1]


def is_left_out(name):
    return name.startswith("claude-") or any(part in name for part in LEFT_OUT)


ROWS = [name for name in PUBLIC if not is_left_out(name)]


def test_every_cell_is_that_of_the_public_list():
    compared = 0
    for name in ROWS:
        base, place, dialect, region, called = split(name)
        price = find(PRICES, base, dialect, region, called=called)
        assert price is not None, name
        assert (price.model, price.place) == (base, place), name
        for theirs, ours in CELLS.items():
            amount = PUBLIC[name].get(theirs)
            expected = None if amount is None else Decimal(repr(amount))
            assert getattr(price, ours) == expected, (name, theirs)
            compared += expected is not None
        for tier in ("batch", "flex", "priority"):
            compared += assert_tier(name, price, tier)
    assert (len(ROWS), len(PUBLIC), compared) == (511 + 2, 539, 2719), "two rows stand twice there"


def assert_tier(name, price, tier):
    """Costs in the tier what the list says, to the nano-dollar."""
    amounts = [PUBLIC[name].get(f"{tier}_{kind}") for kind in ("input", "output")]
    if None in amounts:
        return 0
    how = {"batch": True} if tier == "batch" else {"tier": tier}
    costs = [
        cost_nano(usage, output, rates_of(price), **how)
        for usage, output in ((Usage(input_tokens=TOKENS), 0), (Usage(), TOKENS))
    ]
    assert costs == [round(Decimal(repr(amount)) * 10**8) for amount in amounts], (name, tier)
    return 2


def test_every_model_is_routed_priced_and_within_its_limits():
    routed = []
    for base in sorted({split(name)[0] for name in ROWS}):
        known = base in TABLE.elsewhere.mantle_openai
        region = "us-gov-west-1" if is_only_for_the_government(base) else "us-east-1"
        registry = Registry(TABLE, RoutingOptions(region=region))
        if known:
            with pytest.raises(InvalidRequestError, match="OpenAI"):
                registry.route(base)
            continue
        model = registry.names.find(base)
        assert model is not None, base
        for target in registry.route(model.id).targets:
            called = target.bedrock_model_id
            name = base_model_id(called)
            assert find(PRICES, name, target.dialect, region, called=called), (base, called)
        row = next(PUBLIC[name] for name in ROWS if split(name)[0] == base)
        if base not in LIMITS and "max_output_tokens" in row and base == model.bedrock:
            assert model.output_tokens in limits(base, "max_output_tokens"), base
            assert model.context_tokens in limits(base, "max_input_tokens"), base
        routed.append(base)
    assert len(routed) == 131


def limits(base, name):
    return {PUBLIC[row].get(name) for row in ROWS if split(row)[0] == base}


def is_only_for_the_government(base):
    return all("us-gov" in name for name in ROWS if split(name)[0] == base)


def test_every_profile_of_the_public_list_is_a_profile_of_ours():
    for name in ROWS:
        base, place, *_ = split(name)
        if place in PROFILE_PREFIXES:
            model = Registry(TABLE, RoutingOptions(region="us-east-1")).names.find(base)
            assert place in model.profiles, name


def test_no_mapped_claude_of_today_is_without_a_price():
    today = date(2026, 11, 28)
    registry = Registry(TABLE, RoutingOptions(region="us-east-1"))
    unpriced = [
        model.id
        for model in TABLE.model
        if model.lifecycle_on(today) == "active"
        and not find(PRICES, model.bedrock, "converse", "us-east-1", called=model.bedrock)
    ]
    # Too new, or too old, for the list.
    assert unpriced == [
        "claude-fable-5-2",
        "claude-mythos-5-2",
        "cohere.command-r-plus-v1:0",
        "cohere.command-r-v1:0",
    ]
    assert registry.route("claude-opus-5-5").targets


def test_a_place_that_is_not_listed_costs_what_the_dearest_does():
    opus = "anthropic.claude-opus-5"
    found = find(PRICES, opus, "invoke", "ap-south-1", called=f"in.{opus}")
    assert found.input == Decimal("5.5")
    found = find(PRICES, opus, "invoke", "us-gov-west-1", called=f"in.{opus}")
    assert found.input == 6
    arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/x"
    assert find(PRICES, opus, "invoke", "us-east-1", called=arn).input == Decimal("5.5")
    assert find(PRICES, "nobody.knows", "invoke", "us-east-1", called="nobody.knows") is None


def test_mantle_without_a_row_costs_what_a_geography_does():
    opus = "anthropic.claude-opus-4-8"
    assert places(opus, "mantle", "eu-west-1") == ("mantle/eu-west-1", "mantle", "eu", "eu-west-1")
    assert find(PRICES, opus, "mantle", "eu-west-1", called=opus).place == "eu"


def test_the_list_is_read_once_and_only_when_asked():
    reads = []

    def read():
        reads.append(1)
        return "model,place,input,output,cache_read\nm.x,,1,2,\nm.x,us,3,4,0.5\n"

    prices = PriceList(read)
    assert not reads
    assert find(prices, "m.x", "converse", "us-east-1", called="us.m.x").cache_read == Decimal(
        "0.5"
    )
    assert find(prices, "m.x", "converse", "us-east-1", called="m.x").input == 1
    assert [price.place for price in prices] == ["", "us"]
    assert len(reads) == 1


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "us-gov-west-1"])
def test_the_simulator_knows_whatever_is_called_in_a_region(region):
    """Its catalogue is its own: no fact of it comes from models.toml."""
    registry = Registry(TABLE, RoutingOptions(region=region))
    unknown = set()
    for model in TABLE.model:
        try:
            targets = registry.route(model.id).targets
        except InvalidRequestError:
            continue  # not there
        for target in targets:
            try:
                if target.dialect == "messages":
                    resolve_for_messages(target.bedrock_model_id, {})
                else:
                    resolve(target.bedrock_model_id)
            except Refusal:
                unknown.add(model.id)
    assert unknown == {"claude-instant-1", "claude-v1", "claude-2.1"}, "gone long ago"
