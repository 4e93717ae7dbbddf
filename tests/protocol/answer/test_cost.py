from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from cost_cases import CASES
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.app.models import load_prices
from anthropic_bedrock_proxy.models.prices import find_price
from anthropic_bedrock_proxy.money import dollars, nano_rounded_up
from anthropic_bedrock_proxy.protocol.answer.cost import (
    Rates,
    cost_nano,
    most_nano,
    rates_of,
)
from anthropic_bedrock_proxy.protocol.answer.metering import CacheCreation, Usage

SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"
SONNET_RATES = rates_of(find_price([load_prices()], [SONNET], "invoke", "us-east-1", called=SONNET))
COUNTS = st.integers(0, 10**9)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.nano is not None])
def test_the_table(name):
    case = CASES[name]
    usage = msgspec.convert(case.usage, Usage)
    rates = SONNET_RATES
    if case.price is not None:
        rates = Rates.of(input=case.price[0], output=case.price[1])
    assert case.nano == cost_nano(
        usage,
        usage.output_tokens,
        rates,
        tier=case.tier,
        batch=case.batch,
        writes_for_an_hour=case.cache_ttl == "1h",
    )


def test_customary_ratios_fill_what_a_price_does_not_name():
    rates = Rates.of(input=3_000_000_001, output=1)
    assert (rates.cache_read, rates.cache_write, rates.cache_write_1h) == (
        300_000_001,
        3_750_000_002,
        6_000_000_002,
    )
    named = Rates.of(input=1, output=2, cache_read=3, cache_write=4, cache_write_1h=5)
    assert (named.cache_read, named.cache_write, named.cache_write_1h) == (3, 4, 5)
    assert named.dearest_input == 5
    assert Rates.of(input=1, output=2, cache_read=9).dearest_input == 9


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.sampled_from([None, "flex", "priority"]))
def test_never_negative_and_never_above_what_is_held_for_it(given_, read, short, long, out, tier):
    usage = Usage(
        input_tokens=given_,
        output_tokens=out,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=short + long,
        cache_creation=CacheCreation(short, long),
    )
    cost = cost_nano(usage, out, SONNET_RATES, tier=tier)
    assert 0 <= cost <= most_nano(given_ + read + short + long, out, SONNET_RATES)


def test_nothing_told_costs_nothing():
    assert cost_nano(Usage(), 0, SONNET_RATES) == 0


@given(st.integers(0, 10**18))
def test_dollars_are_exact(amount):
    text = dollars(amount)
    assert nano_rounded_up(Decimal(text)) == amount
    assert msgspec.json.decode(text.encode(), type=Decimal) == Decimal(text)
