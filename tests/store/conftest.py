"""A store for what stands before it: the journal and its parts."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.store.memory.store import MemoryStore


@pytest.fixture
def store():
    return MemoryStore()
