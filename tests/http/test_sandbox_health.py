"""GET /health/ptc: what anybody may know of sandboxes."""

from __future__ import annotations

import asyncio
import json

import pytest

from anthropic_bedrock_proxy.http.sandbox_health import SandboxHealth
from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress
from anthropic_bedrock_proxy.sandbox.wire import ExecutorState

ONE, TWO = "http://executor.internal:8600", "unix:///run/sandbox.sock"
READY = ExecutorState(
    status="ready",
    details={"image": "mine:1"},
    isolation="docker",
    containers=3,
    running=1,
    waiting=2,
    warm=1,
)
AWAY = ExecutorState(status="unavailable", reason="no Docker: start it")
PULLING = ExecutorState(status="preparing", isolation="docker", reason="the image is on its way")


def told(states):
    health = SandboxHealth(None if states is None else lambda: states, {"isolation": "auto"})
    [route] = health.routes()
    assert route.template == "/health/ptc"
    reply = asyncio.run(route.methods["GET"](None))
    return reply.status, json.loads(reply.body)


def test_where_code_is_never_run_it_says_so():
    assert told(None) == (
        200,
        {"enabled": False, "status": "disabled", "config": {"isolation": "auto"}},
    )


@pytest.mark.parametrize(
    ("states", "status", "word"),
    [
        ({ONE: None}, 200, "starting"),
        ({ONE: PULLING}, 200, "starting"),
        ({ONE: READY}, 200, "healthy"),
        ({ONE: AWAY}, 503, "unhealthy"),
        ({ONE: AWAY, TWO: READY}, 200, "healthy"),
        ({ONE: AWAY, TWO: None}, 200, "starting"),
        ({ONE: ExecutorState(status="idle")}, 200, "idle"),
        ({ONE: ExecutorState(status="of the future")}, 503, "unhealthy"),
    ],
)
def test_an_installation_is_as_well_as_its_best_executor(states, status, word):
    code, body = told(states)
    assert (code, body["status"], body["enabled"]) == (status, word, True)


def test_each_executor_is_told_by_its_mark_and_not_by_its_address():
    _, body = told({ONE: READY, TWO: AWAY})
    one, two = body["executors"]
    assert one == {
        "id": ExecutorAddress.from_url(ONE).mark,
        "status": "healthy",
        "isolation": "docker",
        "image": "mine:1",
        "reason": "",
        "containers": 3,
        "running": 1,
        "waiting": 2,
        "warm": 1,
    }
    assert two["reason"] == "no Docker: start it"
    assert body["active_sessions"] == 3
    assert "internal" not in json.dumps(body)
    assert "/run" not in json.dumps(body)


def test_the_account_of_a_registry_is_told_to_nobody():
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/box:1"
    state = ExecutorState(
        status="unavailable", details={"image": image}, reason=f"the image {image} is not here"
    )
    health = SandboxHealth(lambda: {ONE: state}, {"sandbox_image": image, "network_disabled": True})
    [route] = health.routes()
    body = json.loads(asyncio.run(route.methods["GET"](None)).body)
    hidden = "(account).dkr.ecr.us-east-1.amazonaws.com/box:1"
    assert body["config"] == {"sandbox_image": hidden, "network_disabled": True}
    assert body["executors"][0]["image"] == hidden
    assert body["executors"][0]["reason"] == f"the image {hidden} is not here"
