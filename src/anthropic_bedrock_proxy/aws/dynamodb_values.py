"""DynamoDB's attribute values: `{"S": "text"}` on the wire, plain values here.

str, int, Decimal, bytes, bool, None, dict, list (and tuple), set of str. A whole number comes back
as int, any other as Decimal; floats are refused, since they are not what DynamoDB stores.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Item = dict[str, Any]  # attribute name -> plain value
WireItem = dict[str, Any]  # attribute name -> attribute value


def to_wire(value: Any) -> dict[str, Any]:
    """Converts a plain value to an attribute value. Raises `TypeError`."""
    match value:
        case None:
            return {"NULL": True}
        case bool():  # before int: a bool is one
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case Decimal() if value.is_finite():
            return {"N": str(value)}
        case bytes():
            return {"B": b64encode(value).decode()}
        case Mapping():
            return {"M": {name: to_wire(part) for name, part in value.items()}}
        case list() | tuple():
            return {"L": [to_wire(part) for part in value]}
        case set() | frozenset() if value and all(isinstance(part, str) for part in value):
            return {"SS": sorted(value)}
        case _:
            raise TypeError(f"DynamoDB has no attribute value for {type(value).__name__}")


def from_wire(wire: Mapping[str, Any]) -> Any:
    """Converts an attribute value to a plain one. Raises `ValueError` for a kind we do not use."""
    ((kind, value),) = wire.items()
    match kind:
        case "NULL":
            return None
        case "S" | "BOOL":
            return value
        case "N":
            return number(value)
        case "B":
            return b64decode(value)
        case "M":
            return from_item(value)
        case "L":
            return [from_wire(part) for part in value]
        case "SS":
            return set(value)
        case "NS":
            return {number(part) for part in value}
        case "BS":
            return {b64decode(part) for part in value}
        case _:
            raise ValueError(f"an attribute value of an unknown kind {kind!r}")


def number(text: str) -> int | Decimal:
    """Reads a number as DynamoDB writes it: int if it is whole, else Decimal."""
    try:
        return int(text)
    except ValueError:
        exact = Decimal(text)
        return int(exact) if exact == exact.to_integral_value() else exact


def to_item(item: Mapping[str, Any]) -> WireItem:
    """Converts an item of plain values to attribute values."""
    return {name: to_wire(value) for name, value in item.items()}


def from_item(item: Mapping[str, Any]) -> Item:
    """Converts an item of attribute values to plain ones."""
    return {name: from_wire(value) for name, value in item.items()}
