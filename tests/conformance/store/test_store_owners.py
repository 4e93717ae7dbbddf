"""Users and teams in every store."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from store_rows import ALLOWANCE, Refused, a_key, an_owner, digest

from anthropic_bedrock_proxy.store.base.callers import Caller
from anthropic_bedrock_proxy.store.base.errors import (
    AlreadyExistsError,
    NoSuchObjectError,
)


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
