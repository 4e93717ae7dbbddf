"""Making the tables, and what a store says that finds none."""

from __future__ import annotations

import asyncio

import pytest
from dynamo_servers import SERVERS, client, connected, fresh_names, server

from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.dynamodb.schema import NEEDED, SHAPES, create_tables
from anthropic_bedrock_proxy.store.dynamodb.store import DynamoDBStore

# Of the predecessor, as its own script makes them: hash, range, index and what it is on. The index
# of usage on "request_id" is not made: every row would be billed twice, for a look-up of nobody's.
PREDECESSOR = {
    "api_keys": ("api_key", None, ("user_id-index", "user_id")),
    "usage": ("api_key", "timestamp", None),
    "usage_stats": ("api_key", None, None),
    "model_pricing": ("model_id", None, ("provider-index", "provider")),
    "model_mapping": ("anthropic_model_id", None, None),
    "provider_keys": ("key_id", None, ("provider-index", "provider")),
    "routing_rules": ("rule_id", None, None),
    "failover_chains": ("source_model", None, None),
    "smart_routing_config": ("config_id", None, None),
}


async def described(dynamo, name):
    table = (await dynamo.call("DescribeTable", {"TableName": name}))["Table"]
    keys = {key["KeyType"]: key["AttributeName"] for key in table["KeySchema"]}
    index = None
    for found in table.get("GlobalSecondaryIndexes", ()):
        assert found["Projection"] == {"ProjectionType": "ALL"}
        index = (found["IndexName"], found["KeySchema"][0]["AttributeName"])
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    return keys["HASH"], keys.get("RANGE"), index


@pytest.mark.parametrize("kind", SERVERS)
def test_tables_are_made_as_the_predecessor_made_them_and_left_alone_then(kind):
    async def story():
        dynamo, names = client(server(kind)), fresh_names()
        report = await create_tables(dynamo, names)
        assert sorted(report.created) == sorted(getattr(names, kind) for kind in SHAPES)
        assert report.without_ttl == ((names.usage, names.state) if kind == "dynalite" else ())
        for table, shape in PREDECESSOR.items():
            assert await described(dynamo, getattr(names, table)) == shape
        assert await described(dynamo, names.state) == ("pk", "sk", None)
        again = await create_tables(dynamo, names)
        assert (again.created, sorted(again.present)) == ((), sorted(report.created))
        await dynamo.close()

    asyncio.run(story())


def test_rows_and_state_expire_where_that_is_possible():
    async def story():
        async with connected("moto") as (dynamo, names):
            for name in (names.usage, names.state):
                answer = await dynamo.call("DescribeTimeToLive", {"TableName": name})
                assert answer["TimeToLiveDescription"]["AttributeName"] == "ttl"

    asyncio.run(story())


def test_a_store_without_tables_says_which_and_opens_once_they_are_there():
    async def story():
        names = fresh_names()
        store = DynamoDBStore(lambda: client(server("dynalite")), names)
        with pytest.raises(StoreError, match="not open"):
            await store.keys.get("key_1")
        with pytest.raises(StoreError, match="tables create") as caught:
            await store.open()
        assert all(getattr(names, kind) in str(caught.value) for kind in NEEDED)
        dynamo = client(server("dynalite"))
        await create_tables(dynamo, names)
        await dynamo.close()
        await store.open()
        assert await store.keys.list() == []
        await store.close()

    asyncio.run(story())
