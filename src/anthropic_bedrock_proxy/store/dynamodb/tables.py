"""Our tables: items in and out as plain values, and DynamoDB's errors as `StoreError`.

Everything is read consistently but for indexes, which cannot be. A conditional write that was
refused is no error: it answers False, and the caller knows what that means.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from ...aws.dynamodb import NO_CREDENTIALS, UNREACHABLE, DynamoDB, DynamoDBError
from ...aws.dynamodb_values import Item, from_item, to_item
from ..base.errors import StoreError
from .each import each, parts
from .items import ItemChange, can_be_key

_MOST_WRITES: Final = 25  # of one BatchWriteItem
_MOST_KEYS: Final = 100  # of one BatchGetItem
_MOST_REPEATS: Final = 12  # tries for the rest of a batch that DynamoDB left undone: some seconds


class TableNames(msgspec.Struct, frozen=True, kw_only=True):
    """The nine tables of the predecessor, and one of ours for all that it does not have."""

    api_keys: str = "anthropic-proxy-api-keys"
    usage: str = "anthropic-proxy-usage"
    model_mapping: str = "anthropic-proxy-model-mapping"
    model_pricing: str = "anthropic-proxy-model-pricing"
    usage_stats: str = "anthropic-proxy-usage-stats"
    provider_keys: str = "anthropic-proxy-provider-keys"
    routing_rules: str = "anthropic-proxy-routing-rules"
    failover_chains: str = "anthropic-proxy-failover-chains"
    smart_routing_config: str = "anthropic-proxy-smart-routing-config"
    state: str = "anthropic-proxy-state"


class Tables:
    """The tables by their names."""

    def __init__(self, connect: Callable[[], DynamoDB], names: TableNames) -> None:
        """`connect` makes a client in the running loop."""
        self.names = names
        self._connect = connect
        self._client: DynamoDB | None = None

    async def open(self) -> None:
        """Makes the client; a new one if there was one."""
        await self.close()
        self._client = self._connect()

    async def close(self) -> None:
        """Drops the client."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @property
    def client(self) -> DynamoDB:
        """Returns the client. Raises `StoreError` if the store is not open."""
        if self._client is None:
            raise StoreError("the DynamoDB store is not open")
        return self._client

    def at(self, moment: int) -> int:
        """Converts a moment of this machine's clock to DynamoDB's, which all machines share."""
        return round(moment + self.client.skew.seconds)

    async def get(self, table: str, key: Item) -> Item | None:
        """Returns one item; None if there is none, or if `key` cannot be a key in DynamoDB."""
        if not all(map(can_be_key, key.values())):
            return None
        request = {"TableName": table, "Key": to_item(key), "ConsistentRead": True}
        answer = await self.call("GetItem", request)
        return from_item(answer["Item"]) if "Item" in answer else None

    async def put(self, table: str, item: Item, unless: ItemChange = ItemChange()) -> bool:  # noqa: B008  # frozen
        """Writes a whole item; False if the condition of `unless` did not hold."""
        request = {"TableName": table, "Item": to_item(item), **unless.fields()}
        return await self._conditional("PutItem", request) is not None

    async def update(self, table: str, key: Item, change: ItemChange) -> Item | None:
        """Changes or makes an item; returns it, or None if the condition did not hold."""
        request = {"TableName": table, "Key": to_item(key), "ReturnValues": "ALL_NEW"}
        answer = await self._conditional("UpdateItem", request | change.fields())
        return None if answer is None else from_item(answer.get("Attributes", {}))

    async def delete(self, table: str, key: Item, only: ItemChange = ItemChange()) -> Item | None:  # noqa: B008  # frozen
        """Deletes an item and returns it; None if there was none or the condition did not hold."""
        request = {"TableName": table, "Key": to_item(key), "ReturnValues": "ALL_OLD"}
        answer = await self._conditional("DeleteItem", request | only.fields())
        return from_item(answer["Attributes"]) if answer and "Attributes" in answer else None

    async def remove(self, table: str, key: Item) -> bool:
        """Deletes an item; False if there was none."""
        # Read first: a delete that is sent again after a lost answer finds nothing any more.
        if await self.get(table, key) is None:
            return False
        await self.delete(table, key)
        return True

    async def query(
        self,
        table: str,
        condition: str,
        values: Item,
        *,
        names: Mapping[str, str] | None = None,
        **options: Any,
    ) -> AsyncGenerator[Item, None]:
        """Yields the items of a partition, page after page; `options` are fields of the request.

        `names` gives the attributes behind #pk and #sk in `condition`; by default, pk and sk.
        """
        names = names or {"#pk": "pk", "#sk": "sk"}
        request = {
            "TableName": table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": {n: names[n] for n in names if n in condition},
            "ExpressionAttributeValues": to_item(values),
            "ConsistentRead": "IndexName" not in options,
            **options,
        }
        async for item in self._pages("Query", request):
            yield item

    async def scan(self, table: str, **options: Any) -> AsyncGenerator[Item, None]:
        """Yields every item of a table. Never on the path of a request."""
        request = {"TableName": table, "ConsistentRead": True, **options}
        async for item in self._pages("Scan", request):
            yield item

    async def get_many(self, table: str, keys: Iterable[Item], **options: Any) -> list[Item]:
        """Returns the items that exist, in no order; `options` select attributes."""
        wanted = [to_item(key) for key in keys if all(map(can_be_key, key.values()))]

        async def get(some: Sequence[Any]) -> list[Item]:
            found: list[Item] = []
            request: Any = {table: {"ConsistentRead": True, **options, "Keys": list(some)}}
            for attempt in range(_MOST_REPEATS):
                answer = await self.call("BatchGetItem", {"RequestItems": request})
                found += map(from_item, answer["Responses"].get(table, ()))
                request = answer.get("UnprocessedKeys")
                if not request:
                    return found
                await self.client.wait(attempt)
            raise _unfinished(table)

        return [item for some in await each(get, parts(wanted, _MOST_KEYS)) for item in some]

    async def put_many(self, table: str, items: Iterable[Item]) -> None:
        """Writes whole items, unconditionally and in no order; at most one for each key."""
        await self._write_many(table, ({"PutRequest": {"Item": to_item(item)}} for item in items))

    async def delete_many(self, table: str, keys: Iterable[Item]) -> None:
        """Deletes items, those that there are, in no order."""
        await self._write_many(table, ({"DeleteRequest": {"Key": to_item(key)}} for key in keys))

    async def _write_many(self, table: str, wanted: Iterable[Any]) -> None:
        async def write(some: Sequence[Any]) -> None:
            request: Any = {table: some}
            for attempt in range(_MOST_REPEATS):
                answer = await self.call("BatchWriteItem", {"RequestItems": request})
                request = answer.get("UnprocessedItems")
                if not request:
                    return
                await self.client.wait(attempt)
            raise _unfinished(table)

        await each(write, parts(wanted, _MOST_WRITES))

    async def contended(self, attempt: int) -> None:
        """Waits before another try (from 0) at an item that somebody else has just written."""
        # That takes milliseconds: shorter than the pauses for a service in trouble.
        await self.client.wait(min(attempt, 4) - 2)

    async def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Calls any operation, in the shapes of the wire. Raises `StoreError`."""
        try:
            return await self.client.call(operation, request)
        except DynamoDBError as error:
            raise store_error(error, operation, request.get("TableName")) from error

    async def _conditional(self, operation: str, request: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return await self.client.call(operation, request)
        except DynamoDBError as error:
            if error.code == "ConditionalCheckFailedException":
                return None
            raise store_error(error, operation, request["TableName"]) from error

    async def _pages(self, operation: str, request: dict[str, Any]) -> AsyncGenerator[Item, None]:
        start: dict[str, Any] | None = None
        while True:
            more = {"ExclusiveStartKey": start} if start else {}
            answer = await self.call(operation, request | more)
            for item in answer.get("Items", ()):
                yield from_item(item)
            start = answer.get("LastEvaluatedKey")
            if not start:
                return


def store_error(error: DynamoDBError, operation: str, table: str | None) -> StoreError:
    """Translates an error of DynamoDB's into one of the store."""
    where = f" (table {table})" if table else ""
    if error.code == UNREACHABLE:
        return StoreError(f"DynamoDB cannot be reached: {error.message}")
    if error.code == NO_CREDENTIALS:
        return StoreError(f"there are no AWS credentials for DynamoDB: {error.message}")
    if error.code == "ResourceNotFoundException":
        return StoreError(
            f"DynamoDB has no table {table or 'of this name'}: "
            "`anthropic-bedrock-proxy tables create` makes what is missing"
        )
    return StoreError(f"DynamoDB refused {operation}{where}: {error}")


def _unfinished(table: str) -> StoreError:
    return StoreError(f"DynamoDB (table {table}) is throttling: a batch was not finished in time")
