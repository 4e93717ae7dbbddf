"""GET /health/web-search: what anybody may know of web search."""

from __future__ import annotations

import asyncio
import json

import pytest

from anthropic_bedrock_proxy.http.search_health import SearchHealth
from anthropic_bedrock_proxy.search.state import BackendState

IDLE = BackendState(name="tavily")
WELL = BackendState(name="exa", status="ok", age_seconds=1.26, succeeded=3, failed=1)
AWAY = BackendState(
    name="brave",
    status="failed",
    reason="arn:aws:bedrock-agentcore:us-east-1:123456789012:x",
    age_seconds=2.0,
    failed=4,
)


def told(states, reason=""):
    health = SearchHealth(None if states is None else lambda: states, {"max_results": 5}, reason)
    [route] = health.routes()
    assert route.template == "/health/web-search"
    reply = asyncio.run(route.methods["GET"](None))
    return reply.status, json.loads(reply.body)


def test_where_nobody_searches_it_says_why():
    assert told(None, "no key") == (
        200,
        {
            "enabled": False,
            "status": "disabled",
            "reason": "no key",
            "config": {"max_results": 5},
        },
    )


@pytest.mark.parametrize(
    ("states", "status", "word"),
    [
        ([IDLE], 200, "idle"),
        ([WELL], 200, "healthy"),
        ([WELL, IDLE], 200, "healthy"),
        ([AWAY], 503, "unhealthy"),
        ([AWAY, AWAY], 503, "unhealthy"),
        ([AWAY, WELL], 200, "degraded"),
        ([AWAY, IDLE], 200, "degraded"),
    ],
)
def test_it_is_as_well_as_its_back_ends_together(states, status, word):
    code, body = told(states)
    assert (code, body["status"], body["enabled"]) == (status, word, True)


def test_each_back_end_is_told_and_no_account():
    _, body = told([WELL, AWAY, IDLE])
    assert body["backends"][0] == {
        "name": "exa",
        "status": "healthy",
        "reason": "",
        "age_seconds": 1.3,
        "succeeded": 3,
        "failed": 1,
    }
    assert body["backends"][1]["reason"] == "arn:aws:bedrock-agentcore:us-east-1:(account):x"
    assert body["backends"][2]["age_seconds"] is None
