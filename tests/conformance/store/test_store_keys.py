"""Keys in every store."""

from __future__ import annotations

import asyncio

import pytest
from store_rows import ALLOWANCE, Refused, a_key, digest

from anthropic_bedrock_proxy.store.base.callers import Caller, NewSecret
from anthropic_bedrock_proxy.store.base.errors import (
    AlreadyExistsError,
    NoSuchObjectError,
    StoreError,
)


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
            # Told to clients of the admin API, so without paths and names of columns.
            with pytest.raises(AlreadyExistsError, match=r"^this [a-z ]*exists already$"):
                await store.keys.create(a_key(id="key_2"), digest("a"))

    asyncio.run(story())


def test_of_many_first_keys_at_once_one_is_made(opened):
    async def story():
        async with opened() as store:

            async def create(number):
                try:
                    key = a_key(id=f"key_{number}", created_at=100)
                    await store.keys.create(key, digest(f"s{number}"), first=True)
                except AlreadyExistsError:
                    return None
                return key.id

            made = [key for key in await asyncio.gather(*map(create, range(6))) if key]
            assert len(made) == 1
            assert [key.id for key in await store.keys.list()] == made
            with pytest.raises(AlreadyExistsError):
                await store.keys.create(a_key(id="x", created_at=999), digest("x"), first=True)
            await store.keys.create(a_key(id="second", created_at=999), digest("second"))

    asyncio.run(story())


def test_a_store_that_is_open_answers_a_ping_without_and_with_keys(opened):
    async def story():
        async with opened() as store:
            await store.ping()
            await store.keys.create(a_key(), digest("a"))
            await store.ping()

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
            with pytest.raises(AlreadyExistsError):
                await store.keys.create(a_key(), digest("b"))
            with pytest.raises(AlreadyExistsError):
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
