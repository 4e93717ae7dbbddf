"""Edits of an answer that make up for edits of its request: context management, cost, content."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def with_applied_edits(document: bytes, applied_edits: list[dict[str, Any]]) -> bytes:
    """Adds `context_management.applied_edits` to a message or a message_delta event (JSON).

    A report that the model itself wrote there stands.
    """
    fields: dict[str, Any] = dict(_decode_fields(document))
    fields.setdefault("context_management", {"applied_edits": applied_edits})
    return _encode(fields)


def with_cost(document: bytes, dollars: str) -> bytes:
    """Adds the cost of the answer, in USD, to `usage` of a message or a message_delta event."""
    fields: dict[str, Any] = dict(_decode_fields(document))
    usage = dict(_decode_fields(fields.get("usage", b"{}")))
    fields["usage"] = usage | {"cost_usd": Raw(dollars.encode())}
    return _encode(fields)


def without_content(message: bytes) -> bytes:
    """Empties the content of an answer to a request that only warmed the cache; its usage stays."""
    fields: dict[str, Any] = dict(_decode_fields(message))
    fields |= {"content": [], "stop_reason": "max_tokens", "stop_sequence": None}
    return _encode(fields)
