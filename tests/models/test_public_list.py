"""The public price list, from its own form into that of prices.csv."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from anthropic_bedrock_proxy.app.models import load_prices
from anthropic_bedrock_proxy.config.sections.sync import PRICE_PROVIDERS
from anthropic_bedrock_proxy.models.prices import PriceList
from anthropic_bedrock_proxy.models.public_list import PublicListError, read_public_list

PER_MILLION = json.loads((Path(__file__).parent / "public_prices.json").read_text())
NAMES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write_5m": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "input_above_200k": "input_cost_per_token_above_200k_tokens",
    "output_above_200k": "output_cost_per_token_above_200k_tokens",
    "cache_read_above_200k": "cache_read_input_token_cost_above_200k_tokens",
    "cache_write_5m_above_200k": "cache_creation_input_token_cost_above_200k_tokens",
}


def in_their_form():
    """The reduced list that the tests keep, as the public one writes it: dollars per token."""
    return {
        name: {
            "litellm_provider": "bedrock_converse",
            "mode": "chat",
            **{
                theirs: float(Decimal(repr(entry[ours])) / 10**6)
                for ours, theirs in NAMES.items()
                if ours in entry
            },
        }
        for name, entry in PER_MILLION.items()
    }


def test_the_shipped_list_comes_out_of_the_public_one():
    read = PriceList(lambda: read_public_list(json.dumps(in_their_form()), PRICE_PROVIDERS))
    by_key = {(price.model, price.place): price for price in read}
    shipped = list(load_prices())
    assert len(shipped) > 500
    for price in shipped:
        found = by_key[price.model, price.place]
        for name in ("input", "output", "cache_read", "cache_write", "long_input"):
            assert getattr(found, name) == getattr(price, name), (price.model, price.place, name)


def test_tiers_are_taken_and_what_is_no_text_model_of_bedrock_is_not():
    entry = {"litellm_provider": "bedrock", "mode": "chat", "input_cost_per_token": 2e-06}
    entry |= {"output_cost_per_token": 1e-05, "input_cost_per_token_batches": 1e-06}
    entry |= {"output_cost_per_token_flex": 0.0, "cache_read_input_token_cost": 0}
    entry |= {"input_cost_per_token_flex": 1e-06, "output_cost_per_token_priority": 1.75e-05}
    listed = {
        "sample_spec": {"mode": "one of"},
        "us.m.x": entry,
        "gpt": entry | {"litellm_provider": "openai"},
        "m.embed": entry | {"mode": "embedding"},
        "m.free": {"litellm_provider": "bedrock", "mode": "chat"},
        "m.odd": entry | {"input_cost_per_token": True},
        "m.paid-back": entry | {"input_cost_per_token": -1e-06},
        "m.endless": entry | {"input_cost_per_token": 7e-99},
        "m.unknown": entry | {"input_cost_per_token": 0, "output_cost_per_token": 0.0},
        "m.half-known": entry | {"output_cost_per_token": -0.0},
    }
    text = json.dumps(listed).replace("7e-99", "1e-999999999")
    (price,) = PriceList(lambda: read_public_list(text, PRICE_PROVIDERS))
    assert (price.model, price.place, price.input, price.output) == ("m.x", "us", 2, 10)
    assert (price.batch_input, price.flex_input, price.flex_output) == (1, 1, None)
    assert (price.priority_output, price.cache_read) == (Decimal("17.5"), 0)


@pytest.mark.parametrize("text", ["", "<html>", "[]", "{}", '{"x": 1}', "[" * 100_000])
def test_what_is_no_list_is_refused(text):
    with pytest.raises(PublicListError):
        read_public_list(text, PRICE_PROVIDERS)


ENTRY = {
    "litellm_provider": "bedrock",
    "mode": "chat",
    "input_cost_per_token": 1e-06,
    "output_cost_per_token": 1e-06,
}


@pytest.mark.parametrize(
    "number", ["1e99999999999999999999", "-1e99999999999999999999", "1" * 5000, "NaN", "Infinity"]
)
def test_a_number_beyond_all_bounds_spoils_no_list(number):
    text = json.dumps({"m.x": ENTRY, "m.odd": ENTRY | {"input_cost_per_token": 7e-99}})
    (price,) = PriceList(lambda: read_public_list(text.replace("7e-99", number), PRICE_PROVIDERS))
    assert price.model == "m.x"


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("m.y", "mode", ["chat"]),
        ("m.y", "mode", {}),
        ("m.y", "litellm_provider", ["bedrock"]),
        ("m.y", "input_cost_per_token", [1]),
        ("m.y", "input_cost_per_token", "1e-06"),
        *(
            (name, "mode", "chat")
            for name in (
                *("", "/", "m.\ny", "m.\ry", "m.\u2028y", "m.\x0by", "m.\x85y", "\ud800"),
                *("m,y", 'm"y', "m y", "m.\x1b[31my", "m" * 200_000, "bedrock/a b/m.y"),
            )
        ),
    ],
)
def test_an_odd_entry_spoils_no_list(name, field, value):
    text = json.dumps({name: ENTRY | {field: value}, "us.m.x": ENTRY})
    providers = frozenset({"bedrock"})  # a list is no member of any set
    (price,) = PriceList(lambda: read_public_list(text, providers))
    assert (price.model, price.place) == ("m.x", "us")
    json.dumps(read_public_list(text, providers)).encode()
