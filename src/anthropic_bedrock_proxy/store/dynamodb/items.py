"""Items as plain values: records in them, and what a write demands and changes."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_hex
from typing import Any, Final, TypeVar

import msgspec

from ...aws.dynamodb_values import Item, to_item
from ..base.errors import StoreError

Record = TypeVar("Record", bound=msgspec.Struct)
_LONGEST_KEY: Final = 1024  # bytes of a sort key; a partition key may be longer


class ItemChange(msgspec.Struct, frozen=True, kw_only=True):
    """An UpdateItem, or the condition of another write; `names` (#x) and `values` (:x) as there."""

    update: str = ""
    condition: str = ""
    names: Mapping[str, str] = {}
    values: Mapping[str, Any] = {}

    def fields(self) -> dict[str, Any]:
        """Returns the change as fields of a request."""
        found: dict[str, Any] = {
            "UpdateExpression": self.update,
            "ConditionExpression": self.condition,
            "ExpressionAttributeNames": dict(self.names),
            "ExpressionAttributeValues": to_item(self.values),
        }
        return {name: value for name, value in found.items() if value}


def can_be_key(value: str) -> bool:
    """Tells whether DynamoDB takes a text for a key."""
    try:
        return 0 < len(value.encode()) <= _LONGEST_KEY
    except UnicodeEncodeError:
        return False


def read(item: Item, kind: type[Record]) -> Record:
    """Decodes the record in an item. Raises `StoreError` if the item is not of that form."""
    try:
        return msgspec.convert(item, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise StoreError(
            f"DynamoDB holds a {kind.__name__} that cannot be read: {error}"
        ) from error


def plain(record: msgspec.Struct) -> Item:
    """Returns the fields of a record as plain values, without those that are None."""
    fields = msgspec.to_builtins(record, builtin_types=(bytes,)).items()
    return {name: value for name, value in fields if value is not None}


def new_write() -> str:
    """Makes a name for one write: if it is sent again after a lost answer, it finds itself."""
    return token_hex(8)
