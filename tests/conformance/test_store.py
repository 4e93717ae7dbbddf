"""One suite for every store: what the ports promise, whoever keeps the rows."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from anthropic_bedrock_proxy.store.base import KeyNotFoundError, StoreError
from anthropic_bedrock_proxy.store.memory import MemoryStore
from anthropic_bedrock_proxy.store.records import (
    ANY,
    BedrockModel,
    CapabilityOverride,
    KeyRecord,
    ModelMapping,
    ProviderRecord,
    UsageRecord,
    UsageTotal,
)
from anthropic_bedrock_proxy.store.secrets import hash_secret, hint_of, mint_key_id, mint_secret
from anthropic_bedrock_proxy.store.sqlite import SQLiteStore

DAY_MS = 86_400_000


@pytest.fixture(params=["sqlite", "memory"])
def opened(request, tmp_path):
    """`async with opened() as store`: an open, empty store of each kind."""

    @asynccontextmanager
    async def open_store():
        store = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "s.db")
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    return open_store


def a_key(**fields) -> KeyRecord:
    return KeyRecord(
        **{"id": "key_1", "name": "n", "secret_hint": "sk-...aaaa", "created_at": 10}
        | {"updated_at": 10}
        | fields
    )


def a_record(identity: str, **fields) -> UsageRecord:
    return UsageRecord(
        **{"id": identity, "key_id": "key_1", "at_ms": 1000, "model": "m", "dialect": "invoke"}
        | {"bedrock_model_id": "b"}
        | fields
    )


def a_verdict(name: str = "flag-1", **fields) -> CapabilityOverride:
    return CapabilityOverride(
        **{"model": ANY, "dialect": ANY, "kind": "beta", "name": name, "allowed": False}
        | {"source": "operator", "updated_at": 1}
        | fields
    )


def a_place(name: str = "west", **fields) -> ProviderRecord:
    return ProviderRecord(
        **{"name": name, "region": "us-west-2", "created_at": 1, "updated_at": 1} | fields
    )


def digest(secret: str) -> bytes:
    return hash_secret(secret)


def test_a_key_comes_back_as_it_was_created(opened):
    full = a_key(
        user_id="u",
        is_active=False,
        deactivated_reason="revoked",
        expires_at=99,
        rate_limit=60,
        tpm_limit=10**9,
        monthly_budget_nano=2**62,
        service_tier="flex",
        cache_ttl="1h",
        provider="west",
    )

    async def story():
        async with opened() as store:
            await store.keys.create(full, digest("a"))
            await store.keys.create(a_key(id="key_0", created_at=11), digest("b"))
            assert await store.keys.get("key_1") == full
            assert await store.keys.find(digest("a"), now=10) == full
            assert (await store.keys.find(digest("b"), now=10)).id == "key_0"
            assert await store.keys.find(digest("c"), now=10) is None
            assert await store.keys.get("key_9") is None
            assert [key.id for key in await store.keys.list()] == ["key_1", "key_0"]

    asyncio.run(story())


def test_a_key_or_a_secret_cannot_be_created_twice(opened):
    async def story():
        async with opened() as store:
            await store.keys.create(a_key(), digest("a"))
            with pytest.raises(StoreError):
                await store.keys.create(a_key(), digest("b"))
            with pytest.raises(StoreError):
                await store.keys.create(a_key(id="key_2"), digest("a"))
            assert len(await store.keys.list()) == 1
            assert await store.keys.find(digest("b"), now=10) is None

    asyncio.run(story())


def test_update_changes_only_what_is_named(opened):
    async def story():
        async with opened() as store:
            await store.keys.create(a_key(rate_limit=5, user_id="u"), digest("a"))
            changes = {"rate_limit": None, "name": "other", "is_active": False, "provider": "w"}
            changed = await store.keys.update("key_1", changes, now=20)
            assert changed == a_key(
                user_id="u", name="other", is_active=False, provider="w", updated_at=20
            )
            assert await store.keys.get("key_1") == changed
            with pytest.raises(KeyNotFoundError, match="key_9"):
                await store.keys.update("key_9", changes, now=20)
            for fixed in ("id", "secret_hint", "created_at", "updated_at", "nonsense"):
                with pytest.raises(ValueError, match=fixed):
                    await store.keys.update("key_1", {fixed: "x"}, now=20)
            assert await store.keys.get("key_1") == changed

    asyncio.run(story())


def test_rotation_keeps_the_id_and_lets_old_secrets_lapse(opened):
    async def story():
        async with opened() as store:
            keys = store.keys
            await keys.create(a_key(), digest("first"))
            rotated = await keys.rotate(
                "key_1", digest("second"), "sk-...bbbb", now=100, overlap_seconds=50
            )
            assert rotated == a_key(secret_hint="sk-...bbbb", updated_at=100)
            assert await keys.find(digest("first"), now=149) == rotated
            assert await keys.find(digest("first"), now=150) is None
            assert await keys.find(digest("second"), now=10**10) == rotated

            # A longer overlap later does not bring the first secret back to life.
            await keys.rotate("key_1", digest("third"), "h", now=110, overlap_seconds=1000)
            assert await keys.find(digest("first"), now=150) is None
            assert await keys.find(digest("second"), now=1109) is not None

            await keys.rotate("key_1", digest("fourth"), "h", now=120, overlap_seconds=0)
            for old in ("first", "second", "third"):
                assert await keys.find(digest(old), now=120) is None
            assert (await keys.find(digest("fourth"), now=120)).id == "key_1"

    asyncio.run(story())


def test_a_refused_rotation_changes_nothing(opened):
    async def story():
        async with opened() as store:
            keys = store.keys
            await keys.create(a_key(), digest("a"))
            with pytest.raises(KeyNotFoundError):
                await keys.rotate("key_9", digest("b"), "h", now=20, overlap_seconds=0)
            with pytest.raises(StoreError):
                await keys.rotate("key_1", digest("a"), "h", now=20, overlap_seconds=0)
            assert await keys.find(digest("a"), now=10**9) == a_key()
            assert await keys.find(digest("b"), now=20) is None

    asyncio.run(story())


def test_a_usage_record_counts_once(opened):
    async def story():
        async with opened() as store:
            first = [a_record("1", input_tokens=5), a_record("2", input_tokens=7)]
            await store.usage.append(first)
            await store.usage.append([*first, a_record("3"), a_record("3"), a_record("1")])
            await store.usage.append([])
            (total,) = await store.usage.totals()
            assert (total.requests, total.input_tokens) == (3, 12)

    asyncio.run(story())


def test_totals_add_up_every_column(opened):
    fields = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 8,
        "cost_nano": 2**40,
    }

    async def story():
        async with opened() as store:
            await store.usage.append(
                [a_record("1", **fields), a_record("2", error="api_error"), a_record("3", **fields)]
            )
            (total,) = await store.usage.totals(by=())
            doubled = {name: 2 * value for name, value in fields.items()}
            assert total == UsageTotal(requests=3, errors=1, **doubled)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (("key_id", "model"), [(None, "a", "m", 2), (None, "a", "n", 1), (None, "b", "m", 1)]),
        (("key_id",), [(None, "a", None, 3), (None, "b", None, 1)]),
        (("model",), [(None, None, "m", 3), (None, None, "n", 1)]),
        (("day",), [("1970-01-01", None, None, 2), ("1970-01-02", None, None, 2)]),
        (("model", "day"), [("1970-01-01", None, "m", 2), ("1970-01-02", None, "m", 1),
                            ("1970-01-02", None, "n", 1)]),
        ((), [(None, None, None, 4)]),
    ],
)  # fmt: skip
def test_totals_group_by_any_columns_in_a_fixed_order(opened, by, expected):
    async def story():
        async with opened() as store:
            await store.usage.append(
                [
                    a_record("1", key_id="b", at_ms=0),
                    a_record("2", key_id="a", at_ms=DAY_MS - 1),
                    a_record("3", key_id="a", at_ms=DAY_MS, model="n"),
                    a_record("4", key_id="a", at_ms=DAY_MS),
                ]
            )
            rows = await store.usage.totals(by=by)
            assert [(row.day, row.key_id, row.model, row.requests) for row in rows] == expected

    asyncio.run(story())


def test_totals_take_since_inclusive_until_exclusive_and_one_key(opened):
    async def story():
        async with opened() as store:
            usage = store.usage
            records = [a_record(str(at), at_ms=at, key_id=f"key_{at % 2}") for at in range(10)]
            await usage.append(records)

            async def count(**filters):
                return sum(row.requests for row in await usage.totals(**filters))

            assert await count() == 10
            assert await count(since_ms=4) == 6
            assert await count(until_ms=4) == 4
            assert await count(since_ms=4, until_ms=8) == 4
            assert await count(since_ms=4, until_ms=8, key_id="key_1") == 2
            assert await count(key_id="key_7") == 0
            with pytest.raises(ValueError, match="user_id"):
                await usage.totals(by=("user_id",))

    asyncio.run(story())


def test_nothing_priced_is_not_a_cost_of_nothing(opened):
    async def story():
        async with opened() as store:
            assert await store.usage.totals() == []
            await store.usage.append([a_record("1"), a_record("2", model="free", cost_nano=0)])
            free, unpriced = await store.usage.totals(by=("model",))
            assert (free.cost_nano, unpriced.cost_nano) == (0, None)

    asyncio.run(story())


def test_many_tasks_at_once(opened):
    async def story():
        async with opened() as store:
            await asyncio.gather(
                *(store.usage.append([a_record(str(n % 50))]) for n in range(100)),
                *(store.keys.create(a_key(id=f"key_{n}"), digest(str(n))) for n in range(20)),
            )
            (total,) = await store.usage.totals()
            assert total.requests == 50
            assert len(await store.keys.list()) == 20

    asyncio.run(story())


def test_secrets_are_long_random_and_kept_only_as_a_hash_and_a_hint():
    secret = mint_secret()
    assert secret.startswith("sk-")
    assert len(secret) == 46
    assert secret != mint_secret()
    assert len(hash_secret(secret)) == 32
    assert hint_of(secret) == "sk-..." + secret[-4:]
    assert hash_secret("\udc80") != hash_secret("?"), "a header's stray byte is an unknown key"
    assert mint_key_id() != mint_key_id()
    assert len(mint_key_id().removeprefix("key_")) == 16


def test_a_number_no_column_can_hold_is_refused_when_it_is_read():
    line = msgspec.json.encode(a_record("1", input_tokens=2**63))
    with pytest.raises(msgspec.ValidationError, match="input_tokens"):
        msgspec.json.decode(line, type=UsageRecord)


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


def test_a_learned_verdict_never_replaces_the_operator_s(opened):
    learned = a_verdict(source="learned", reason="invalid beta flag", updated_at=2)

    async def story():
        async with opened() as store:
            catalog = store.catalog
            assert await catalog.put_override(learned)
            again = a_verdict(source="learned", updated_at=3)
            assert await catalog.put_override(again)
            assert await catalog.overrides() == [again]
            word = a_verdict(allowed=True, reason="it works", updated_at=4)
            assert await catalog.put_override(word)
            version = await catalog.version()
            assert not await catalog.put_override(learned)
            assert await catalog.overrides() == [word]
            assert await catalog.version() == version
            changed = a_verdict(allowed=False, updated_at=5)
            assert await catalog.put_override(changed)
            assert await catalog.overrides() == [changed]

    asyncio.run(story())


def test_there_is_one_verdict_for_each_model_dialect_kind_and_name(opened):
    verdicts = [
        a_verdict("a"),
        a_verdict("a", model="m"),
        a_verdict("a", model="m", dialect="invoke"),
        a_verdict("b"),
        a_verdict("a", kind="field"),
    ]

    async def story():
        async with opened() as store:
            for verdict in reversed(verdicts):
                await store.catalog.put_override(verdict)
            assert await store.catalog.overrides() == verdicts
            assert await store.catalog.remove_override(verdicts[1].key)
            assert not await store.catalog.remove_override(verdicts[1].key)
            assert await store.catalog.overrides() == [verdicts[0], *verdicts[2:]]

    asyncio.run(story())


def test_places_come_back_as_they_were_put(opened):
    full = a_place(
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
            await catalog.put_provider(a_place("east"))
            assert await catalog.provider("west") == full
            assert await catalog.providers() == [a_place("east"), full]
            await catalog.put_provider(a_place(updated_at=2))
            assert await catalog.provider("west") == a_place(updated_at=2)
            assert await catalog.remove_provider("west")
            assert not await catalog.remove_provider("west")
            assert await catalog.providers() == [a_place("east")]

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
            await counted(catalog.put_override(a_verdict()))
            await counted(catalog.remove_override(a_verdict().key))
            await counted(catalog.put_provider(a_place()))
            await counted(catalog.remove_provider("west"))
            assert seen == sorted(set(seen)), "each one greater than the last"
            await catalog.remove_mapping("a")
            await catalog.remove_override(a_verdict().key)
            await catalog.remove_provider("west")
            await store.keys.create(a_key(), digest("a"))
            await store.usage.append([a_record("1")])
            assert await catalog.version() == seen[-1]

    asyncio.run(story())
