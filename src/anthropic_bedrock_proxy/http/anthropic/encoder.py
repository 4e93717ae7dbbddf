"""Anthropic's shapes: server-sent events, error documents, header lines.

Sources: Anthropic API, "Streaming messages", "Errors", "Rate limits"; WHATWG HTML, "Server-sent
events".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from ...errors import LimitState, MethodNotAllowedError, ProxyError
from ...gateway.exchange import Exchange
from ...money import dollars
from ...protocol.answer.events import Event
from ...redaction import shown
from ..encoder import StreamEncoder
from ..reply import header_lines

_encode = msgspec.json.Encoder().encode


class ServerSentEvents:
    """Encodes a streamed answer as Anthropic does: an `event:` and a `data:` line each."""

    content_type = b"text/event-stream; charset=utf-8"
    filler = b":\n\n"  # a comment, which whoever reads events passes over

    def events(self, events: list[Event]) -> bytes:
        """Encodes events; their data is sent as it is."""
        return b"".join([b"event: %b\ndata: %b\n\n" % event for event in events])

    def error(self, error: ProxyError, request_id: str) -> bytes:
        """Encodes an `error` event, whose data is the error document."""
        return self.events([(b"error", ANTHROPIC.error(error, request_id))])


class AnthropicEncoder:
    """The `Encoder` of the Messages API."""

    _events: Final = ServerSentEvents()  # nothing of a stream has to be remembered

    def stream(self, exchange: Exchange) -> StreamEncoder:  # noqa: ARG002  # for others
        """Returns what encodes server-sent events."""
        return self._events

    def message(self, message: bytes, exchange: Exchange) -> bytes:  # noqa: ARG002  # for others
        """Returns the document as it is."""
        return message

    def lines(self, exchange: Exchange) -> bytes:
        """Tells limits, Bedrock's request id, warnings, the target where there was a choice, cost.

        The first two are nothing but our own numbers and an id that was looked at.
        """
        lines = limit_lines(exchange.limits)
        if exchange.upstream_request_id is not None:
            lines += b"x-amzn-requestid: %b\r\n" % exchange.upstream_request_id.encode("ascii")
        if (
            exchange.warnings
            or exchange.retires
            or exchange.served_by is not None
            or exchange.tells_cost
        ):
            lines += _rare_lines(exchange)
        return lines

    def error(self, error: ProxyError, request_id: str) -> bytes:
        """Returns the error document."""
        details: dict[str, object] = {"type": error.type, "message": error.message}
        if error.error_code is not None:
            code: dict[str, object] = {"error_code": error.error_code}
            if error.unsupported:
                code["unsupported"] = error.unsupported
            details["details"] = code
        return _encode({"type": "error", "error": details, "request_id": request_id})

    def error_lines(self, error: ProxyError) -> bytes:
        """Tells limits, and the hints about retries that the official SDKs obey."""
        lines = limit_lines(error.limits)
        if isinstance(error, MethodNotAllowedError):
            lines += b"allow: %b\r\n" % error.allow.encode()
        if error.retry_after is not None:
            lines += b"retry-after: %d\r\n" % max(1, math.ceil(error.retry_after))
        return lines + b"x-should-retry: %b\r\n" % (b"true" if error.should_retry else b"false")


ANTHROPIC: Final = AnthropicEncoder()


def limit_lines(limits: Sequence[LimitState]) -> bytes:
    """Renders the state of rate limits, that of requests also in the predecessor's words."""
    lines = b""
    for limit in limits:
        left, at = limit.remaining, limit.reset_at
        template = _template(limit.kind, limit.limit)
        if limit.kind == "requests":
            lines += template % (left, _rfc3339(at), left, at)
        else:
            lines += template % (left, _rfc3339(at))
    return lines


def _rare_lines(exchange: Exchange) -> bytes:
    headers: list[tuple[bytes, bytes]] = []
    if exchange.warnings or exchange.retires:
        headers.append((b"x-proxy-warning", warning_of(exchange)))
    if exchange.tells_cost and exchange.cost_nano is not None:
        headers.append((b"x-cost-usd", dollars(exchange.cost_nano).encode()))
    if exchange.served_by is not None:
        headers.append((b"x-bedrock-target", exchange.served_by.encode("ascii", "replace")))
    return header_lines(headers)


def warning_of(exchange: Exchange) -> bytes:
    """Returns what a client is warned of: the end of the model, and what was changed for it."""
    told = [exchange.retires] if exchange.retires else []
    return "; ".join([*told, *shown(exchange.warnings)]).encode("ascii")


@lru_cache(maxsize=1024)
def _template(kind: str, limit: int) -> bytes:
    """Returns the lines of one limit, to be filled in with what is left and when it is full."""
    head = f"anthropic-ratelimit-{kind}"
    lines = f"{head}-limit: {limit}\r\n{head}-remaining: %d\r\n{head}-reset: %b\r\n"
    if kind == "requests":
        lines += f"x-ratelimit-limit: {limit}\r\n"
        lines += "x-ratelimit-remaining: %d\r\nx-ratelimit-reset: %d\r\n"
    return lines.encode()


@lru_cache(maxsize=256)
def _rfc3339(at: int) -> bytes:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
