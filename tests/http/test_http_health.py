"""/health and /ready, told of components that a test lets fail."""

from __future__ import annotations

import asyncio

import pytest
from clocks import Clock
from factories import make_application
from http_client import Client

from anthropic_bedrock_proxy import __version__
from anthropic_bedrock_proxy.health.components import KEPT_SECONDS, Components, Look
from anthropic_bedrock_proxy.health.findings import OK, Finding
from anthropic_bedrock_proxy.http.health import Health


class Asked:
    """An application whose components are what a test says."""

    def __init__(self):
        self.found = {"store": OK, "credentials": OK, "upstream": OK, "limiter": OK}
        self.looks = 0
        self.clock = Clock()
        components = Components([Look(tuple(self.found), self._look)], monotonic=self.clock)
        health = Health(environment="calm", components=components, monotonic=self.clock)
        self._app = make_application(health=health)

    async def _look(self):
        self.looks += 1
        return self.found

    def fail(self, name):
        self.found = self.found | {name: Finding(state="failed", reason="gone", detail="10.0.0.7")}

    async def ask(self, path):
        answer = await Client(self._app, "GET", path).send()
        self.clock.now += KEPT_SECONDS
        return answer


@pytest.fixture
def run():
    return lambda work: asyncio.run(work(Asked()))


@pytest.mark.parametrize("name", ["credentials", "upstream"])
def test_ready_is_refused_while_something_required_has_failed(run, name):
    async def work(asked):
        assert (await asked.ask("/ready")).json["status"] == "ready"
        asked.fail(name)
        answer = await asked.ask("/ready")
        assert (answer.status, answer.json["missing"]) == (503, [name])
        assert answer.json["components"][name] == {
            "state": "failed",
            "age_seconds": 0.0,
            "reason": "gone",
        }
        assert b"10.0.0.7" not in answer.body
        asked.found = asked.found | {name: OK}
        assert (await asked.ask("/ready")).status == 200

    run(work)


def test_the_store_is_required_until_it_has_answered_once(run):
    async def work(asked):
        asked.fail("store")
        assert (await asked.ask("/ready")).status == 503
        asked.found = asked.found | {"store": OK}
        assert (await asked.ask("/ready")).status == 200
        asked.fail("store")
        answer = await asked.ask("/ready")
        assert (answer.status, answer.json["components"]["store"]["state"]) == (200, "failed")

    run(work)


def test_health_answers_200_and_begins_no_look_at_first(run):
    async def work(asked):
        first = await asked.ask("/health")
        assert (first.status, first.json["status"], asked.looks) == (200, "healthy", 0)
        assert first.json["components"]["store"]["state"] == "unknown"
        asked.fail("limiter")
        second = (await asked.ask("/health")).json
        assert second["components"]["store"]["state"] == "unknown"  # nobody waits for a look
        third = (await asked.ask("/health")).json
        assert (third["status"], third["components"]["limiter"]["state"]) == ("degraded", "failed")
        assert (third["version"], third["environment"]) == (__version__, "calm")
        assert third["uptime_seconds"] == 2 * KEPT_SECONDS
        asked.fail("upstream")
        await asked.ask("/health")
        last = await asked.ask("/health")
        assert (last.status, last.json["status"]) == (200, "unhealthy")

    run(work)


def test_liveness_looks_at_nothing(run):
    async def work(asked):
        asked.fail("upstream")
        assert (await asked.ask("/liveness")).json == {"status": "alive"}
        assert asked.looks == 0

    run(work)
