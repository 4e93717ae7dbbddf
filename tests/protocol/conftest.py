from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.gateway.routing import Registry, RoutingOptions
from anthropic_bedrock_proxy.parts import load_model_table


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry(load_model_table(), RoutingOptions(region="us-east-1"))
