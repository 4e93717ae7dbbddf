"""One suite for every store: what the ports promise, whoever keeps the rows.

Ids of usage records grow with their time, and a writer's batches are numbered in order, as in
production: a store may build on both.
"""

from __future__ import annotations

import asyncio
import itertools

import msgspec
import pytest
from stores import STORES

from anthropic_bedrock_proxy.store.base.audit import AuditRecord
from anthropic_bedrock_proxy.store.base.callers import Caller, KeyRecord, NewSecret, OwnerRecord
from anthropic_bedrock_proxy.store.base.catalog import (
    ANY,
    BedrockModel,
    CapabilityOverride,
    ModelMapping,
    PriceRecord,
    ProviderRecord,
)
from anthropic_bedrock_proxy.store.base.errors import (
    AlreadyExistsError,
    NoSuchObjectError,
    StoreError,
)
from anthropic_bedrock_proxy.store.base.ledger import Account, Standing
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord, UsageTotal
from anthropic_bedrock_proxy.store.secrets import hash_secret, hint_of, mint_key_id, mint_secret
from anthropic_bedrock_proxy.store.totals import COUNTED

DAY_MS = 86_400_000
NOVEMBER_30 = 1_795_996_800_000  # 2026-11-30T00:00Z in milliseconds
_numbers = itertools.count(1)


@pytest.fixture(params=STORES)
def opened(request, tmp_path):
    """`async with opened() as store`: an open, empty store of each kind."""
    return lambda: STORES[request.param](tmp_path)


def a_key(**fields) -> KeyRecord:
    return KeyRecord(
        **{"id": "key_1", "name": "n", "secret_hint": "sk-...aaaa", "created_at": 10}
        | {"updated_at": 10}
        | fields
    )


def an_owner(kind: str = "user", identity: str = "u", **fields) -> OwnerRecord:
    return OwnerRecord(
        **{"kind": kind, "id": identity, "name": "n", "created_at": 1, "updated_at": 1} | fields
    )


def a_record(identity: str, **fields) -> UsageRecord:
    return UsageRecord(
        **{"id": identity, "key_id": "key_1", "at_ms": 1000, "model": "m", "dialect": "invoke"}
        | {"bedrock_model_id": "b"}
        | fields
    )


def batch(*records: UsageRecord, writer: str = "w") -> UsageBatch:
    """The next batch of a writer."""
    return UsageBatch(records, writer, next(_numbers))


def a_price(model: str = "m", **fields) -> PriceRecord:
    return PriceRecord(
        **{"model": model, "updated_at": 1, "input_nano": 3, "output_nano": 15} | fields
    )


def a_change(identity: str, **fields) -> AuditRecord:
    return AuditRecord(
        **{"id": identity, "at_ms": 1, "actor": "cli", "action": "keys.create", "object": "key_1"}
        | fields
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


def digest(secret: str) -> bytes:
    return hash_secret(secret)


ALLOWANCE = {
    "rate_limit": 60,
    "tpm_limit": 10**9,
    "input_tpm_limit": 1,
    "output_tpm_limit": 2,
    "concurrency_limit": 3,
    "monthly_budget_nano": 2**62,
    "daily_budget_nano": 4,
    "total_budget_nano": 2**63 - 1,
}


def test_a_key_comes_back_as_it_was_created(opened):
    full = a_key(
        user_id="u",
        team_id="t",
        is_active=False,
        deactivated_reason="revoked",
        expires_at=99,
        **ALLOWANCE,
        service_tier="flex",
        cache_ttl="1h",
        provider="west",
        allowed_models=("claude-*", "a,b"),
        allowed_tools=("web_search_*",),
        allowed_networks=("10.0.0.0/8", "::1/128"),
        admin_scopes=("keys:read",),
    )

    async def story():
        async with opened() as store:
            await store.keys.create(full, digest("a"))
            await store.keys.create(a_key(id="key_0", created_at=11), digest("b"))
            assert await store.keys.get("key_1") == full
            assert await store.keys.find(digest("a"), now=10, secret="a") == Caller(full)
            assert (await store.keys.find(digest("b"), now=10)).key.id == "key_0"
            assert await store.keys.find(digest("c"), now=10) is None
            assert await store.keys.get("key_9") is None
            assert [key.id for key in await store.keys.list()] == ["key_1", "key_0"]

    asyncio.run(story())


def test_keys_are_listed_oldest_first_a_page_at_a_time(opened):
    async def story():
        async with opened() as store:
            ages = {f"key_{n}": (n * 7) % 10 // 2 for n in range(10)}  # two of each age
            for key_id, age in ages.items():
                await store.keys.create(a_key(id=key_id, created_at=age), digest(key_id))
            await store.keys.rotate("key_3", NewSecret(digest("new"), "h", 60), now=20)
            ordered = sorted(ages, key=lambda key_id: (ages[key_id], key_id))
            for limit in (1, 3, 10, 11):
                found: list[str] = []
                while True:
                    after = found[-1] if found else None
                    page = await store.keys.list(after=after, limit=limit)
                    found += [key.id for key in page]
                    if len(page) < limit:
                        break
                assert found == ordered
            assert [key.id for key in await store.keys.list()] == ordered
            assert [key.id for key in await store.keys.list(after=ordered[6])] == ordered[7:]
            assert list(await store.keys.list(limit=0)) == []
            with pytest.raises(NoSuchObjectError):
                await store.keys.list(after="key_99")

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
            changes |= {"allowed_models": ("m",), "team_id": "t", "daily_budget_nano": 0}
            changed = await store.keys.update("key_1", changes, now=20)
            assert changed == a_key(**{"user_id": "u", "updated_at": 20} | changes)
            assert await store.keys.get("key_1") == changed
            with pytest.raises(NoSuchObjectError, match="key_9"):
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
                "key_1", NewSecret(digest("second"), "sk-...bbbb", 50), now=100
            )
            assert rotated == a_key(secret_hint="sk-...bbbb", updated_at=100)
            assert (await keys.find(digest("first"), now=149)).key == rotated
            assert await keys.find(digest("first"), now=150) is None
            assert (await keys.find(digest("second"), now=10**10)).key == rotated

            # A longer overlap later does not bring the first secret back to life.
            await keys.rotate("key_1", NewSecret(digest("third"), "h", 1000), now=110)
            assert await keys.find(digest("first"), now=150) is None
            assert await keys.find(digest("second"), now=1109) is not None

            await keys.rotate("key_1", NewSecret(digest("fourth"), "h", 0), now=120)
            for old in ("first", "second", "third"):
                assert await keys.find(digest(old), now=120) is None
            assert (await keys.find(digest("fourth"), now=120)).key.id == "key_1"

    asyncio.run(story())


def test_a_refused_rotation_changes_nothing(opened):
    async def story():
        async with opened() as store:
            keys = store.keys
            await keys.create(a_key(), digest("a"))
            with pytest.raises(NoSuchObjectError):
                await keys.rotate("key_9", NewSecret(digest("b"), "h", 0), now=20)
            with pytest.raises(StoreError):
                await keys.rotate("key_1", NewSecret(digest("a"), "h", 0), now=20)
            assert (await keys.find(digest("a"), now=10**9)).key == a_key()
            assert await keys.find(digest("b"), now=20) is None

    asyncio.run(story())


class Refused(Exception):  # noqa: N818  # what a judge raises is its own
    """What the judges here raise."""


def test_a_judge_sees_a_key_before_and_after_and_what_it_refuses_is_not_done(opened):
    seen = []

    def refuse(before, after):
        seen.append((before.name, after.name))
        raise Refused

    async def story():
        async with opened() as store:
            keys = store.keys
            await keys.create(a_key(), digest("a"))
            with pytest.raises(Refused):
                await keys.update("key_1", {"name": "other"}, now=20, judge=refuse)
            with pytest.raises(Refused):
                await keys.rotate("key_1", NewSecret(digest("b"), "h"), now=20, judge=refuse)
            assert (await keys.find(digest("a"), now=30)).key == a_key()
            assert await keys.find(digest("b"), now=20) is None
            assert seen == [("n", "other"), ("n", "n")]
            with pytest.raises(NoSuchObjectError):
                await keys.update("key_9", {"name": "other"}, now=20, judge=refuse)

    asyncio.run(story())


def test_before_a_secret_that_a_judge_gives_all_others_give_way(opened):
    scopes = {"admin_scopes": ("keys:read",)}

    async def story():
        async with opened() as store:
            keys = store.keys
            await keys.create(a_key(), digest("first"))
            await keys.rotate("key_1", NewSecret(digest("second"), "h", 1000), now=20)
            given = NewSecret(digest("third"), "sk-...cccc")
            granted = await keys.update("key_1", scopes, now=30, judge=lambda _, __: given)
            assert granted == a_key(secret_hint="sk-...cccc", updated_at=30, **scopes)
            assert await keys.find(digest("first"), now=30) is None
            assert await keys.find(digest("second"), now=30) is None
            assert (await keys.find(digest("third"), now=10**9)).key == granted
            kept = await keys.update("key_1", {"name": "x"}, now=40, judge=lambda _, __: None)
            assert (await keys.find(digest("third"), now=40)).key == kept

    asyncio.run(story())


def test_a_rotation_and_a_grant_at_once_leave_no_secret_behind_that_has_both(opened):
    """Whoever may rotate only keys without scopes comes by the secret of none that has some."""

    def only_without_scopes(before, _):
        if before.admin_scopes:
            raise Refused

    async def story():
        async with opened() as store:
            keys = store.keys
            for number in range(8):
                key_id, stolen = f"key_{number}", digest(f"stolen {number}")
                await keys.create(a_key(id=key_id), digest(f"first {number}"))
                granted = NewSecret(digest(f"granted {number}"), "h")
                steps = [
                    keys.rotate(
                        key_id, NewSecret(stolen, "h", 1000), now=20, judge=only_without_scopes
                    ),
                    keys.update(
                        key_id,
                        {"admin_scopes": ("keys:read",)},
                        now=20,
                        judge=lambda _, __, granted=granted: granted,
                    ),
                ]
                await asyncio.gather(
                    *(steps if number % 2 else reversed(steps)), return_exceptions=True
                )
                assert await keys.find(stolen, now=20) is None
                assert (await keys.find(granted.hash, now=20)).key.admin_scopes == ("keys:read",)

    asyncio.run(story())


def test_a_judge_of_an_owner_sees_its_keys_with_scopes_and_what_it_refuses_is_not_done(opened):
    seen = []

    def refuse(before, keys):
        seen.append((None if before is None else before.name, sorted(key.id for key in keys)))
        raise Refused

    async def story():
        async with opened() as store:
            scopes = {"admin_scopes": ("keys:read",)}
            for key in (
                a_key(id="key_1", user_id="u", **scopes),
                a_key(id="key_2", team_id="u", **scopes),
                a_key(id="key_3", user_id="v", **scopes),
                a_key(id="key_4", user_id="u"),
                a_key(id="key_5", user_id="u"),
            ):
                await store.keys.create(key, digest(key.id))
            await store.keys.update("key_5", scopes, now=20)
            owners = store.owners
            with pytest.raises(Refused):
                await owners.create(an_owner(), judge=refuse)
            assert await owners.list("user") == []
            await owners.create(an_owner())
            with pytest.raises(AlreadyExistsError):
                await owners.create(an_owner(), judge=refuse)
            with pytest.raises(Refused):
                await owners.update("user", "u", {"is_active": False}, now=20, judge=refuse)
            with pytest.raises(Refused):
                await owners.remove("user", "u", judge=refuse)
            assert await owners.list("user") == [an_owner()]
            mine = ["key_1", "key_5"]
            assert seen == [(None, mine), ("n", mine), ("n", mine)]
            with pytest.raises(NoSuchObjectError):
                await owners.update("user", "v", {"is_active": False}, now=20, judge=refuse)
            assert not await owners.remove("user", "v", judge=refuse)
            assert await owners.remove("user", "u", judge=lambda _, __: None)

    asyncio.run(story())


def test_a_caller_is_a_key_with_those_it_belongs_to(opened):
    user = an_owner("user", "x", name="User", **ALLOWANCE)
    team = an_owner("team", "x", name="Team", is_active=False, deactivated_reason="left")

    async def story():
        async with opened() as store:
            await store.keys.create(a_key(user_id="x", team_id="x"), digest("a"))
            await store.keys.create(a_key(id="key_2", user_id="y"), digest("b"))
            key = a_key(user_id="x", team_id="x")
            assert await store.keys.find(digest("a"), now=10) == Caller(key), "none is recorded"
            await store.owners.create(user)
            assert await store.keys.find(digest("a"), now=10) == Caller(key, user)
            await store.owners.create(team)
            assert await store.keys.find(digest("a"), now=10) == Caller(key, user, team)
            other = await store.keys.find(digest("b"), now=10)
            assert (other.user, other.team) == (None, None)
            assert await store.owners.remove("user", "x")
            assert await store.keys.find(digest("a"), now=10) == Caller(key, None, team)

    asyncio.run(story())


def test_owners_are_created_once_changed_and_removed(opened):
    async def story():
        async with opened() as store:
            owners = store.owners
            full = an_owner(is_active=False, deactivated_reason="left", **ALLOWANCE)
            await owners.create(full)
            await owners.create(an_owner("team", "u"))
            await owners.create(an_owner("user", "a"))
            with pytest.raises(AlreadyExistsError, match="u"):
                await owners.create(an_owner())
            assert await owners.get("user", "u") == full
            assert await owners.get("user", "v") is None
            assert await owners.list("user") == [an_owner("user", "a"), full]
            changed = await owners.update("user", "u", {"name": "other", "rate_limit": 5}, now=5)
            assert changed == msgspec.structs.replace(
                full, name="other", rate_limit=5, updated_at=5
            )
            assert await owners.get("user", "u") == changed
            with pytest.raises(NoSuchObjectError, match="v"):
                await owners.update("team", "v", {"name": "other"}, now=5)
            for fixed in ("kind", "id", "created_at", "updated_at", "nonsense"):
                with pytest.raises(ValueError, match=fixed):
                    await owners.update("user", "u", {fixed: "x"}, now=6)
            assert await owners.get("user", "u") == changed
            assert await owners.remove("user", "u")
            assert not await owners.remove("user", "u")
            assert await owners.list("user") == [an_owner("user", "a")]
            assert await owners.list("team") == [an_owner("team", "u")]

    asyncio.run(story())


def test_a_usage_record_counts_once(opened):
    async def story():
        async with opened() as store:
            first = batch(a_record("1", input_tokens=5), a_record("2", input_tokens=7))
            for _ in range(3):
                await store.usage.append(first)
            await store.usage.append(
                batch(*first.records, a_record("3"), a_record("3"), a_record("1"))
            )
            await store.usage.append(batch(a_record("3"), a_record("2"), writer="other"))
            await store.usage.append(batch())
            (total,) = await store.usage.totals()
            assert (total.requests, total.input_tokens) == (3, 12)
            assert [record.id for record in await store.usage.records()] == ["1", "2", "3"]

    asyncio.run(story())


def test_batches_that_came_as_one_count_once_when_they_come_one_by_one(opened):
    async def story():
        async with opened() as store:
            one = batch(a_record("1", cost_nano=5), a_record("2", cost_nano=7))
            two = batch(a_record("3", cost_nano=1), a_record("4", key_id="key_2", cost_nano=2))
            several = UsageBatch(one.records + two.records, "w", one.number, through=two.number)
            for delivery in (several, one, two, one):
                await store.usage.append(delivery)
            assert [total.cost_nano for total in await store.usage.totals(by=("key_id",))] == [
                13,
                2,
            ]
            assert [record.id for record in await store.usage.records()] == ["1", "2", "3", "4"]
            assert all(s.spent_nano == 13 for s in await standings(store))

    asyncio.run(story())


def test_a_record_that_comes_again_is_as_it_came_first_and_costs_once(opened):
    async def story():
        async with opened() as store:
            first = batch(a_record("1", cost_nano=5), a_record("2", cost_nano=7))
            await store.usage.append(first)
            again = batch(a_record("2", cost_nano=70, model="n"), a_record("3", cost_nano=1))
            for delivery in (again, first, again):
                await store.usage.append(delivery)
            (total,) = await store.usage.totals(by=())
            assert total == UsageTotal(requests=3, cost_nano=13)
            assert (await store.usage.records())[1] == first.records[1]
            spent = {s.account.period: s.spent_nano for s in await standings(store)}
            assert spent == {"1970-01": 13, "1970-01-01": 13, "total": 13}

    asyncio.run(story())


def standings(store, owner="key:key_1", now=0):
    return store.ledger.standings(owner, now=now)


MOST = 2**53 - 1
FULL = {
    name: MOST
    for name in (*COUNTED, "cost_nano")
    if name in UsageRecord.__struct_fields__ and name not in {"estimated", "disconnected"}
}


def test_sums_beyond_64_bits_are_exact(opened):
    """Prices and counts of tokens are what others say: absurd ones must not end all reports."""

    async def story():
        async with opened() as store:
            for day in range(4):
                records = [
                    a_record(f"{day}{number:03}", at_ms=day * DAY_MS, **FULL)
                    for number in range(257)
                ]
                await store.usage.append(batch(*records))
            await store.usage.append(batch(a_record("9", at_ms=9 * DAY_MS, key_id="key_2")))
            (total,) = await store.usage.totals(by=())
            assert (total.requests, total.unpriced) == (1029, 1)
            for name in FULL:
                assert getattr(total, name) == 1028 * MOST > 2**63, name
            first, second = await store.usage.totals(by=("key_id",), key_id=None)
            assert (first.key_id, first.cost_nano) == ("key_1", 1028 * MOST)
            assert (second.key_id, second.cost_nano) == ("key_2", None)
            (mine,) = await store.usage.totals(by=("model",), key_id="key_1")
            assert (mine.model, mine.output_tokens) == ("m", 1028 * MOST)

    asyncio.run(story())


def test_one_day_and_one_account_may_be_full_and_go_on(opened):
    async def story():
        async with opened() as store:
            account = Account("key:key_1", "total")
            for number in range(3):
                await store.ledger.borrow(
                    account, holder="w", amount_nano=5, budget_nano=2**62, now=0, until=100
                )
                records = [a_record(f"{number}{n:03}", **FULL) for n in range(342)]
                await store.usage.append(batch(*records))
            await store.usage.append(batch(a_record("9", cost_nano=1)))
            (total,) = await store.usage.totals()
            assert total.requests == 1027
            assert 2**63 - 1 <= total.cost_nano <= 1026 * MOST + 1
            assert 2**63 - 1 <= total.input_tokens <= 1026 * MOST
            assert isinstance(total.cost_nano, int)
            assert isinstance(total.input_tokens, int)
            for standing in await standings(store):
                assert isinstance(standing.spent_nano, int)
                assert 2**63 - 1 <= standing.spent_nano <= 1026 * MOST + 1
                assert standing.held_nano == 0
            granted, _ = await store.ledger.borrow(
                account, holder="v", amount_nano=1, budget_nano=2**63 - 1, now=0, until=100
            )
            assert granted == 0

    asyncio.run(story())


def test_totals_add_up_every_column(opened):
    fields = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_read_input_tokens": 4,
        "cache_creation_input_tokens": 8,
        "cache_creation_5m_input_tokens": 16,
        "cache_creation_1h_input_tokens": 32,
        "web_search_requests": 64,
        "web_fetch_requests": 128,
        "code_execution_requests": 256,
        "cost_nano": 2**40,
    }

    async def story():
        async with opened() as store:
            await store.usage.append(
                batch(
                    a_record("1", **fields),
                    a_record("2", error="api_error"),
                    a_record("3", estimated=True, disconnected=True, **fields),
                )
            )
            (total,) = await store.usage.totals(by=())
            doubled = {name: 2 * value for name, value in fields.items()}
            assert total == UsageTotal(
                requests=3, errors=1, estimated=1, disconnected=1, unpriced=1, **doubled
            )

    asyncio.run(story())


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (("key_id", "model"), [(None, "a", None, None, "m", 2), (None, "a", None, None, "n", 1),
                               (None, "b", None, None, "m", 1)]),
        (("key_id",), [(None, "a", None, None, None, 3), (None, "b", None, None, None, 1)]),
        (("user_id",), [(None, None, None, None, None, 2), (None, None, "u", None, None, 2)]),
        (("team_id",), [(None, None, None, None, None, 1), (None, None, None, "t", None, 3)]),
        (("team_id", "user_id"), [(None, None, None, "t", None, 2),
                                  (None, None, "u", None, None, 1),
                                  (None, None, "u", "t", None, 1)]),
        (("model",), [(None, None, None, None, "m", 3), (None, None, None, None, "n", 1)]),
        (("day",), [("1970-01-01", None, None, None, None, 2),
                    ("1970-01-02", None, None, None, None, 2)]),
        (("model", "day"), [("1970-01-01", None, None, None, "m", 2),
                            ("1970-01-02", None, None, None, "m", 1),
                            ("1970-01-02", None, None, None, "n", 1)]),
        ((), [(None, None, None, None, None, 4)]),
    ],
)  # fmt: skip
def test_totals_group_by_any_columns_in_a_fixed_order(opened, by, expected):
    async def story():
        async with opened() as store:
            await store.usage.append(
                batch(
                    a_record("1", key_id="b", at_ms=0, user_id="u"),
                    a_record("2", key_id="a", at_ms=DAY_MS - 1, user_id="u", team_id="t"),
                    a_record("3", key_id="a", at_ms=DAY_MS, model="n", team_id="t"),
                )
            )
            await store.usage.append(
                batch(a_record("4", key_id="a", at_ms=DAY_MS, team_id="t"), writer="other")
            )
            rows = await store.usage.totals(by=by)
            assert [
                (row.day, row.key_id, row.user_id, row.team_id, row.model, row.requests)
                for row in rows
            ] == expected

    asyncio.run(story())


def test_totals_take_since_inclusive_until_exclusive_and_one_key(opened):
    async def story():
        async with opened() as store:
            usage = store.usage
            days = [
                a_record(str(day), at_ms=NOVEMBER_30 + day * DAY_MS - 1, key_id=f"key_{day % 2}")
                for day in range(4)
            ]  # the last moments of the 29th and the 30th, the 1st and the 2nd
            await usage.append(batch(*days))

            async def count(**filters):
                return sum(row.requests for row in await usage.totals(**filters))

            assert await count() == 4
            assert await count(since="2026-11-30") == 3
            assert await count(until="2026-11-30") == 1
            assert await count(since="2026-11-30", until="2026-12-02") == 2
            assert await count(since="2026-11-30", until="2026-12-02", key_id="key_1") == 1
            assert await count(key_id="key_7") == 0
            with pytest.raises(ValueError, match="dialect"):
                await usage.totals(by=("dialect",))

    asyncio.run(story())


def test_nothing_priced_is_not_a_cost_of_nothing(opened):
    async def story():
        async with opened() as store:
            assert await store.usage.totals() == []
            await store.usage.append(
                batch(
                    a_record("1", model="none"),
                    a_record("2", model="free", cost_nano=0),
                    a_record("3", model="some"),
                    a_record("4", model="some", cost_nano=7),
                )
            )
            free, unpriced, some = await store.usage.totals(by=("model",))
            assert (free.cost_nano, free.unpriced) == (0, 0)
            assert (unpriced.cost_nano, unpriced.unpriced) == (None, 1)
            assert (some.cost_nano, some.unpriced, some.requests) == (7, 1, 2)

    asyncio.run(story())


def test_many_tasks_at_once(opened):
    async def story():
        async with opened() as store:
            await asyncio.gather(
                *(
                    store.usage.append(batch(a_record(str(n % 50), cost_nano=1), writer=f"w{n}"))
                    for n in range(100)
                ),
                *(store.keys.create(a_key(id=f"key_{n}"), digest(str(n))) for n in range(20)),
            )
            (total,) = await store.usage.totals()
            assert (total.requests, total.cost_nano) == (50, 50)
            assert {standing.spent_nano for standing in await standings(store)} == {50}
            assert len(await store.keys.list()) == 20

    asyncio.run(story())


def test_a_record_comes_back_whole(opened):
    full = a_record(
        "1",
        **{name: number for number, name in enumerate(INTEGERS)},
        stream=True,
        service_tier="flex",
        error="api_error",
        estimated=True,
        disconnected=True,
        user_id="u",
        team_id="t",
        place="west",
        upstream_request_id="aws-1",
    )

    async def story():
        async with opened() as store:
            await store.usage.append(batch(full, a_record("2")))
            assert await store.usage.records() == [full, a_record("2")]

    asyncio.run(story())


INTEGERS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_5m_input_tokens",
    "cache_creation_1h_input_tokens",
    "latency_ms",
    "ttft_ms",
    "cost_nano",
    "web_search_requests",
    "web_fetch_requests",
    "code_execution_requests",
)


def test_nothing_and_zero_are_told_apart_whatever_else_is_in_the_batch(opened):
    """Records that tell of a kind, that do not, and both in one batch, in every order."""
    told = {"ttft_ms": 0, "cost_nano": 0, "stream": True, "service_tier": "", "place": "p"}

    async def story():
        async with opened() as store:
            kinds = [{}, told, {"error": "api_error", "user_id": "u"}]
            written = []
            for batches in ([0, 0], [1, 1], [0, 1], [1, 0, 2], [2], [0] * 3):
                records = [
                    a_record(f"{len(written) + n:02}", **kinds[k]) for n, k in enumerate(batches)
                ]
                await store.usage.append(batch(*records))
                written += records
            assert await store.usage.records() == written

    asyncio.run(story())


def test_records_are_paged_by_id(opened):
    records = [
        a_record(f"{n:02}", at_ms=NOVEMBER_30 + n * DAY_MS // 4, key_id=f"key_{n % 2}")
        for n in range(20)
    ]

    async def story():
        async with opened() as store:
            for start in range(0, 20, 5):
                await store.usage.append(batch(*records[start : start + 5]))
            usage = store.usage
            assert await usage.records() == records
            seen = []
            while page := await usage.records(after=seen[-1].id if seen else None, limit=7):
                assert len(page) <= 7
                seen += page
            assert seen == records
            middle = {"since_ms": records[4].at_ms, "until_ms": records[9].at_ms}
            assert await usage.records(**middle) == records[4:9]
            assert await usage.records(**middle, key_id="key_1") == records[5:9:2]
            assert await usage.records(**middle, key_id="key_1", limit=1) == [records[5]]
            assert await usage.records(**middle, key_id="key_1", after="05") == [records[7]]
            assert await usage.records(key_id="key_7") == []
            assert await usage.records(after="19") == []

    asyncio.run(story())


def test_expired_records_leave_their_sums(opened):
    records = [a_record(f"{n:02}", at_ms=n * DAY_MS, cost_nano=1) for n in range(10)]

    async def story():
        async with opened() as store:
            await store.usage.append(batch(*records))
            before = await store.usage.totals(by=("day",)), await standings(store)
            expired = await store.usage.expire(4 * DAY_MS)
            assert expired in {0, 4}
            assert await store.usage.records() == records[expired:]
            assert (await store.usage.totals(by=("day",)), await standings(store)) == before
            assert await store.usage.expire(4 * DAY_MS) == 0

    asyncio.run(story())


MONTH = Account("key:key_1", "2026-11")


def borrowing(store, amount, *, holder="w", budget=100, now=0, until=60, account=MONTH):
    return store.ledger.borrow(
        account, holder=holder, amount_nano=amount, budget_nano=budget, now=now, until=until
    )


def test_what_is_borrowed_never_exceeds_the_budget(opened):
    async def story():
        async with opened() as store:
            assert await standings(store) == []
            assert await borrowing(store, 60) == (60, Standing(MONTH, 0, 60))
            assert await borrowing(store, 30) == (30, Standing(MONTH, 0, 90)), "it adds up"
            assert await borrowing(store, 30, holder="v") == (10, Standing(MONTH, 0, 100))
            assert await borrowing(store, 1, holder="v") == (0, Standing(MONTH, 0, 100))
            assert await borrowing(store, 1, budget=50) == (0, Standing(MONTH, 0, 100)), "lowered"
            assert await borrowing(store, 5, budget=104) == (4, Standing(MONTH, 0, 104)), "raised"
            assert await borrowing(store, 0, budget=500) == (0, Standing(MONTH, 0, 104))
            assert await standings(store) == [Standing(MONTH, 0, 104)]
            assert await standings(store, "key:key_2") == []

    asyncio.run(story())


def test_many_that_borrow_at_once_never_exceed_the_budget(opened):
    async def story():
        async with opened() as store:
            answers = await asyncio.gather(
                *(borrowing(store, 7, holder=f"w{n % 5}", budget=100) for n in range(30))
            )
            assert sum(granted for granted, _ in answers) == 100
            assert max(standing.held_nano for _, standing in answers) == 100
            assert await standings(store) == [Standing(MONTH, 0, 100)]

    asyncio.run(story())


def test_what_is_given_back_can_be_borrowed_again(opened):
    async def story():
        async with opened() as store:
            ledger = store.ledger
            await borrowing(store, 60)
            await borrowing(store, 40, holder="v")
            await ledger.give_back(MONTH, holder="w", amount_nano=20)
            assert await borrowing(store, 50, holder="v") == (20, Standing(MONTH, 0, 100))
            await ledger.give_back(MONTH, holder="w", amount_nano=1000)
            assert await standings(store) == [Standing(MONTH, 0, 60)], "never below nothing"
            await ledger.give_back(MONTH, holder="nobody", amount_nano=10)
            await ledger.give_back(Account("key:9", "total"), holder="w", amount_nano=10)
            assert await standings(store) == [Standing(MONTH, 0, 60)]

    asyncio.run(story())


def test_what_was_spent_beyond_a_hold_is_held_too(opened):
    async def story():
        async with opened() as store:
            await borrowing(store, 60)
            await store.ledger.give_back(MONTH, holder="w", amount_nano=-30)
            assert await standings(store) == [Standing(MONTH, 0, 90)]
            assert await borrowing(store, 100, holder="v") == (10, Standing(MONTH, 0, 100))

    asyncio.run(story())


def test_a_hold_lapses_unless_it_is_renewed(opened):
    async def story():
        async with opened() as store:
            ledger = store.ledger
            await borrowing(store, 60, until=60)
            await borrowing(store, 40, holder="v", until=60)
            await ledger.renew([MONTH, Account("key:9", "total")], holder="v", until=120)
            assert await standings(store, now=59) == [Standing(MONTH, 0, 100)]
            (standing,) = await standings(store, now=60)
            assert standing.held_nano == 40
            granted, standing = await borrowing(store, 100, holder="x", now=60, until=200)
            assert (granted, standing) == (60, Standing(MONTH, 0, 100))
            await ledger.renew([MONTH], holder="w", until=300)
            (standing,) = await standings(store, now=60)
            assert standing.held_nano == 100, "what lapsed and was lent to another is gone"
            (standing,) = await standings(store, now=120)
            assert standing.held_nano == 60

    asyncio.run(story())


def test_borrowing_again_keeps_all_of_the_hold(opened):
    async def story():
        async with opened() as store:
            await borrowing(store, 10, until=60)
            await borrowing(store, 10, now=30, until=90)
            (standing,) = await standings(store, now=89)
            assert standing.held_nano == 20
            assert await borrowing(store, 10, now=90, until=150) == (10, Standing(MONTH, 0, 10))

    asyncio.run(story())


def test_a_hold_is_set_whatever_it_was(opened):
    async def story():
        async with opened() as store:
            ledger = store.ledger
            total = Account("key:key_1", "total")
            await borrowing(store, 60)
            await ledger.hold({MONTH: 25, total: 7}, holder="w", until=500)
            assert await standings(store, now=499) == [
                Standing(MONTH, 0, 25),
                Standing(total, 0, 7),
            ]
            assert all(s.held_nano == 0 for s in await standings(store, now=500))
            await ledger.hold({MONTH: 0, total: 0}, holder="w", until=500)
            await ledger.hold({MONTH: 0}, holder="nobody", until=500)
            assert all(s.held_nano == 0 for s in await standings(store))
            assert await borrowing(store, 100, holder="v") == (100, Standing(MONTH, 0, 100))
            await ledger.hold({MONTH: 30}, holder="w", until=60)
            (month, *_) = await standings(store)
            assert month == Standing(MONTH, 0, 130), "spent is spent, whatever is left"
            assert (await borrowing(store, 1, holder="v"))[0] == 0

    asyncio.run(story())


def test_what_had_lapsed_is_held_again_and_left_by_what_is_spent(opened):
    async def story():
        async with opened() as store:
            await borrowing(store, 60, until=60)
            assert (await borrowing(store, 10, holder="v", now=60, until=999))[0] == 10
            await store.ledger.hold({MONTH: 50}, holder="w", until=999)
            granted, standing = await borrowing(store, 100, now=61, until=90)
            assert (granted, standing) == (40, Standing(MONTH, 0, 100))
            await store.ledger.hold({MONTH: 50}, holder="w", until=90)
            (standing,) = await standings(store, now=90)
            assert standing.held_nano == 10, "it may also lapse earlier than before"
            await store.usage.append(batch(a_record("1", at_ms=NOVEMBER_30, cost_nano=50)))
            (standing, *_) = await standings(store)
            assert standing == Standing(MONTH, 50, 10)

    asyncio.run(story())


def test_usage_is_spent_from_every_account_and_leaves_the_hold_of_its_writer(opened):
    day = Account("key:key_1", "2026-11-30")
    fields = {"at_ms": NOVEMBER_30, "user_id": "u", "team_id": "t"}

    async def story():
        async with opened() as store:
            await borrowing(store, 60)
            await borrowing(store, 30, holder="v")
            await borrowing(store, 5, account=day)
            first = batch(a_record("1", cost_nano=25, **fields), a_record("2", **fields))
            for _ in range(2):
                await store.usage.append(first)
            assert await standings(store) == [
                Standing(MONTH, 25, 65),
                Standing(day, 25, 0),
                Standing(Account("key:key_1", "total"), 25, 0),
            ]
            for owner in ("user:u", "team:t"):
                periods = ("2026-11", "2026-11-30", "total")
                expected = [Standing(Account(owner, period), 25, 0) for period in periods]
                assert await standings(store, owner) == expected
            # Spent and held leave less to borrow, whoever asks.
            assert await borrowing(store, 50, holder="x") == (10, Standing(MONTH, 25, 75))
            await store.usage.append(batch(a_record("3", cost_nano=500, **fields), writer="v"))
            (month, *_) = await standings(store)
            assert month == Standing(MONTH, 525, 45), "more than was held: only that is let go"
            assert await borrowing(store, 50, holder="x") == (0, Standing(MONTH, 525, 45))

    asyncio.run(story())


def test_months_and_days_are_accounts_of_their_own(opened):
    december = NOVEMBER_30 + DAY_MS

    async def story():
        async with opened() as store:
            await store.usage.append(
                batch(
                    a_record("1", at_ms=NOVEMBER_30 - 1, cost_nano=1),
                    a_record("2", at_ms=december - 1, cost_nano=2),
                    a_record("3", at_ms=december, cost_nano=4),
                )
            )
            assert [(s.account.period, s.spent_nano) for s in await standings(store)] == [
                ("2026-11", 3),
                ("2026-11-29", 1),
                ("2026-11-30", 2),
                ("2026-12", 4),
                ("2026-12-01", 4),
                ("total", 7),
            ]
            granted, _ = await borrowing(store, 100, account=Account("key:key_1", "2026-12"))
            assert granted == 96

    asyncio.run(story())


def test_what_has_no_price_is_spent_from_no_account(opened):
    async def story():
        async with opened() as store:
            await store.usage.append(batch(a_record("1"), a_record("2", user_id="u")))
            assert await standings(store) == []
            assert await standings(store, "user:u") == []

    asyncio.run(story())


def test_what_was_spent_elsewhere_is_imported_once(opened):
    total = Account("key:key_1", "total")

    async def story():
        async with opened() as store:
            ledger = store.ledger
            assert await ledger.import_spent(total, 70)
            assert not await ledger.import_spent(total, 70)
            assert await standings(store) == [Standing(total, 70, 0)]
            assert (await borrowing(store, 100, account=total))[0] == 30
            await store.usage.append(batch(a_record("1", cost_nano=5)))
            assert not await ledger.import_spent(Account("key:key_1", "1970-01"), 9)
            spent = {s.account.period: s.spent_nano for s in await standings(store)}
            assert spent == {"1970-01": 5, "1970-01-01": 5, "total": 75}

    asyncio.run(story())


def test_the_audit_log_is_read_from_its_end(opened):
    full = a_change("3", object="key_2", before={"a": [1, None]}, after={"b": {"c": "d"}})

    async def story():
        async with opened() as store:
            audit = store.audit
            assert await audit.list() == []
            for record in (a_change("1"), a_change("2"), full, a_change("4"), a_change("2")):
                await audit.append(record)
            assert [record.id for record in await audit.list()] == ["4", "3", "2", "1"]
            assert (await audit.list())[1] == full
            assert [record.id for record in await audit.list(limit=2)] == ["4", "3"]
            assert [record.id for record in await audit.list(before="3", limit=1)] == ["2"]
            assert await audit.list(before="1") == []
            assert await audit.list(object_id="key_2") == [full]
            page = await audit.list(object_id="key_1", before="4", limit=1)
            assert [record.id for record in page] == ["2"]
            assert await audit.list(object_id="key_9") == []

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
