"""GET /metrics: who may ask, and how often it is rendered."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from anthropic_bedrock_proxy.errors import AuthenticationError
from anthropic_bedrock_proxy.http.metrics import FRESH_SECONDS, MetricsRoutes


class World:
    def __init__(self, **options):
        self.now = 100.0
        self.rendered = []
        self.routes = MetricsRoutes(self.render, monotonic=lambda: self.now, **options)

    async def render(self, accept):
        self.rendered.append(accept)
        await asyncio.sleep(0)
        return b"%d" % len(self.rendered), "text/plain"

    async def get(self, **headers):
        headers = {name.encode(): value.encode() for name, value in headers.items()}
        return await self.routes.get_metrics(SimpleNamespace(headers=headers))


def test_however_many_ask_it_is_rendered_once_a_second():
    world = World()

    async def main():
        replies = await asyncio.gather(*(world.get() for _ in range(20)))
        assert {reply.body for reply in replies} == {b"1"}
        world.now += FRESH_SECONDS
        assert (await world.get()).body == b"2"

    asyncio.run(main())


def test_openmetrics_is_rendered_for_whoever_takes_it():
    world = World()

    async def main():
        await world.get(accept="application/openmetrics-text; version=1.0.0,text/plain;q=0.5")
        await world.get(accept="text/plain")
        await world.get()

    asyncio.run(main())
    assert world.rendered == ["application/openmetrics-text; version=1.0.0", ""]


@pytest.mark.parametrize("shown", ["", "Bearer wrong", "secret", "bearer secret"])
def test_a_token_has_to_be_shown_if_there_is_one(shown):
    world = World(token="secret")
    with pytest.raises(AuthenticationError, match="METRICS_TOKEN"):
        asyncio.run(world.get(authorization=shown))
    assert asyncio.run(world.get(authorization="Bearer secret")).body == b"1"


def test_without_metrics_there_is_no_route():
    assert list(MetricsRoutes(None).routes()) == []
    (route,) = World().routes.routes()
    assert route.template == "/metrics"
