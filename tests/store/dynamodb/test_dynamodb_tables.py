"""What goes wrong between the store and DynamoDB, and what is done again."""

from __future__ import annotations

import asyncio

import pytest
from dynamo_servers import CheckedDynamoDB, client, connected, server

from anthropic_bedrock_proxy.aws.dynamodb import NO_CREDENTIALS, DynamoDBError
from anthropic_bedrock_proxy.store.base.catalog import BedrockModel
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.dynamodb.store import DynamoDBStore
from anthropic_bedrock_proxy.store.dynamodb.tables import store_error


def test_an_outage_is_a_store_error_and_passes():
    class Down(CheckedDynamoDB):
        down = True

        async def call(self, operation, request):
            if self.down:
                raise DynamoDBError("Unreachable", "no connection")
            return await super().call(operation, request)

    async def story():
        async with connected("dynalite") as (_, names):
            store = DynamoDBStore(lambda: client(server("dynalite"), Down), names)
            with pytest.raises(StoreError, match="cannot be reached: no connection"):
                await store.open()
            Down.down = False
            assert await store.keys.list() == [], "the store serves as soon as DynamoDB does"
            await store.open()
            await store.close()

    asyncio.run(story())


def test_missing_credentials_are_no_refusal_of_dynamodb():
    error = DynamoDBError(NO_CREDENTIALS, "the profile x: not found")
    told = str(store_error(error, "GetItem", "keys"))
    assert told == "there are no AWS credentials for DynamoDB: the profile x: not found"


def test_what_is_throttled_for_too_long_is_a_store_error():
    class Throttled(CheckedDynamoDB):
        async def call(self, operation, request):
            if operation == "BatchWriteItem":
                return {"UnprocessedItems": request["RequestItems"]}
            if operation == "BatchGetItem":
                return {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}
            return await super().call(operation, request)

    async def no_sleep(_):
        pass

    async def story():
        async with connected("dynalite") as (_, names):
            store = DynamoDBStore(
                lambda: client(server("dynalite"), Throttled, sleep=no_sleep), names
            )
            await store.open()
            with pytest.raises(StoreError, match="throttling"):
                await store.owners.of_key("u", None)
            model = BedrockModel(id="m", name="M", provider="p", synced_at=1)
            with pytest.raises(StoreError, match="throttling"):
                await store.catalog.replace_models([model])
            assert await store.catalog.models() == []
            await store.close()

    asyncio.run(story())


def test_what_was_left_undone_of_a_batch_is_done_later():
    class Partly(CheckedDynamoDB):
        async def call(self, operation, request):
            if operation not in {"BatchWriteItem", "BatchGetItem"}:
                return await super().call(operation, request)
            ((table, wanted),) = request["RequestItems"].items()
            if operation == "BatchWriteItem":
                await super().call(operation, {"RequestItems": {table: wanted[:1]}})
                return {"UnprocessedItems": {table: wanted[1:]} if wanted[1:] else {}}
            keys = wanted["Keys"]
            first = {"RequestItems": {table: {**wanted, "Keys": keys[:1]}}}
            answer = await super().call(operation, first)
            rest = {table: {**wanted, "Keys": keys[1:]}} if keys[1:] else {}
            return {**answer, "UnprocessedKeys": rest}

    async def no_sleep(_):
        pass

    async def story():
        async with connected("dynalite") as (_, names):
            store = DynamoDBStore(lambda: client(server("dynalite"), Partly, sleep=no_sleep), names)
            await store.open()
            tables = store.keys._tables
            items = [{"pk": "p", "sk": str(n), "n": n} for n in range(5)]
            await tables.put_many(names.state, items)
            keys = [{"pk": "p", "sk": str(n)} for n in range(7)]
            found = await tables.get_many(names.state, keys)
            assert sorted(found, key=lambda item: item["n"]) == items
            await tables.delete_many(names.state, keys[:4])
            assert await tables.get_many(names.state, keys) == items[4:]
            await store.close()

    asyncio.run(story())
