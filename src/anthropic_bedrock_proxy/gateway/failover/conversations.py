"""Conversations and where each was served, so that its next request finds its prompt cache.

Only conversations that left the first target of their route are remembered. Nothing of a prompt is
kept: a conversation is a hash over who asks, for which model, and how it begins.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Raw

from ...bounded import Bounded
from ...protocol.request.messages import MessagesRequest

_MAX_REMEMBERED: Final = 10_000
_LOOKED_AT: Final = 4096  # bytes of the system prompt, and of the first message
# Claude Code's user_id: `…_session_<uuid>`, or JSON in a string with "session_id".
_SESSION: Final = re.compile(rb'session(?:_id)?[\\":_\s]+([0-9a-fA-F-]{36})')
# It moves on with the conversation, and the text that it marked stays.
_MARK: Final = rb'"cache_control"\s*:\s*(?:\{[^{}]*\}|null)'
_CACHE_CONTROL: Final = re.compile(rb",\s*%b|%b\s*,\s*" % (_MARK, _MARK))
_decode_raws = msgspec.json.Decoder(list[Raw]).decode


class Conversations:
    """Remembers where each conversation was served last; the least lately served go first."""

    def __init__(self, keep_seconds: float, *, capacity: int = _MAX_REMEMBERED) -> None:
        self._keep_seconds = keep_seconds
        self._quotas: Bounded[bytes, tuple[tuple[str, str], float]] = Bounded(capacity)

    def __len__(self) -> int:
        return len(self._quotas)

    def quota(self, conversation: bytes, now: float) -> tuple[str, str] | None:
        """Returns the (provider, Bedrock model id) that served it last, if not too long ago."""
        found = self._quotas.get(conversation)
        if found is None:
            return None
        quota, until = found
        if now >= until:
            del self._quotas[conversation]
            return None
        return quota

    def remember(self, conversation: bytes, quota: tuple[str, str], now: float) -> None:
        """Takes note that a conversation was served there now."""
        if self._keep_seconds <= 0:
            return
        self._quotas[conversation] = (quota, now + self._keep_seconds)

    def forget(self, conversation: bytes) -> None:
        """Forgets a conversation, which is back where it would go anyway."""
        self._quotas.pop(conversation, None)


def fingerprint(key_id: str, request: MessagesRequest) -> bytes:
    """Returns a hash that is the same for every request of a conversation."""
    fields = request.fields
    digest = blake2b(digest_size=16)
    session = _SESSION.search(bytes(fields.get("metadata", b"")))
    parts = [key_id.encode(), request.view.model.encode("utf-8", "replace")]
    if session is not None:
        parts.append(session[1])
    else:
        parts += [_head(fields.get("system")), _head(_first_message(fields["messages"]))]
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()


def _first_message(messages: Raw) -> Raw | None:
    try:
        return _decode_raws(messages)[0]
    except (msgspec.MsgspecError, RecursionError, IndexError):  # pragma: no cover  # parsed before
        return None


def _head(raw: Raw | None) -> bytes:
    if raw is None:
        return b""
    head = bytes(memoryview(raw)[: 2 * _LOOKED_AT])  # what is taken out makes room for more
    if b'"cache_control"' in head:
        head = _CACHE_CONTROL.sub(b"", head)
    return head[:_LOOKED_AT]
