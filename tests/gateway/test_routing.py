from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.app import load_model_table
from anthropic_bedrock_proxy.errors import NotFoundError
from anthropic_bedrock_proxy.gateway.routing import Registry, RoutingOptions

TABLE = load_model_table()
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
ARN = "arn:aws:bedrock:us-east-1:111122223333:"


def route(name, *, region="us-east-1", **options):
    return Registry(TABLE, RoutingOptions(region=region, **options)).route(name)


def first_id(name, **options):
    return route(name, **options).targets[0].bedrock_model_id


@pytest.mark.parametrize(
    ("name", "bedrock_id", "base"),
    [
        ("claude-haiku-4-5-20251001", f"global.{HAIKU}", HAIKU),
        ("claude-haiku-4-5", f"global.{HAIKU}", HAIKU),
        ("claude-haiku-4-5[1m]", f"global.{HAIKU}", HAIKU),
        (f"us.{HAIKU}", f"us.{HAIKU}", HAIKU),
        (HAIKU, HAIKU, HAIKU),
        ("us.anthropic.claude-x", "us.anthropic.claude-x", "anthropic.claude-x"),
        (f"{ARN}inference-profile/us.{HAIKU}", f"{ARN}inference-profile/us.{HAIKU}", HAIKU),
        (f"{ARN}application-inference-profile/x", f"{ARN}application-inference-profile/x",
         f"{ARN}application-inference-profile/x"),
    ],
)  # fmt: skip
def test_names(name, bedrock_id, base):
    found = route(name)
    assert found.requested_model == name
    assert {target.bedrock_model_id for target in found.targets} == {bedrock_id}
    assert found.base_model_id == base


@pytest.mark.parametrize(
    ("region", "model", "bedrock_id"),
    [
        ("us-west-2", "claude-haiku-5-5", "us.anthropic.claude-haiku-5-5"),
        ("eu-central-1", "claude-haiku-5-5", "us.anthropic.claude-haiku-5-5"),
        ("eu-central-1", "claude-opus-4-5", "global.anthropic.claude-opus-4-5-20251101-v1:0"),
        ("us-gov-west-1", "claude-opus-4-5", "global"),
        ("ap-northeast-1", "claude-3-5-haiku-20241022", "us."),
    ],
)
def test_profiles_by_region(region, model, bedrock_id):
    if bedrock_id == "global":
        assert not first_id(model, region=region).startswith("global.a")
        return
    assert first_id(model, region=region).startswith(bedrock_id)


@pytest.mark.parametrize(
    "name", ["gpt-4", "", "unknown.model-v1:0", "us.", "x" * 500, "anthropic." + "x" * 2040]
)
def test_unknown_models(name):
    with pytest.raises(NotFoundError, match="model: ") as refused:
        route(name)
    assert len(refused.value.message) < 300


def test_the_operator_s_mapping_wins():
    mapping = {"opus": f"us.{HAIKU}", "claude-opus-4-5": "claude-haiku-4-5", "gone": "gpt-4"}
    assert first_id("opus", mapping=mapping) == f"us.{HAIKU}"
    assert route("opus[1m]", mapping=mapping).base_model_id == HAIKU
    assert route("claude-opus-4-5", mapping=mapping).base_model_id == HAIKU
    with pytest.raises(NotFoundError, match="model: gone"):
        route("gone", mapping=mapping)


def test_routes_are_remembered_but_not_for_ever():
    registry = Registry(TABLE, RoutingOptions(region="us-east-1"))
    first = registry.route("claude-haiku-4-5")
    assert registry.route("claude-haiku-4-5") is first
    for number in range(5000):
        registry.route(f"anthropic.claude-{number}")
    assert len(registry._routes) <= 1024
