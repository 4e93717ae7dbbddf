"""The content log: what some keys ask and are answered, for whoever has switched that on by name.

Each request and each answer is one event of the log, with its `content`. Keys are hidden, long
base64 (images, documents) is left out, and what is too long is cut. For example:

    {"level":"info","logger":"anthropic_bedrock_proxy.content","message":"request",
     "request_id":"req_019…","key_id":"key_7f…","content":"…"}
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from typing import Final

from ..gateway.exchange import Exchange

_LONGEST: Final = 65_536  # characters of one event
_BASE64: Final = re.compile(r'"[A-Za-z0-9+/]{512,}={0,2}"')
_log = logging.getLogger("anthropic_bedrock_proxy.content")


class ContentLog:
    """Logs the contents of the requests of `keys` (ids; `*` for all)."""

    def __init__(self, keys: Collection[str]) -> None:
        self._keys = frozenset(keys)
        self._all = "*" in self._keys

    def wants(self, key_id: str) -> bool:
        """Tells whether the requests of a key are logged with their contents."""
        return self._all or key_id in self._keys

    def request(self, exchange: Exchange, body: bytes | bytearray) -> None:
        """Logs the body of a request."""
        _tell("request", exchange, bytes(body[:_LONGEST]))

    def answer(self, exchange: Exchange, body: bytes) -> None:
        """Logs an answer: a message, or the events of a stream, one JSON document a line."""
        _tell("answer", exchange, body[:_LONGEST])


def _tell(what: str, exchange: Exchange, content: bytes) -> None:
    text = _BASE64.sub(
        lambda found: f'"({len(found[0])} characters)"', content.decode("utf-8", "replace")
    )
    extra = {"request_id": exchange.request_id, "key_id": exchange.key_id, "content": text}
    _log.info(what, extra=extra)  # keys are hidden in every line
