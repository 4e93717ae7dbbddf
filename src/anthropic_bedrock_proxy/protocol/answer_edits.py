"""What the proxy adds to an answer: what became of the request's `context_management`."""

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
