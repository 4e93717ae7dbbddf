"""What the store says reaches the overrides, in the right order."""

from __future__ import annotations

import asyncio

from anthropic_bedrock_proxy.app.catalog import CatalogUpdates
from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.gateway.overrides.known import capabilities_of
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions
from anthropic_bedrock_proxy.store.base.catalog import ANY, CapabilityOverride
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.memory.catalog import MemoryCatalog
from anthropic_bedrock_proxy.store.memory.store import MemoryStore

FLAG = "interleaved-thinking-2025-05-14"
REGISTRY = Registry(load_model_table(), RoutingOptions(region="us-east-1"))


def test_the_operator_s_word_for_every_model_beats_what_one_model_refused():
    target = REGISTRY.route("claude-haiku-4-5").targets[0]
    model = "anthropic.claude-haiku-4-5-20251001-v1:0"

    async def main():
        store = MemoryStore()
        for model_id, source in ((model, "learned"), (ANY, "operator")):
            await store.catalog.put_override(
                CapabilityOverride(
                    model=model_id,
                    dialect=ANY,
                    kind="beta",
                    name=FLAG,
                    allowed=source == "operator",
                    source=source,
                    updated_at=1,
                )
            )
        live = CatalogUpdates(
            store.catalog,
            REGISTRY,
            interval_seconds=60,
            new_control=None,
            on_providers=lambda _: None,
            on_prices=lambda _, __: None,
        )
        await live.begin()
        await live.close()
        return capabilities_of(target, live.overrides.view(target, "key_1")).betas

    assert FLAG in asyncio.run(main())


def an_override(**fields):
    common = {"model": "m", "dialect": "invoke", "kind": "beta", "name": FLAG, "allowed": False}
    return CapabilityOverride(**common, source="learned", updated_at=1, **fields)


class Slow(MemoryCatalog):
    """A catalog whose first writing takes longest."""

    def __init__(self):
        super().__init__(lambda: None)
        self.patience = 5

    async def put_override(self, override):
        self.patience -= 2
        for _ in range(self.patience):
            await asyncio.sleep(0)
        return await super().put_override(override)


def live_on(catalog):
    return CatalogUpdates(
        catalog,
        REGISTRY,
        interval_seconds=60,
        new_control=None,
        on_providers=lambda _: None,
        on_prices=lambda _, __: None,
    )


async def settled(live):
    while live._tasks:
        await asyncio.gather(*live._tasks)


def test_what_was_learned_reaches_the_store_in_its_order():
    first = an_override(witnesses=("a",), confirmations=1, expires_at=9)
    second = an_override(witnesses=("a", "b"), confirmations=2, expires_at=9)

    async def main():
        catalog = Slow()
        live = live_on(catalog)
        for override in (first, second):
            live.overrides._put(override)
        await settled(live)
        await live.close()
        assert await catalog.overrides() == [second]
        assert not live.overrides._known._own

    asyncio.run(main())


def test_a_store_that_is_down_leaves_it_to_this_worker(caplog):
    def down():
        raise StoreError("down")

    async def main():
        live = live_on(MemoryCatalog(down))
        live.overrides._put(an_override(witnesses=("a", "b"), confirmations=2, expires_at=9))
        await settled(live)
        await live.close()
        assert live.overrides._known._own

    asyncio.run(main())
    assert "only this worker knows" in caplog.text
