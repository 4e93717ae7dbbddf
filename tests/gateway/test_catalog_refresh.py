"""What was changed in the catalog reaches the registry."""

from __future__ import annotations

import asyncio
import logging

import pytest

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.gateway.catalog_refresh import CatalogRefresh
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions
from anthropic_bedrock_proxy.store.base.catalog import ModelMapping, ProviderRecord
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.memory.store import MemoryStore

HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
OPUS = "us.anthropic.claude-opus-4-8"
PROVIDER = ProviderRecord(name="west", region="us-west-2", created_at=1, updated_at=1)


def mapping(bedrock_id):
    return ModelMapping(alias="fast", bedrock_id=bedrock_id, updated_at=1)


@pytest.fixture
def registry():
    return Registry(load_model_table(), RoutingOptions(region="us-east-1"))


def goes_to(registry):
    return registry.route("fast").targets[0].bedrock_model_id


def test_everything_at_first_and_then_what_changed(registry):
    told = []

    async def main():
        store = MemoryStore()
        await store.catalog.put_mapping(mapping(HAIKU))
        refresh = CatalogRefresh(
            store.catalog, registry, on_overrides=told.append, on_providers=told.append
        )
        assert await refresh.refresh_once()
        assert goes_to(registry) == HAIKU
        assert told == [[], []]
        assert not await refresh.refresh_once()
        assert told == [[], []]
        await store.catalog.put_mapping(mapping(OPUS))
        await store.catalog.put_provider(PROVIDER)
        assert await refresh.refresh_once()
        assert goes_to(registry) == OPUS
        assert told[2:] == [[], [PROVIDER]]

    asyncio.run(main())


def test_an_empty_catalog_is_told_once_too(registry):
    told = []

    async def main():
        refresh = CatalogRefresh(MemoryStore().catalog, registry, on_overrides=told.append)
        assert await refresh.refresh_once()
        assert not await refresh.refresh_once()

    asyncio.run(main())
    assert told == [[]]


def test_a_change_while_it_reads_is_seen_the_next_time(registry):
    async def main():
        store = MemoryStore()
        refresh = CatalogRefresh(
            store.catalog,
            registry,
            on_overrides=lambda _: loop.create_task(store.catalog.put_mapping(mapping(OPUS))),
        )
        loop = asyncio.get_running_loop()
        await refresh.refresh_once()
        await asyncio.sleep(0)
        assert await refresh.refresh_once()
        assert goes_to(registry) == OPUS

    asyncio.run(main())


def test_an_outage_is_logged_once_and_what_was_known_stays(registry, caplog):
    async def main():
        store = MemoryStore()
        await store.catalog.put_mapping(mapping(HAIKU))
        polls = []

        async def sleep(seconds):
            polls.append(seconds)
            store.down = 1 < len(polls) < 5 or 6 < len(polls) < 8
            if len(polls) == 5:
                await store.catalog.put_mapping(mapping(OPUS))
            assert goes_to(registry) == (HAIKU if len(polls) < 6 else OPUS)
            if len(polls) == 10:
                raise asyncio.CancelledError

        refresh = CatalogRefresh(store.catalog, registry, interval_seconds=7, sleep=sleep)
        with pytest.raises(asyncio.CancelledError):
            await refresh.run()
        assert set(polls) == {7}
        store.down = True
        with pytest.raises(StoreError):
            await refresh.refresh_once()

    with caplog.at_level(logging.INFO):
        asyncio.run(main())
    told = [record.message.partition(",")[0] for record in caplog.records]
    assert told == ["the catalog cannot be read", "the catalog can be read again"] * 2
