"""What the proxy changes in an answer for what it changed in the request."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def with_applied_edits(document: bytes, applied_edits: list[dict[str, Any]]) -> bytes:
    """A message or a message_delta event with `context_management.applied_edits`.

    The model's own word, if it has one, stands.
    """
    fields: dict[str, Any] = dict(_decode_fields(document))
    fields.setdefault("context_management", {"applied_edits": applied_edits})
    return _encode(fields)


def with_cost(document: bytes, dollars: str) -> bytes:
    """A message or a message_delta event whose `usage` says what the answer has cost, in USD."""
    fields: dict[str, Any] = dict(_decode_fields(document))
    usage = dict(_decode_fields(fields.get("usage", b"{}")))
    fields["usage"] = usage | {"cost_usd": Raw(dollars.encode())}
    return _encode(fields)


def without_content(message: bytes) -> bytes:
    """The answer to a request that only warmed the cache: its usage counts, its token does not."""
    fields: dict[str, Any] = dict(_decode_fields(message))
    fields |= {"content": [], "stop_reason": "max_tokens", "stop_sequence": None}
    return _encode(fields)
