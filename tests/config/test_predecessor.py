"""The predecessor's `.env`, with every name it reads, loads without complaint."""

from __future__ import annotations

from pathlib import Path

import pytest
from dotenv import dotenv_values

from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.config.aws_names import SDK
from anthropic_bedrock_proxy.config.predecessor import IGNORED
from anthropic_bedrock_proxy.config.schema import fields
from anthropic_bedrock_proxy.config.settings import SECTIONS

ENV = Path(__file__).with_name("predecessor.env")


@pytest.fixture(scope="module")
def settings():
    return load_settings(environ={}, env_file=ENV)


def test_no_complaint(settings):
    assert settings.warnings == ()


def test_values_arrive(settings):
    assert settings.server.host == "0.0.0.0"
    assert (settings.server.port, settings.server.workers) == (8080, 4)
    assert (settings.server.log_level, settings.server.environment) == ("INFO", "production")
    assert settings.aws.region == "eu-central-1"
    assert settings.aws.access_key_id == "AKIAIOSFODNN7EXAMPLE"
    assert settings.aws.session_token is None
    assert settings.aws.bedrock_endpoint_url is None
    assert settings.auth.master_api_key == "sk-dev-master-key"
    assert settings.upstream.total_timeout_seconds == 1800
    assert settings.models.default_cache_ttl == "1h"
    assert settings.models.default_model_mapping == {
        "claude-sonnet-4-6": "global.anthropic.claude-sonnet-4-6"
    }
    assert settings.models.beta_header_mapping == {
        "advanced-tool-use-2025-11-20": ("tool-examples-2025-10-29", "tool-search-tool-2025-10-19")
    }
    assert settings.models.beta_headers_blocklist == ("prompt-caching-scope-2026-01-05",)


def test_every_name_is_in_force_or_explained(settings):
    explained = {entry.name for entry in settings.no_effect}
    acted_on = {
        field.name
        for cls in SECTIONS.values()
        for field in fields(cls)
        if not field.setting.no_effect
    }
    for name in map(str.upper, dotenv_values(ENV)):
        assert (name in acted_on) != (name in explained), name


def test_a_name_is_declared_once():
    names = [field.name for cls in SECTIONS.values() for field in fields(cls)]
    aliases = [
        a for cls in SECTIONS.values() for field in fields(cls) for a in field.setting.aliases
    ]
    # AWS's name for the endpoint of all services that have none of their own.
    aliases = [alias for alias in aliases if alias != "AWS_ENDPOINT_URL"]
    everything = [*names, *aliases, *IGNORED, *SDK]
    assert "AWS_ENDPOINT_URL" in SDK
    assert len(everything) == len(set(everything))
    assert all(name == name.upper() for name in everything)
