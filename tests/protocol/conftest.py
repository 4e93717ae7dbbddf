from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry(load_model_table(), RoutingOptions(region="us-east-1"))
