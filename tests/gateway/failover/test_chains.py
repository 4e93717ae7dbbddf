"""FAILOVER_CHAINS and PROVIDERS as the operator writes them."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.app.build import check
from anthropic_bedrock_proxy.app.models import make_registry
from anthropic_bedrock_proxy.config import SettingsError, load_settings
from anthropic_bedrock_proxy.gateway.failover.chains import parse_link
from anthropic_bedrock_proxy.models.registry import Link

ARN = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/a=b"
ROLE = "arn:aws:iam::123456789012:role/x"


def settings(**values):
    return load_settings(environ=values, env_file=None)


def problems(**values):
    with pytest.raises(SettingsError) as wrong:
        check(settings(**values))
    return wrong.value.problems


@pytest.mark.parametrize(
    ("entry", "link"),
    [
        ("default", Link()),
        ("west", Link(provider="west")),
        ("west/converse", Link(provider="west", dialect="converse")),
        ("west=claude-haiku-4-5", Link(provider="west", model="claude-haiku-4-5")),
        (f"west/invoke={ARN}", Link(provider="west", dialect="invoke", model=ARN)),
    ],
)
def test_entries(entry, link):
    assert parse_link(entry, {"west"}) == link


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("north", r"no provider 'north' \(there are: default, west\)"),
        ("", "no provider ''"),
        ("west/", "no dialect ''"),
        ("west/grpc", r"no dialect 'grpc' \(there are: invoke"),
        ("west=", "no model after"),
    ],
)
def test_wrong_entries_say_what_would_be_right(entry, words):
    with pytest.raises(ValueError, match=words):
        parse_link(entry, {"west"})


def test_every_problem_names_its_setting_and_its_entry():
    told = problems(FAILOVER_CHAINS='{"claude-opus-4-8": ["default", "north", "x/y"], "*": []}')
    assert len(told) == 3
    assert all(line.startswith("FAILOVER_CHAINS, ") for line in told)
    assert "'north' in the chain of 'claude-opus-4-8'" in told[0]
    assert "'*' has no targets" in told[2]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('{"regoin": "us-west-2", "region": "us-west-2"}', "unknown field regoin"),
        ("{}", "required field region"),
        ('{"region": "mars"}', "region is not"),
        ('{"region": "us-west-2", "endpoint_url": "ftp://x"}', "endpoint_url"),
        ('{"region": "us-west-2", "access_key_id": "hidden-value"}', "belong together"),
        ('{"region": "us-west-2", "profile": "p", "bearer_token": "hidden-value"}', "one of"),
        ('{"region": "us-west-2", "session_token": "hidden-value"}', "session_token"),
        ('{"region": "us-west-2", "external_id": "hidden-value"}', "external_id"),
        ('{"region": "us-west-2", "role_arn": "hidden-value"}', "role_arn"),
        (f'{{"region": "us-west-2", "bearer_token": "b", "role_arn": "{ROLE}"}}', "be assumed"),
    ],
)
def test_wrong_providers(entry, words):
    (line,) = problems(PROVIDERS=f'{{"west": {entry}}}')
    assert line.startswith("PROVIDERS, 'west': ")
    assert words in line
    assert "hidden-value" not in line


@pytest.mark.parametrize("name", ["default", "", "a/b", "a b", "-x", "é"])
def test_wrong_names_of_providers(name):
    (line,) = problems(PROVIDERS=f'{{"{name}": {{"region": "us-west-2"}}}}')
    assert "a name has up to 64 letters" in line


def test_routes_follow_the_chain_and_the_regions():
    registry = make_registry(
        settings(
            PROVIDERS='{"tokyo": {"region": "ap-northeast-1"}}',
            FAILOVER_CHAINS='{"claude-haiku-4-5": ["default", "tokyo=claude-sonnet-4-5"]}',
        )
    )
    targets = registry.route("claude-haiku-4-5").targets
    assert [target.provider for target in targets] == ["default", "tokyo"]
    assert [target.provider for target in registry.route("claude-opus-4-5").targets] == ["default"]


def test_failover_can_be_off():
    off = settings(FAILOVER_ENABLED="false", FAILOVER_CHAINS='{"*": ["nowhere"]}')
    assert len(make_registry(off).route("claude-haiku-4-5").targets) == 1
