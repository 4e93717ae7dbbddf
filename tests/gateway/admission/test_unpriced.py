"""Which names have no price, for whoever asks."""

from __future__ import annotations

import time

import pytest

from anthropic_bedrock_proxy.app.models import load_model_table, load_prices
from anthropic_bedrock_proxy.gateway.admission.pricing import Pricing
from anthropic_bedrock_proxy.gateway.admission.unpriced import is_unpriced, unpriced_names
from anthropic_bedrock_proxy.models.registry import Link, Registry, RoutingOptions
from anthropic_bedrock_proxy.store.base.catalog import PriceRecord, SyncedPrices

FABLE = "claude-fable-5-2"  # newer than the shipped list
MYTHOS = "claude-mythos-5-2"
FUTURE = "us.anthropic.claude-sonnet-9-20300101-v1:0"
ARN = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/x"


def names(*allowed, prices=(), synced=None, **options):
    registry = Registry(load_model_table(), RoutingOptions(**{"region": "us-east-1"} | options))
    pricing = Pricing(registry.names.behind, lambda _: "us-east-1", load_prices(), now=time.time)
    pricing.replace_stored(prices, synced)
    return list(unpriced_names(registry, pricing, allowed))


def test_those_that_are_newer_than_the_list_have_none():
    assert names() == [FABLE, MYTHOS]


def test_mapped_names_count_and_come_first():
    mapping = {"fast": "claude-haiku-4-5", "next": FUTURE, "best": FABLE, "lost": "gpt-4"}
    assert names(mapping=mapping) == ["next", "best", FABLE, MYTHOS]


def test_what_is_behind_a_profile_is_not_known_yet():
    assert names(mapping={"ours": ARN}) == [FABLE, MYTHOS]


def test_only_what_can_be_called_here_counts():
    assert names(region="eu-west-1") == []


def test_only_what_a_key_may_use_counts():
    assert names("claude-fable-*") == [FABLE]
    assert names("claude-haiku-*", "best", mapping={"best": FABLE}) == ["best"]


def test_a_price_of_the_operator_s_or_of_a_sync_is_one():
    own = PriceRecord(model=FABLE, updated_at=1, input_nano=1, output_nano=1)
    text = f"model,place,input,output\nanthropic.{MYTHOS},us-east-1,1,2\n"
    synced = SyncedPrices(source="x", synced_at=1, text=text)
    assert names(prices=[own]) == [MYTHOS]
    assert names(synced=synced) == [FABLE]
    assert names(prices=[own], synced=synced) == []


@pytest.mark.parametrize(("second", "unpriced"), [("claude-opus-5", False), (FABLE, True)])
def test_one_target_without_a_price_is_enough(second, unpriced):
    chains = {"claude-haiku-4-5": [Link(), Link(model=second)]}
    registry = Registry(load_model_table(), RoutingOptions(region="us-east-1", chains=chains))
    pricing = Pricing(registry.names.behind, lambda _: "us-east-1", load_prices(), now=time.time)
    assert is_unpriced(registry.route("claude-haiku-4-5"), pricing) is unpriced
