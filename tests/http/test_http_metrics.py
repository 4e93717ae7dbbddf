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
        self.at_once = self.most_at_once = self.failures = 0
        self.routes = MetricsRoutes(self.render, monotonic=lambda: self.now, **options)

    async def render(self, accept):
        self.rendered.append(accept)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(10):
            await asyncio.sleep(0)
        self.at_once -= 1
        if len(self.rendered) <= self.failures:
            raise OSError("no memory")
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


def test_who_asks_and_leaves_at_once_causes_one_rendering_which_others_get():
    world = World()

    async def main():
        for _ in range(3):
            asking = asyncio.create_task(world.get())
            while not world.at_once:
                await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        assert (await world.get()).body == b"1"

    asyncio.run(main())


def test_one_rendering_runs_at_a_time_of_either_form():
    world = World()

    async def main():
        await asyncio.gather(world.get(), world.get(accept="application/openmetrics-text"))

    asyncio.run(main())
    assert (len(world.rendered), world.most_at_once) == (2, 1)


def test_a_rendering_that_failed_is_made_anew_for_the_next():
    world = World()
    world.failures = 1

    async def main():
        with pytest.raises(OSError, match="no memory"):
            await world.get()
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
