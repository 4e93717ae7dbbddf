"""The kept secrets in DynamoDB: partition "secret" of the state table, an item by name.

An item is written on condition that there is none, and read again: whoever was slower finds the
other's.
"""

from __future__ import annotations

from typing import Final

from ...aws.dynamodb_values import Item
from .items import ItemChange
from .tables import Tables

_UNLESS_THERE: Final = ItemChange(condition="attribute_not_exists(pk)")


class DynamoDBKeptSecrets:
    """`KeptSecrets` in the state table."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def keep_first(self, name: str, offered: bytes) -> bytes:
        """See `KeptSecrets.keep_first`."""
        state = self._tables.names.state
        key: Item = {"pk": "secret", "sk": name}
        kept = await self._tables.get(state, key)
        if kept is None:
            # The answer does not tell who won: a write that was sent twice refuses itself.
            await self._tables.put(state, {**key, "secret": offered}, _UNLESS_THERE)
            kept = await self._tables.get(state, key)
        secret: bytes = offered if kept is None else kept["secret"]
        return secret
