"""The predecessor's tables: read as they are, and brought into our form without losing a key."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import predecessor_tables as predecessor
import pytest
from dynamo_servers import BreakingDynamoDB, TwiceDynamoDB, client, connected, server

from anthropic_bedrock_proxy.store.base.callers import NewSecret
from anthropic_bedrock_proxy.store.base.catalog import PriceRecord
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.base.ledger import Account, Standing
from anthropic_bedrock_proxy.store.dynamodb.legacy import key_id_of
from anthropic_bedrock_proxy.store.dynamodb.migration import migrate_tables
from anthropic_bedrock_proxy.store.dynamodb.store import DynamoDBStore
from anthropic_bedrock_proxy.store.secrets import hash_secret

NOW = predecessor.NOVEMBER_23 + 3600
PLAIN_ID = key_id_of(predecessor.PLAIN)


@asynccontextmanager
async def predecessor_store(kind: str = "dynalite"):
    """A client, the names, and our store, over the predecessor's tables."""
    async with connected(kind) as (dynamo, names):
        await predecessor.fill(dynamo, names)
        store = DynamoDBStore(lambda: client(server(kind)), names, now=lambda: NOW)
        await store.open()
        try:
            yield dynamo, names, store
        finally:
            await store.close()


async def found(store, secret: str):
    return await store.keys.find(hash_secret(secret), now=NOW, secret=secret)


async def all_found(store):
    return [await found(store, secret) for secret in predecessor.KEYS]


def test_keys_of_the_predecessor_authenticate_as_they_are():
    async def story():
        async with predecessor_store() as (_, _, store):
            plain, limited, spent, old_spent, revoked, bare = [
                caller.key for caller in await all_found(store)
            ]
            assert plain.id == PLAIN_ID
            assert (plain.name, plain.user_id, plain.secret_hint) == (
                "key 1",
                "user-1",
                "sk-...0001",
            )
            assert (plain.created_at, plain.updated_at) == (1_760_000_001, 1_795_000_000)
            assert (plain.monthly_budget_nano, plain.cache_ttl) == (50 * 10**9, "1h")
            assert (plain.rate_limit, plain.tpm_limit, plain.service_tier) == (1000, None, None)
            assert (limited.rate_limit, limited.tpm_limit) == (7, 5000)
            assert (limited.service_tier, limited.monthly_budget_nano) == ("flex", None)
            assert spent.is_active, "our ledger decides"
            assert old_spent.is_active, "a new month"
            assert (revoked.is_active, revoked.deactivated_reason) == (False, "left the company")
            assert (bare.is_active, bare.monthly_budget_nano) == (True, None)
            assert await found(store, predecessor.DELETED) is None

    asyncio.run(story())


def test_what_is_in_the_tables_is_no_way_in():
    async def story():
        async with predecessor_store() as (dynamo, names, store):
            await migrate_tables(dynamo, names, now=lambda: NOW)
            hashed = f"sha256:{hash_secret(predecessor.PLAIN).hex()}"
            assert await found(store, hashed) is None
            for strange in ("", "\udc80", "x" * 5000, PLAIN_ID):
                assert await found(store, strange) is None
            items = (await predecessor.everything(dynamo, names))["api_keys"]
            assert all(item["is_active"] is False for item in items), "nor with the predecessor"

    asyncio.run(story())


def test_what_was_spent_this_month_counts_from_the_first_request_on():
    account = Account(f"key:{key_id_of(predecessor.SPENT)}", predecessor.MONTH)

    async def story():
        async with predecessor_store() as (_, _, store):
            await found(store, predecessor.SPENT)
            granted, standing = await store.ledger.borrow(
                account, holder="w", amount_nano=1, budget_nano=10 * 10**9, now=NOW, until=NOW + 9
            )
            assert (granted, standing) == (0, Standing(account, 10_500_000_000, 0))
            await found(store, predecessor.OLD_SPENT)
            owner = f"key:{key_id_of(predecessor.OLD_SPENT)}"
            (total,) = await store.ledger.standings(owner, now=NOW)
            assert total == Standing(Account(owner, "total"), 11 * 10**9), "no month of ours yet"

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["dynalite", "moto"])
def test_migration_carries_everything_over_and_leaves_no_secret(kind):
    async def story():
        async with predecessor_store(kind) as (dynamo, names, store):
            before, listed = await all_found(store), await store.keys.list()
            report = await migrate_tables(dynamo, names, now=lambda: NOW)
            assert (report.keys, report.usage_rows, report.usage_stats) == (6, 18, 3)
            assert (report.mappings, report.prices) == (1, 2)
            assert await all_found(store) == before
            assert await store.keys.list() == listed
            assert await store.keys.get(PLAIN_ID) == before[0].key
            items = await predecessor.everything(dynamo, names)
            text = repr(items)
            assert [secret for secret in predecessor.SECRETS if secret in text] == []
            assert {row["predecessor_request_id"] for row in items["usage"]} == {
                row["request_id"] for row in predecessor.USAGE
            }
            again = await migrate_tables(dynamo, names, now=lambda: NOW)
            assert (again.keys, again.usage_rows, again.usage_stats) == (0, 0, 0)
            assert repr(await predecessor.everything(dynamo, names)) == text
            await check_budgets(store)
            await check_usage(store)

    asyncio.run(story())


async def check_budgets(store):
    owner = f"key:{PLAIN_ID}"
    assert await store.ledger.standings(owner, now=NOW) == [
        Standing(Account(owner, "2026-10"), 32_110_000_000),
        Standing(Account(owner, "2026-11"), 12_330_000_000),
        Standing(Account(owner, "total"), 44_440_000_000),
    ]


async def check_usage(store):
    totals = await store.usage.totals(by=("day", "key_id", "model"))
    counts = {(t.day, t.key_id, t.model): (t.requests, t.input_tokens, t.errors) for t in totals}
    sonnet = "claude-sonnet-4-6"
    assert counts == {
        ("2026-11-23", PLAIN_ID, sonnet): (12, 1200, 0),
        ("2026-11-24", PLAIN_ID, sonnet): (1, 100, 0),
        ("2026-11-23", key_id_of(predecessor.LIMITED), "nova"): (1, 100, 1),
        ("2026-11-23", key_id_of(predecessor.DELETED), sonnet): (1, 100, 1),
        ("2026-11-23", key_id_of(predecessor.MASTER), sonnet): (3, 300, 0),
    }
    first = (await store.usage.records(key_id=PLAIN_ID))[0]
    assert first.at_ms == predecessor.NOVEMBER_23 * 1000
    assert (first.cache_read_input_tokens, first.cache_creation_1h_input_tokens) == (3, 5)
    assert len(await store.usage.records()) == 18
    await check_export(store)


async def check_export(store):
    """Page by page nothing is left out, though the predecessor's own ids are in no order."""
    for key_id in (None, PLAIN_ID):
        whole = await store.usage.records(key_id=key_id)
        assert [record.id for record in whole] == sorted(record.id for record in whole)
        for limit in (1, 2, 5):
            seen = []
            while page := await store.usage.records(
                key_id=key_id, after=seen[-1].id if seen else None, limit=limit
            ):
                seen += page
            assert seen == whole


def test_a_dry_run_changes_nothing_and_counts():
    async def story():
        async with predecessor_store() as (dynamo, names, _):
            before = await predecessor.everything(dynamo, names)
            dry = await migrate_tables(dynamo, names, dry_run=True, now=lambda: NOW)
            assert await predecessor.everything(dynamo, names) == before
            assert dry.dry_run
            assert (dry.keys, dry.usage_rows, dry.usage_stats, dry.mappings, dry.prices) == (
                *(6, 18, 3),
                *(1, 2),
            )

    asyncio.run(story())


def test_a_migration_that_breaks_off_after_any_write_loses_nothing():
    """Every key works in between, and a second run ends like one that never broke off."""

    async def broken_off_after(writes: int) -> bool:
        async with predecessor_store() as (dynamo, names, store):
            before = await all_found(store)
            breaking = client(server("dynalite"), BreakingDynamoDB, writes=writes)
            try:
                await migrate_tables(breaking, names, now=lambda: NOW)
            except StoreError:
                pass
            else:
                return False
            finally:
                await breaking.close()
            assert await all_found(store) == before
            await migrate_tables(dynamo, names, now=lambda: NOW)
            assert await all_found(store) == before
            text = repr(await predecessor.everything(dynamo, names))
            assert [secret for secret in predecessor.SECRETS if secret in text] == []
            await check_budgets(store)
            await check_usage(store)
            return True

    async def story():
        writes = 0
        while await broken_off_after(writes):
            writes += 1
        assert writes > 40

    asyncio.run(story())


def test_a_migration_whose_answers_are_lost_moves_everything_once():
    async def story():
        async with predecessor_store() as (_, names, store):
            before = await all_found(store)
            twice = client(server("dynalite"), TwiceDynamoDB)
            report = await migrate_tables(twice, names, now=lambda: NOW)
            await twice.close()
            assert (report.keys, report.usage_rows, report.usage_stats) == (6, 18, 3)
            assert await all_found(store) == before
            await check_budgets(store)
            await check_usage(store)

    asyncio.run(story())


def test_a_changed_key_of_the_predecessor_becomes_ours():
    async def story():
        async with predecessor_store() as (dynamo, names, store):
            key = await store.keys.get(PLAIN_ID)
            changed = await store.keys.update(PLAIN_ID, {"is_active": False}, now=NOW)
            assert changed == key.changed({"is_active": False}, now=NOW)
            assert (await found(store, predecessor.PLAIN)).key == changed
            secret = "sk-new"
            new = NewSecret(hash_secret(secret), "h")
            await store.keys.rotate(key_id_of(predecessor.BARE), new, now=NOW)
            assert await found(store, predecessor.BARE) is None
            assert (await found(store, secret)).key.id == key_id_of(predecessor.BARE)
            left = (await predecessor.everything(dynamo, names))["api_keys"]
            gone = {predecessor.PLAIN, predecessor.BARE}
            plain = {item["api_key"] for item in left if item["api_key"].startswith("sk-")}
            assert plain == set(predecessor.KEYS) - gone
            await migrate_tables(dynamo, names, now=lambda: NOW)
            assert (await found(store, predecessor.PLAIN)).key == changed, "not as it was before"

    asyncio.run(story())


def test_a_key_that_the_predecessor_changes_meanwhile_is_taken_as_it_is_then():
    async def story():
        async with predecessor_store() as (dynamo, names, store):
            # Broken off behind the record: the predecessor then revokes the key.
            breaking = client(server("dynalite"), BreakingDynamoDB, writes=5)
            with pytest.raises(StoreError):
                await migrate_tables(breaking, names, now=lambda: NOW)
            await breaking.close()
            items = await predecessor.everything(dynamo, names)
            half = [item["id"] for item in items["state"] if item.get("adopting")]
            assert half
            left = [item for item in items["api_keys"] if item["api_key"].startswith("sk-")]
            for item in left:
                await dynamo.call(
                    "UpdateItem",
                    {
                        "TableName": names.api_keys,
                        "Key": {"api_key": {"S": item["api_key"]}},
                        "UpdateExpression": "SET is_active = :no, deactivated_reason = :why",
                        "ExpressionAttributeValues": {":no": {"BOOL": False}, ":why": {"S": "x"}},
                    },
                )
            await migrate_tables(dynamo, names, now=lambda: NOW)
            for item in left:
                key = (await found(store, item["api_key"])).key
                assert (key.is_active, key.deactivated_reason) == (False, "x")

    asyncio.run(story())


def test_names_and_prices_are_seen_where_they_are_and_ours_stand_over_them():
    sonnet = PriceRecord(
        model="anthropic.claude-sonnet-4-6",
        updated_at=2,
        input_nano=3 * 10**9,
        output_nano=15 * 10**9,
        cache_read_nano=300_000_000,
        cache_write_nano=3_750_000_000,
    )

    async def story():
        async with predecessor_store() as (_, _, store):
            catalog = store.catalog
            (mapping,) = await catalog.mappings()
            assert (mapping.alias, mapping.updated_at) == ("fast", 0)
            shown, minimax = await catalog.prices()
            assert shown == sonnet
            assert (minimax.model, minimax.cache_read_nano) == ("minimax.minimax-m2", 0)
            ours = PriceRecord(model=sonnet.model, updated_at=9, input_nano=1, output_nano=2)
            await catalog.put_price(ours)
            assert await catalog.prices() == [ours, minimax]
            assert await catalog.remove_price(ours.key)
            assert await catalog.prices() == [minimax], "the one below it too"

    asyncio.run(story())
