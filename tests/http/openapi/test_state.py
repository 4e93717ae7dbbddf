"""The description of the paths about the state, held against what they answer."""

from __future__ import annotations

import asyncio
import json

import pytest

from anthropic_bedrock_proxy.health.components import Components, Look
from anthropic_bedrock_proxy.health.findings import OK, Finding
from anthropic_bedrock_proxy.http.health import Health
from anthropic_bedrock_proxy.http.openapi.state import schemas
from anthropic_bedrock_proxy.http.sandbox_health import SandboxHealth
from anthropic_bedrock_proxy.http.search_health import SearchHealth
from anthropic_bedrock_proxy.sandbox.wire import ExecutorState
from anthropic_bedrock_proxy.search.state import BackendState

SCHEMAS = schemas()
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool}


def check(schema, value, where="the document"):
    """Holds a value against a schema of this file: every field has to be described."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        if value is None:
            return
        schema = schema["anyOf"][0] | {"description": schema["description"]}
    assert schema["description"], where
    if "enum" in schema:
        assert value in schema["enum"], where
    elif schema["type"] == "array":
        for item in value:
            check({"description": "-"} | schema["items"], item, f"{where}[]")
    elif schema["type"] == "object":
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        assert set(schema.get("required", ())) <= set(value), where
        for name, inner in value.items():
            if name in properties:
                check(properties[name], inner, f"{where}.{name}")
            elif isinstance(others, dict):  # any name
                check(others or {"description": "-", "enum": [inner]}, inner, f"{where}.{name}")
            else:
                pytest.fail(f"{where}: {name} is not described")
    else:
        assert isinstance(value, TYPES[schema["type"]]), where


def answer(routes, path):
    (route,) = [one for one in routes if one.template == path]
    return route.methods["GET"](None)


@pytest.mark.parametrize("state", ["ok", "degraded", "failed", "unknown"])
@pytest.mark.parametrize("draining", [False, True])
def test_every_field_of_health_and_readiness_is_described(state, draining):
    found = {"store": Finding(state=state, reason="r"), "upstream": OK, "credentials": OK}

    async def look():
        return found

    async def main():
        components = Components([Look(tuple(found), look)])
        health = Health(environment="calm", components=components)
        paths = {"/health": "Health", "/ready": "Readiness", "/liveness": "Liveness"}
        for looked in range(2):
            health.draining = draining and bool(looked)
            for path, name in paths.items():
                reply = await answer(health.routes(), path)
                check(SCHEMAS[name], json.loads(reply.body), f"{path} {name}")

    asyncio.run(main())


@pytest.mark.parametrize(
    "states",
    [
        None,
        {"unix:///x": None},
        {"unix:///x": ExecutorState(status="ready", details={"image": "i"}, containers=1)},
        {"unix:///x": ExecutorState(status="unavailable", reason="no Docker")},
    ],
)
def test_every_field_of_the_health_of_sandboxes_is_described(states):
    health = SandboxHealth(None if states is None else lambda: states, {"isolation": "auto"})
    reply = asyncio.run(answer(health.routes(), "/health/ptc"))
    check(SCHEMAS["SandboxHealth"], json.loads(reply.body))


@pytest.mark.parametrize(
    "states",
    [
        None,
        [BackendState(name="tavily")],
        [BackendState(name="tavily", status="failed", reason="r", age_seconds=1.0, failed=1)],
    ],
)
def test_every_field_of_the_health_of_web_search_is_described(states):
    health = SearchHealth(None if states is None else lambda: states, {"max_results": 5}, "r")
    reply = asyncio.run(answer(health.routes(), "/health/web-search"))
    check(SCHEMAS["SearchHealth"], json.loads(reply.body))


def test_a_field_that_is_not_described_is_found():
    with pytest.raises(pytest.fail.Exception, match="new"):
        check(SCHEMAS["Liveness"], {"status": "alive", "new": 1})
