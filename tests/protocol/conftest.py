from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.app import load_model_table
from anthropic_bedrock_proxy.gateway.routing import Registry


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry(load_model_table(), region="us-east-1")
