"""Keys in DynamoDB, a page at a time: what is read for it, and that none is missing."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from hashlib import sha256

import pytest
from dynamo_servers import BreakingDynamoDB, CheckedDynamoDB, client, connected, server

from anthropic_bedrock_proxy.aws.dynamodb_values import to_item
from anthropic_bedrock_proxy.store.base.callers import KeyRecord
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.dynamodb.legacy import key_id_of
from anthropic_bedrock_proxy.store.dynamodb.migration import migrate_tables
from anthropic_bedrock_proxy.store.dynamodb.store import DynamoDBStore

SECRET = "sk-" + "7" * 32  # of the predecessor


class ReadingDynamoDB(CheckedDynamoDB):
    """Notes for each read how many items it asked for or came upon."""

    def __init__(self, *arguments, reads, **options) -> None:
        super().__init__(*arguments, **options)
        self.reads = reads

    async def call(self, operation, request):
        """See `DynamoDB.call`."""
        answer = await super().call(operation, request)
        if operation in {"Query", "Scan"}:
            self.reads.append((operation, answer["ScannedCount"]))
        elif operation == "BatchGetItem":
            ((_, asked),) = request["RequestItems"].items()
            self.reads.append((operation, len(asked["Keys"])))
        elif operation == "GetItem":
            self.reads.append((operation, 1))
        return answer


@asynccontextmanager
async def opened(names, kind=CheckedDynamoDB, **options):
    store = DynamoDBStore(lambda: client(server("dynalite"), kind, **options), names)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def a_key(number: int) -> KeyRecord:
    return KeyRecord(
        id=f"key_{number:03}", name="n", secret_hint="h", created_at=number // 2, updated_at=1
    )


def digest(number: int) -> bytes:
    return sha256(b"%d" % number).digest()


async def forget_listing(dynamo, names) -> None:
    """As a version before left it, which listed nothing."""
    found = await dynamo.call("Scan", {"TableName": names.state})
    for item in found["Items"]:
        if item["pk"]["S"] in {"keys", "listing"}:
            key = {name: item[name] for name in ("pk", "sk")}
            await dynamo.call("DeleteItem", {"TableName": names.state, "Key": key})


async def ids(store, **page) -> list[str]:
    return [key.id for key in await store.keys.list(**page)]


def test_a_page_reads_its_keys_and_no_others():
    async def story():
        reads: list[tuple[str, int]] = []
        async with (
            connected("dynalite") as (_, names),
            opened(names, ReadingDynamoDB, reads=reads) as store,
        ):
            for number in range(40):
                await store.keys.create(a_key(number), digest(number))
            await store.keys.list()
            reads.clear()
            assert await ids(store, after="key_011", limit=5) == [
                f"key_{n:03}" for n in range(12, 17)
            ]
            assert reads == [
                ("GetItem", 1),  # the one after which
                ("GetItem", 1),  # that none is missing
                ("Query", 5),
                ("BatchGetItem", 5),
            ]

    asyncio.run(story())


def test_keys_of_a_version_that_listed_none_are_listed_by_the_first_who_asks():
    async def story():
        async with connected("dynalite") as (dynamo, names):
            reads: list[tuple[str, int]] = []
            async with opened(names, ReadingDynamoDB, reads=reads) as store:
                for number in range(30):
                    await store.keys.create(a_key(number), digest(number))
                everything = [f"key_{n:03}" for n in range(30)]
                await forget_listing(dynamo, names)
                assert await ids(store, limit=3) == everything[:3]
                assert await ids(store, after="key_002", limit=3) == everything[3:6]
                assert await ids(store) == everything
                assert [name for name, _ in reads].count("Scan") == 1
                # A process of that version makes another one, and ends.
                entry = {"pk": {"S": "keys"}, "sk": {"S": "000000000015#key_030"}}
                await store.keys.create(a_key(30), digest(30))
                await dynamo.call("DeleteItem", {"TableName": names.state, "Key": entry})
                assert await ids(store) == everything
                await migrate_tables(dynamo, names)
                assert await ids(store) == [*everything, "key_030"]

    asyncio.run(story())


def test_a_key_of_the_predecessor_is_listed_whenever_it_comes():
    theirs = {"api_key": SECRET, "user_id": "u", "created_at": 5, "is_active": True}

    async def story():
        async with connected("dynalite") as (dynamo, names), opened(names) as store:
            for number in range(20):
                await store.keys.create(a_key(number), digest(number))
            assert len(await ids(store)) == 20, "and from now on by their entries"
            await dynamo.call("PutItem", {"TableName": names.api_keys, "Item": to_item(theirs)})
            hashed = sha256(SECRET.encode()).digest()
            assert (await store.keys.find(hashed, now=9, secret=SECRET)) is not None
            expected = sorted(
                [(n // 2, f"key_{n:03}") for n in range(20)] + [(5, key_id_of(SECRET))]
            )
            expected = [key_id for _, key_id in expected]
            assert await ids(store) == expected
            assert await ids(store, after=expected[4], limit=9) == expected[5:14]
            await migrate_tables(dynamo, names)
            assert await ids(store) == expected
            reads: list[tuple[str, int]] = []
            async with opened(names, ReadingDynamoDB, reads=reads) as other:
                assert await ids(other, limit=2) == expected[:2]
                assert "Scan" not in dict(reads)

    asyncio.run(story())


@pytest.mark.parametrize("writes", range(4))
def test_no_key_works_that_is_not_listed(writes):
    async def story():
        async with connected("dynalite") as (_, names), opened(names) as store:
            await store.keys.create(a_key(1), digest(1))
            await store.keys.list()
            async with opened(names, BreakingDynamoDB, writes=writes) as breaking:
                try:
                    await breaking.keys.create(a_key(2), digest(2))
                except StoreError:
                    assert writes < 3
                else:
                    assert writes == 3
            works = await store.keys.find(digest(2), now=9) is not None
            assert works == (writes == 3)
            listed = "key_002" in await ids(store)
            assert listed >= works

    asyncio.run(story())


def test_a_key_whose_secret_there_is_already_is_not_listed():
    async def story():
        async with connected("dynalite") as (dynamo, names), opened(names) as store:
            await store.keys.create(a_key(1), digest(1))
            with pytest.raises(StoreError):
                await store.keys.create(a_key(2), digest(1))
            assert await ids(store) == ["key_001"]
            found = await dynamo.call("Scan", {"TableName": names.state})
            assert "key_002" not in json.dumps(found)

    asyncio.run(story())
