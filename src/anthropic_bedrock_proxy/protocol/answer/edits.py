"""Edits of an answer that make up for edits of its request: added fields, tier, cost, content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from .bedrock_words import tier_usage
from .events import DELTA_KEYS

_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def with_added(document: bytes, added: Mapping[str, Any]) -> bytes:
    """Adds fields of a message to one, or to a message_delta event (JSON).

    What the model itself wrote there stands.
    """
    fields: dict[str, Any] = dict(_decode_fields(document))
    delta: dict[str, Any] = dict(_decode_fields(fields["delta"])) if "delta" in fields else fields
    for name, value in added.items():
        (delta if name in DELTA_KEYS else fields).setdefault(name, value)
    if delta is not fields:
        fields["delta"] = delta
    return _encode(fields)


def with_cost(document: bytes, dollars: str) -> bytes:
    """Adds the cost of the answer, in USD, to `usage` of a message or a message_delta event."""
    fields: dict[str, Any] = dict(_decode_fields(document))
    usage = dict(_decode_fields(fields.get("usage", b"{}")))
    fields["usage"] = usage | {"cost_usd": Raw(dollars.encode())}
    return _encode(fields)


def with_tier(document: bytes, served: str) -> bytes:
    """Adds the tier that served the answer to `usage`, of a message or of an event that has one."""
    fields: dict[str, Any] = dict(_decode_fields(document))
    holder: dict[str, Any] = fields
    if "message" in fields:
        holder = dict(_decode_fields(fields["message"]))
    usage = dict(_decode_fields(holder.get("usage", b"{}")))
    holder["usage"] = usage | tier_usage(served)
    if holder is not fields:
        fields["message"] = holder
    return _encode(fields)


def without_content(message: bytes) -> bytes:
    """Empties the content of an answer to a request that only warmed the cache; its usage stays."""
    fields: dict[str, Any] = dict(_decode_fields(message))
    fields |= {"content": [], "stop_reason": "max_tokens", "stop_sequence": None}
    return _encode(fields)
