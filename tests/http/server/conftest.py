from __future__ import annotations

import pytest
from wire_requests import BOUNDS

from anthropic_bedrock_proxy.http.server.clock import Clock
from anthropic_bedrock_proxy.http.server.connection import Connection


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def connection(clock):
    return Connection(BOUNDS, clock)


@pytest.fixture
def later(connection, clock):
    """`later(5)` is a tick five seconds later."""

    def later(seconds, unsent=0):
        clock.now += seconds
        connection.tick(unsent=unsent)
        return connection.leave

    return later
