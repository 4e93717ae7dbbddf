"""What is left out of failover chains, and that nothing else is."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.app.models import load_model_table, missing_targets
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.models.chain_gaps import chain_gaps
from anthropic_bedrock_proxy.models.registry import Link, Registry, RoutingOptions

TABLE = load_model_table()
US, SYDNEY = Link(), Link(provider="sydney")


def registry(geography="regional", **chains):
    options = RoutingOptions(
        region="us-east-1",
        providers={"sydney": "ap-southeast-2"},
        chains={name.replace("_", "-"): links for name, links in chains.items()},
        geography=geography,
    )
    return Registry(TABLE, options)


def test_a_target_without_a_profile_is_left_out_and_told():
    made = registry(claude_opus_4=(US, SYDNEY))
    assert [target.provider for target in made.route("claude-opus-4").targets] == ["default"]
    (gap,) = chain_gaps(made)
    assert (gap.chain, gap.provider) == ("claude-opus-4", "sydney")
    assert gap.line().startswith("FAILOVER_CHAINS, claude-opus-4: sydney is left out: ")
    assert "claude-opus-4" in gap.reason


def test_where_none_is_left_requests_are_refused():
    made = registry(claude_opus_4=(SYDNEY,))
    with pytest.raises(InvalidRequestError, match="claude-opus-4"):
        made.route("claude-opus-4")
    (gap,) = chain_gaps(made)
    assert (gap.provider, gap.line().split(": ")[1]) == ("", "no target is left")


def test_a_model_that_is_unknown_is_told():
    (gap,) = chain_gaps(registry(claude_opus_4=(US, Link(model="claude-of-tomorrow"))))
    assert gap.reason == "claude-of-tomorrow"


def test_the_chain_of_every_model_has_one_line_for_a_provider():
    gaps = [gap for gap in chain_gaps(registry(**{"*": (US, SYDNEY)})) if gap.provider]
    assert [(gap.chain, gap.provider) for gap in gaps] == [("*", "sydney")]
    assert " more are not to be had there" in gaps[0].reason


def test_chains_without_gaps_say_nothing():
    assert chain_gaps(registry("global", claude_haiku_4_5=(US, SYDNEY))) == []


@pytest.mark.parametrize(("enabled", "lines"), [("true", 1), ("false", 0)])
def test_the_start_tells_it_unless_failover_is_off(enabled, lines):
    environ = {
        "AWS_REGION": "us-east-1",
        "INFERENCE_GEOGRAPHY": "regional",
        "PROVIDERS": '{"sydney": {"region": "ap-southeast-2"}}',
        "FAILOVER_CHAINS": '{"claude-opus-4": ["default", "sydney"]}',
        "FAILOVER_ENABLED": enabled,
    }
    assert len(missing_targets(load_settings(environ=environ, env_file=None))) == lines
