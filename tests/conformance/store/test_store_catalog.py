"""The catalog in every store."""

from __future__ import annotations

import asyncio

import pytest
from store_rows import a_change, a_key, a_record, an_owner, batch, digest

from anthropic_bedrock_proxy.store.base.catalog import (
    ANY,
    BedrockModel,
    CapabilityOverride,
    ModelMapping,
    PriceRecord,
    ProviderRecord,
    SyncedMappings,
    SyncedPrices,
)
from anthropic_bedrock_proxy.store.base.errors import (
    StoreError,
)


def a_price(model: str = "m", **fields) -> PriceRecord:
    return PriceRecord(
        **{"model": model, "updated_at": 1, "input_nano": 3, "output_nano": 15} | fields
    )


def an_override(name: str = "flag-1", **fields) -> CapabilityOverride:
    return CapabilityOverride(
        **{"model": ANY, "dialect": ANY, "kind": "beta", "name": name, "allowed": False}
        | {"source": "operator", "updated_at": 1}
        | fields
    )


def a_provider(name: str = "west", **fields) -> ProviderRecord:
    return ProviderRecord(
        **{"name": name, "region": "us-west-2", "created_at": 1, "updated_at": 1} | fields
    )


def test_what_was_synced_is_replaced_as_a_whole(opened):
    prices = SyncedPrices(source="a", synced_at=1, text="model,place\n" * 1000)
    names = SyncedMappings(source="b", synced_at=2, mappings={"fast": "us.a", "b\u00e4st": "us.b"})

    async def story():
        async with opened() as store:
            catalog = store.catalog
            assert await catalog.synced_prices() is None
            assert await catalog.synced_mappings() is None
            before = await catalog.version()
            await catalog.put_synced_prices(prices)
            await catalog.put_synced_mappings(names)
            assert await catalog.synced_prices() == prices
            assert await catalog.synced_mappings() == names
            fewer = SyncedMappings(source="b", synced_at=3, mappings={})
            await catalog.put_synced_mappings(fewer)
            assert await catalog.synced_mappings() == fewer
            assert await catalog.synced_prices() == prices
            assert await catalog.version() > before

    asyncio.run(story())


def test_mappings_are_replaced_by_alias(opened):
    first = ModelMapping(alias="fast", bedrock_id="us.a", updated_at=1)
    second = ModelMapping(alias="fast", bedrock_id="us.b", dialect="converse", updated_at=2)
    other = ModelMapping(alias="best", bedrock_id="us.c", updated_at=1)

    async def story():
        async with opened() as store:
            catalog = store.catalog
            assert await catalog.mappings() == []
            for mapping in (first, other, second):
                await catalog.put_mapping(mapping)
            assert await catalog.mappings() == [other, second]
            assert await catalog.remove_mapping("fast")
            assert not await catalog.remove_mapping("fast")
            assert await catalog.mappings() == [other]

    asyncio.run(story())


def test_a_listing_replaces_the_last_or_leaves_it(opened):
    one = BedrockModel(id="a.one", name="One", provider="A", synced_at=1, profiles=("us.a.one",))
    two = BedrockModel(id="a.two", name="Two", provider="A", synced_at=1)

    async def story():
        async with opened() as store:
            catalog = store.catalog
            await catalog.replace_models([two, one])
            assert await catalog.models() == [one, two]
            version = await catalog.version()
            with pytest.raises(StoreError):
                await catalog.replace_models([two, two])
            assert await catalog.models() == [one, two]
            assert await catalog.version() == version
            await catalog.replace_models([two])
            assert await catalog.models() == [two]
            await catalog.replace_models([])
            assert await catalog.models() == []

    asyncio.run(story())


def test_a_learned_override_never_replaces_the_operator_s(opened):
    learned = an_override(source="learned", reason="invalid beta flag", updated_at=2)

    async def story():
        async with opened() as store:
            catalog = store.catalog
            assert await catalog.put_override(learned)
            again = an_override(source="learned", updated_at=3)
            assert await catalog.put_override(again)
            assert await catalog.overrides() == [again]
            word = an_override(allowed=True, reason="it works", updated_at=4)
            assert await catalog.put_override(word)
            version = await catalog.version()
            assert not await catalog.put_override(learned)
            assert await catalog.overrides() == [word]
            assert await catalog.version() == version
            changed = an_override(allowed=False, updated_at=5)
            assert await catalog.put_override(changed)
            assert await catalog.overrides() == [changed]

    asyncio.run(story())


def test_the_evidence_of_a_learned_override_comes_back(opened):
    first = an_override(
        source="learned", learned_at=1, confirmations=1, witnesses=("k1",), expires_at=9
    )
    second = an_override(
        source="learned", learned_at=1, confirmations=2, witnesses=("k1", "k2"), expires_at=10
    )

    async def story():
        async with opened() as store:
            for override in (first, second):
                await store.catalog.put_override(override)
                assert await store.catalog.overrides() == [override]
            word = an_override()
            await store.catalog.put_override(word)
            assert await store.catalog.overrides() == [word]

    asyncio.run(story())


def test_there_is_one_override_for_each_model_dialect_kind_and_name(opened):
    overrides = [
        an_override("a"),
        an_override("a", model="m"),
        an_override("a", model="m", dialect="invoke"),
        an_override("b"),
        an_override("a", kind="field"),
    ]

    async def story():
        async with opened() as store:
            for override in reversed(overrides):
                await store.catalog.put_override(override)
            assert await store.catalog.overrides() == overrides
            assert await store.catalog.remove_override(overrides[1].key)
            assert not await store.catalog.remove_override(overrides[1].key)
            assert await store.catalog.overrides() == [overrides[0], *overrides[2:]]

    asyncio.run(story())


def test_providers_come_back_as_they_were_put(opened):
    full = a_provider(
        endpoint_url="https://e",
        mantle_endpoint_url="https://m",
        role_arn="arn:aws:iam::111122223333:role/r",
        external_id="x",
        profile="p",
        encrypted_credentials=b"\x00\xff",
        is_enabled=False,
    )

    async def story():
        async with opened() as store:
            catalog = store.catalog
            assert await catalog.provider("west") is None
            await catalog.put_provider(full)
            await catalog.put_provider(a_provider("east"))
            assert await catalog.provider("west") == full
            assert await catalog.providers() == [a_provider("east"), full]
            await catalog.put_provider(a_provider(updated_at=2))
            assert await catalog.provider("west") == a_provider(updated_at=2)
            assert await catalog.remove_provider("west")
            assert not await catalog.remove_provider("west")
            assert await catalog.providers() == [a_provider("east")]

    asyncio.run(story())


def test_every_change_of_the_catalog_is_counted_and_nothing_else(opened):
    async def story():
        async with opened() as store:
            catalog = store.catalog
            seen = [await catalog.version()]

            async def counted(change):
                await change
                seen.append(await catalog.version())

            await counted(
                catalog.put_mapping(ModelMapping(alias="a", bedrock_id="b", updated_at=1))
            )
            await counted(catalog.remove_mapping("a"))
            await counted(catalog.replace_models([]))
            await counted(catalog.put_override(an_override()))
            await counted(catalog.remove_override(an_override().key))
            await counted(catalog.put_provider(a_provider()))
            await counted(catalog.remove_provider("west"))
            await counted(catalog.put_price(a_price()))
            await counted(catalog.remove_price(a_price().key))
            assert seen == sorted(set(seen)), "each one greater than the last"
            await catalog.remove_mapping("a")
            await catalog.remove_override(an_override().key)
            await catalog.remove_provider("west")
            await catalog.remove_price(a_price().key)
            await store.keys.create(a_key(), digest("a"))
            await store.owners.create(an_owner())
            await store.usage.append(batch(a_record("1", cost_nano=1)))
            await store.audit.append(a_change("1"))
            assert await catalog.version() == seen[-1]

    asyncio.run(story())


def test_there_is_one_price_for_each_model_region_and_beginning(opened):
    full = a_price(
        region="eu-west-1",
        valid_from=5,
        valid_until=9,
        cache_read_nano=0,
        cache_write_nano=1,
        cache_write_1h_nano=2,
    )
    prices = [a_price("a"), a_price(), a_price(valid_from=5), full]

    async def story():
        async with opened() as store:
            catalog = store.catalog
            assert await catalog.prices() == []
            for price in reversed(prices):
                await catalog.put_price(price)
            assert await catalog.prices() == prices
            dearer = a_price(input_nano=2**40, updated_at=2)
            await catalog.put_price(dearer)
            assert await catalog.prices() == [prices[0], dearer, *prices[2:]]
            assert await catalog.remove_price(full.key)
            assert not await catalog.remove_price(full.key)
            assert await catalog.prices() == [prices[0], dearer, prices[2]]

    asyncio.run(story())
