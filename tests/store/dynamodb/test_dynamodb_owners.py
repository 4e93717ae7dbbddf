"""Judgements in DynamoDB, where what is judged is in other items than what is written."""

from __future__ import annotations

import asyncio

import pytest
from dynamo_servers import CheckedDynamoDB, client, connected, server

from anthropic_bedrock_proxy.errors import PermissionDeniedError
from anthropic_bedrock_proxy.store.base.callers import KeyRecord, NewSecret, OwnerRecord
from anthropic_bedrock_proxy.store.base.errors import AlreadyExistsError, NoSuchObjectError
from anthropic_bedrock_proxy.store.dynamodb.store import DynamoDBStore

KEY = KeyRecord(id="key_1", name="n", secret_hint="h", created_at=1, updated_at=1)
OWNER = OwnerRecord(kind="team", id="red", name="red", created_at=1, updated_at=1)
SCOPES = {"admin_scopes": ("keys:read",)}


class InterruptedDynamoDB(CheckedDynamoDB):
    """Does something else just before a write to a partition, the first one unless told."""

    def __init__(self, *arguments, partition, interrupt, writes=0, **options) -> None:
        super().__init__(*arguments, **options)
        self.partition, self.interrupt, self.writes = partition, interrupt, writes

    async def call(self, operation, request):
        """See `DynamoDB.call`."""
        item = request.get("Item") or request.get("Key") or {}
        if operation in {"PutItem", "DeleteItem"} and item.get("pk") == {"S": self.partition}:
            self.writes -= 1
            if self.writes == -1:
                await self.interrupt()
        return await super().call(operation, request)


@pytest.fixture(params=["dynalite", "moto"])
def told(request):
    """Runs a story with a store, and one that is interrupted before it writes to a partition."""

    def run(partition, interruption, story, writes=0):
        async def main():
            url = server(request.param)
            async with connected(request.param) as (_, names):
                quiet = DynamoDBStore(lambda: client(url), names)
                hasty = DynamoDBStore(
                    lambda: client(
                        url,
                        InterruptedDynamoDB,
                        partition=partition,
                        writes=writes,
                        interrupt=lambda: interruption(quiet),
                    ),
                    names,
                )
                for store in (quiet, hasty):
                    await store.open()
                try:
                    await story(quiet, hasty)
                finally:
                    for store in (quiet, hasty):
                        await store.close()

        asyncio.run(main())

    return run


def refuse_scopes(before, _):
    if before.admin_scopes:
        raise PermissionDeniedError("more than you")


def refuse_admins(_, keys):
    if keys:
        raise PermissionDeniedError("more than you")


@pytest.mark.parametrize("changing", ["rotate", "update"])
def test_a_key_that_is_granted_something_before_the_write_is_judged_again(told, changing):
    async def grant(store):
        secret = NewSecret(b"g" * 32, "g")
        await store.keys.update("key_1", SCOPES, now=2, judge=lambda _, __: secret)

    async def story(quiet, hasty):
        await quiet.keys.create(KEY, b"a" * 32)
        if changing == "rotate":
            secret = NewSecret(b"s" * 32, "s")
            change = hasty.keys.rotate("key_1", secret, now=2, judge=refuse_scopes)
        else:
            change = hasty.keys.update("key_1", {"name": "x"}, now=2, judge=refuse_scopes)
        with pytest.raises(PermissionDeniedError):
            await change
        key = await quiet.keys.get("key_1")
        assert (key.admin_scopes, key.name, key.secret_hint) == (("keys:read",), "n", "g")
        assert await quiet.keys.find(b"s" * 32, now=2) is None
        assert (await quiet.keys.find(b"g" * 32, now=2)).key == key

    told("key#key_1", grant, story)


@pytest.mark.parametrize("changing", ["update", "remove"])
@pytest.mark.parametrize("coming", ["create", "update"])
def test_an_owner_that_an_admin_key_joins_before_the_write_is_judged_again(told, changing, coming):
    async def join(store):
        if coming == "create":
            key = KeyRecord(
                id="key_2", name="n", secret_hint="h", created_at=1, updated_at=1, team_id="red",
                **SCOPES,
            )  # fmt: skip
            await store.keys.create(key, b"b" * 32)
        else:
            await store.keys.update("key_1", {"team_id": "red", **SCOPES}, now=2)

    async def story(quiet, hasty):
        await quiet.keys.create(KEY, b"a" * 32)
        await quiet.owners.create(OWNER)
        if changing == "update":
            off = {"is_active": False}
            change = hasty.owners.update("team", "red", off, now=2, judge=refuse_admins)
        else:
            change = hasty.owners.remove("team", "red", judge=refuse_admins)
        with pytest.raises(PermissionDeniedError):
            await change
        assert await quiet.owners.get("team", "red") == OWNER

    told("owner#team", join, story)


async def join(store):
    key = KeyRecord(
        id="key_2", name="n", secret_hint="h", created_at=1, updated_at=1, team_id="red", **SCOPES
    )
    await store.keys.create(key, b"b" * 32)


@pytest.mark.parametrize("writes", [0, 1])
def test_an_owner_that_an_admin_key_names_before_it_is_made_is_judged_by_it(told, writes):
    async def story(quiet, hasty):
        with pytest.raises(PermissionDeniedError):
            await hasty.owners.create(OWNER, judge=refuse_admins)
        assert await quiet.owners.get("team", "red") is None
        await quiet.owners.create(OWNER)
        assert await quiet.owners.get("team", "red") == OWNER

    told("owner#team", join, story, writes)


def test_an_owner_that_is_still_to_be_judged_is_not_there(told):
    async def look(store):
        await join(store)
        assert await store.owners.get("team", "red") is None
        assert await store.owners.list("team") == []
        assert (await store.keys.find(b"b" * 32, now=2)).team is None
        assert not await store.owners.remove("team", "red")
        with pytest.raises(NoSuchObjectError):
            await store.owners.update("team", "red", {"name": "x"}, now=2)

    async def story(quiet, hasty):
        await hasty.owners.create(OWNER, judge=lambda _, __: None)
        assert await quiet.owners.get("team", "red") == OWNER
        assert await quiet.owners.list("team") == [OWNER]

    told("owner#team", look, story, 1)


def test_of_two_who_create_an_owner_one_does_and_the_other_is_told(told):
    async def create(store):
        await store.owners.create(OWNER, judge=lambda _, __: None)

    async def story(quiet, hasty):
        other = OwnerRecord(kind="team", id="red", name="other", created_at=1, updated_at=1)
        with pytest.raises(AlreadyExistsError):
            await hasty.owners.create(other, judge=lambda _, __: None)
        assert await quiet.owners.get("team", "red") == OWNER

    told("owner#team", create, story, 1)
