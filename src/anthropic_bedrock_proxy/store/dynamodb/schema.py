"""The shapes of the tables, and the creation of missing ones.

The predecessor's nine tables keep its shapes, so that it can be put back in our place at any time.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ...aws.dynamodb import DynamoDB, DynamoDBError
from ..base.errors import NotPreparedError, StoreError
from .each import each
from .tables import TableNames, store_error

_MOST_LOOKS: Final = 60  # tries until a new table is active: about a minute


class Shape(msgspec.Struct, frozen=True):
    """The keys of a table: all are strings."""

    hash: str
    range: str | None = None
    index: str | None = None  # the attribute of "<attribute>-index"
    ttl: str | None = None


SHAPES: Final = {
    "api_keys": Shape("api_key", index="user_id"),
    "usage": Shape("api_key", "timestamp", ttl="ttl"),
    "model_mapping": Shape("anthropic_model_id"),
    "model_pricing": Shape("model_id", index="provider"),
    "usage_stats": Shape("api_key"),
    "provider_keys": Shape("key_id", index="provider"),
    "routing_rules": Shape("rule_id"),
    "failover_chains": Shape("source_model"),
    "smart_routing_config": Shape("config_id"),
    "state": Shape("pk", "sk", ttl="ttl"),
}
NEEDED: Final = ("api_keys", "usage", "model_mapping", "model_pricing", "state")


class TablesReport(msgspec.Struct, frozen=True, kw_only=True):
    """The names of tables that `create_tables` made, found, or could not finish."""

    created: tuple[str, ...] = ()
    present: tuple[str, ...] = ()  # left as they were
    without_ttl: tuple[str, ...] = ()  # created, but this DynamoDB cannot expire items


async def create_tables(client: DynamoDB, names: TableNames) -> TablesReport:
    """Makes the tables that are missing and waits until they can be used. Raises `StoreError`."""
    outcomes = dict(
        zip(SHAPES, await each(lambda kind: _create(client, names, kind), SHAPES), strict=True)
    )

    def named(*wanted: str) -> tuple[str, ...]:
        return tuple(getattr(names, kind) for kind in SHAPES if outcomes[kind] in wanted)

    return TablesReport(
        created=named("created", "without_ttl"),
        present=named("present"),
        without_ttl=named("without_ttl"),
    )


async def check_tables(client: DynamoDB, names: TableNames) -> None:
    """Raises `NotPreparedError` if needed tables are missing, `StoreError` if some come soon."""
    needed = [getattr(names, kind) for kind in NEEDED]
    states = dict(zip(needed, await each(lambda name: _status(client, name), needed), strict=True))
    if missing := [name for name, status in states.items() if not status]:
        raise NotPreparedError(
            f"DynamoDB has no table {', '.join(missing)}: "
            "`anthropic-bedrock-proxy tables create` makes what is missing; if they have other "
            "names, correct DYNAMODB_*_TABLE"
        )
    if coming := [name for name, status in states.items() if status == "CREATING"]:
        raise StoreError(f"DynamoDB is still making the table {', '.join(coming)}")


async def _create(client: DynamoDB, names: TableNames, kind: str) -> str:
    name: str = getattr(names, kind)
    shape = SHAPES[kind]
    if await _status(client, name):
        await _wait(client, name)
        return "present"
    try:
        await client.call("CreateTable", creation(name, shape))
    except DynamoDBError as error:
        if error.code != "ResourceInUseException":  # another made it at the same time
            raise store_error(error, "CreateTable", name) from error
    await _wait(client, name)
    if shape.ttl is None or await _expire(client, name, shape.ttl):
        return "created"
    return "without_ttl"


def creation(name: str, shape: Shape) -> dict[str, Any]:
    """Makes the request that creates a table."""
    attributes = [a for a in (shape.hash, shape.range, shape.index) if a is not None]
    keys = [{"AttributeName": shape.hash, "KeyType": "HASH"}]
    if shape.range is not None:
        keys.append({"AttributeName": shape.range, "KeyType": "RANGE"})
    request: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": keys,
        "AttributeDefinitions": [{"AttributeName": a, "AttributeType": "S"} for a in attributes],
    }
    if shape.index is not None:
        request["GlobalSecondaryIndexes"] = [
            {
                "IndexName": f"{shape.index}-index",
                "KeySchema": [{"AttributeName": shape.index, "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ]
    return request


async def _expire(client: DynamoDB, name: str, attribute: str) -> bool:
    """Lets items expire; False where DynamoDB is an imitation that cannot."""
    specification = {"Enabled": True, "AttributeName": attribute}
    request = {"TableName": name, "TimeToLiveSpecification": specification}
    try:
        await client.call("UpdateTimeToLive", request)
    except DynamoDBError as error:
        if error.code == "UnknownOperationException":
            return False
        if error.code != "ValidationException":  # it is on already
            raise store_error(error, "UpdateTimeToLive", name) from error
    return True


async def _wait(client: DynamoDB, name: str) -> None:
    for attempt in range(_MOST_LOOKS):
        if await _status(client, name) in {"ACTIVE", "UPDATING"}:
            return
        await client.wait(attempt)
    raise StoreError(f"the table {name} is still not ready; run the command again")


async def _status(client: DynamoDB, name: str) -> str:
    """Returns ACTIVE, CREATING, …; empty if there is no such table."""
    try:
        answer = await client.call("DescribeTable", {"TableName": name})
    except DynamoDBError as error:
        if error.code == "ResourceNotFoundException":
            return ""
        raise store_error(error, "DescribeTable", name) from error
    status: str = answer["Table"]["TableStatus"]
    return status
