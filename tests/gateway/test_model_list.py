"""What a key sees of the models, under which names."""

from __future__ import annotations

from datetime import date

import pytest
from store_rows import a_key

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.errors import NotFoundError
from anthropic_bedrock_proxy.gateway.model_list import ModelList
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions
from anthropic_bedrock_proxy.store.base.callers import Caller

OPTIONS = RoutingOptions(
    region="us-east-1",
    mapping={"fast": "claude-haiku-4-5", "ours": "zai.glm-4.7", "broken": "nothing"},
)
MODELS = ModelList(Registry(load_model_table(), OPTIONS), server_tools=("code_execution",))


def key(*allowed):
    return Caller(a_key(allowed_models=allowed))


def ids(owner=None, models=MODELS):
    return [model["id"] for model in models.page({"limit": ["1000"]}, owner)["data"]]


def test_names_of_the_operator_come_first_and_those_that_lead_nowhere_not_at_all():
    assert ids()[:2] == ["fast", "ours"]
    assert "broken" not in ids()
    assert MODELS.retrieve("fast", None)["display_name"] == "Claude Haiku 4.5"


def test_a_key_sees_what_it_may_use():
    assert ids(key("fast", "claude-opus-5*")) == ["fast", "claude-opus-5-5", "claude-opus-5"]
    assert MODELS.retrieve("claude-opus-5[1m]", key("claude-opus-5"))["line"] == "opus"
    with pytest.raises(NotFoundError):
        MODELS.retrieve("claude-haiku-4-5", key("claude-opus-5"))


def test_a_region_shows_what_it_has():
    registry = Registry(load_model_table(), RoutingOptions(region="us-gov-west-1"))
    seen = ids(models=ModelList(registry))
    assert "claude-opus-5-5" in seen
    assert "claude-opus-4-5-20251101" not in seen
    assert "xai.grok-4.3" not in seen


def test_what_the_proxy_runs_itself_is_a_capability_where_there_are_tools():
    tools = {
        name: MODELS.retrieve(name, None)["capabilities"] for name in ("fast", "deepseek.r1-v1:0")
    }
    assert tools["fast"]["server_tools"] == {
        "supported": True,
        "code_execution": {"supported": True},
        "web_search": {"supported": False},
    }
    assert tools["deepseek.r1-v1:0"]["code_execution"] == {"supported": False}


def test_a_model_ends_while_a_worker_lives():
    days = [date(2026, 10, 13), date(2026, 10, 14)]
    models = ModelList(Registry(load_model_table(), OPTIONS), today=lambda: days[0])
    sonnet = "claude-sonnet-4-20250514"
    assert models.retrieve(sonnet, None)["lifecycle"] == "deprecated"
    assert sonnet in ids(models=models)
    del days[0]
    assert models.retrieve(sonnet, None)["lifecycle"] == "retired"
    assert sonnet not in ids(models=models)
