"""The end of a model in the words of errors."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.errors import NotFoundError, OverloadedError
from anthropic_bedrock_proxy.gateway.retirement import explained
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions

TABLE = load_model_table()
REGISTRY = Registry(TABLE, RoutingOptions(region="us-east-1"))
GONE = NotFoundError("This model version has reached the end of its life.", cause="aws:X")


def test_a_model_that_is_gone_names_the_day_and_the_newest_of_its_line():
    error = explained(GONE, REGISTRY.route("claude-sonnet-4-20250514"), REGISTRY)
    assert error.message == (
        "This model version has reached the end of its life. (model: claude-sonnet-4-20250514 is "
        "retired on 2026-10-14; the newest of its line here is claude-sonnet-5-5)"
    )
    assert (error.status, error.cause) == (404, "aws:X")


def test_it_is_the_newest_that_the_region_has():
    here = Registry(TABLE, RoutingOptions(region="us-gov-west-1"))
    route = here.route("us-gov.anthropic.claude-3-haiku-20240307-v1:0")
    assert "claude-haiku-5-5" in explained(GONE, route, here).message


def test_of_another_maker_s_models_none_is_newest():
    model = next(
        one
        for one in TABLE.model
        if one.ends_at is not None and not one.bedrock.startswith("anthropic.")
    )
    error = explained(GONE, REGISTRY.route(model.bedrock), REGISTRY)
    assert error.message.endswith(f"{model.id} is retired on {model.ends_at}; see GET /v1/models)")


@pytest.mark.parametrize(
    ("error", "model"),
    [(GONE, "claude-opus-5-5"), (OverloadedError("busy"), "claude-sonnet-4-20250514")],
)
def test_other_errors_and_models_stay_as_they_are(error, model):
    assert explained(error, REGISTRY.route(model), REGISTRY) is error
