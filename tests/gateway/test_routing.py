from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.app import load_model_table
from anthropic_bedrock_proxy.errors import NotFoundError
from anthropic_bedrock_proxy.gateway.routing import Registry

TABLE = load_model_table()
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
ARN = "arn:aws:bedrock:us-east-1:111122223333:"


def route(name, *, region="us-east-1", mapping=None):
    return Registry(TABLE, region=region, mapping=mapping).route(name)


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
    assert (found.requested_model, found.bedrock_model_id) == (name, bedrock_id)
    assert found.base_model_id == base
    assert found.dialect == "invoke"


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
        assert not route(model, region=region).bedrock_model_id.startswith("global.a")
        return
    assert route(model, region=region).bedrock_model_id.startswith(bedrock_id)


@pytest.mark.parametrize(
    "name", ["gpt-4", "", "amazon.nova-pro-v1:0", "us.", "x" * 500, "anthropic." + "x" * 2040]
)
def test_unknown_models(name):
    with pytest.raises(NotFoundError, match="model: ") as refused:
        route(name)
    assert len(refused.value.message) < 300


def test_the_operator_s_mapping_wins():
    mapping = {"opus": f"us.{HAIKU}", "claude-opus-4-5": "claude-haiku-4-5", "gone": "gpt-4"}
    assert route("opus", mapping=mapping).bedrock_model_id == f"us.{HAIKU}"
    assert route("opus[1m]", mapping=mapping).base_model_id == HAIKU
    assert route("claude-opus-4-5", mapping=mapping).base_model_id == HAIKU
    with pytest.raises(NotFoundError, match="model: gone"):
        route("gone", mapping=mapping)


def test_routes_are_remembered_but_not_for_ever():
    registry = Registry(TABLE, region="us-east-1")
    first = registry.route("claude-haiku-4-5")
    assert registry.route("claude-haiku-4-5") is first
    for number in range(5000):
        registry.route(f"anthropic.claude-{number}")
    assert len(registry._routes) <= 1024
