"""The content log: what some keys ask and are answered, for whoever has switched that on by name.

Each request and each answer is one event of the log, with its `content`: JSON, an answer as one
message. Keys are hidden, base64 (images, documents) is left out, and what is too long is cut. For
example:

    {"level":"info","logger":"anthropic_bedrock_proxy.content","message":"request",
     "request_id":"req_019…","key_id":"key_7f…","content":"…"}
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from ..gateway.exchange import Exchange
from ..redaction import hide_secrets
from .readable import UNREADABLE, Event, folded, without_files

_LONGEST: Final = 65_536  # characters of one event
_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("anthropic_bedrock_proxy.content")


class ContentLog:
    """Logs the contents of the requests of `keys` (ids; `*` for all), but for known `secrets`."""

    def __init__(self, keys: Collection[str], secrets: Sequence[str] = ()) -> None:
        """`secrets` are known ones (`hideable`), hidden whatever they look like."""
        self._keys = frozenset(keys)
        self._all = "*" in self._keys
        self._secrets = secrets

    def wants(self, exchange: Exchange) -> bool:
        """Tells whether a request is logged with its contents: by its key."""
        return self._all or exchange.key_id in self._keys

    def request(self, exchange: Exchange, body: bytes | bytearray) -> None:
        """Logs the body of a request."""
        self._tell("request", exchange, body)

    def answer(self, exchange: Exchange, answer: bytes | Sequence[Event]) -> None:
        """Logs an answer: a message, or the events of a stream."""
        if not isinstance(answer, bytes):
            try:
                answer = _encode(folded(answer))
            except UNREADABLE:
                answer = b"%d events that are no message" % len(answer)
        self._tell("answer", exchange, answer)

    def _tell(self, what: str, exchange: Exchange, content: bytes | bytearray) -> None:
        text = without_files(content.decode("utf-8", "replace"), most=_LONGEST)
        text = hide_secrets(text, self._secrets)  # other keys are hidden in every line
        extra = {"request_id": exchange.request_id, "key_id": exchange.key_id, "content": text}
        _log.info(what, extra=extra)
