"""Requests that have ended, looked at a few at a time: counted, described, logged.

One at a time, between two answers, each look costs three times as much: what it needs has left the
processor's caches. So requests wait a moment, and are then looked at together; a few at most, so
that no client waits for it. What is told of them is as it was when they ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from ..gateway.exchange import Exchange
from .gathering import Gathering

_SECONDS: Final = 0.05
_MOST: Final = 63  # one more, and all are looked at
_log = logging.getLogger("anthropic_bedrock_proxy.telemetry")


class EndedRequest(msgspec.Struct, frozen=True, gc=False):
    """The facts about a request that are not in its exchange."""

    method: str  # as in the request line
    path: str  # without escapes
    client: str  # the address of the peer; empty on a Unix socket
    traceparent: bytes | None  # the header


class RequestOnTheWire(Protocol):
    """A request as the server has it."""

    @property
    def method(self) -> str: ...  # noqa: D102  # as `EndedRequest` has them
    @property
    def path(self) -> str: ...  # noqa: D102
    @property
    def client(self) -> str: ...  # noqa: D102
    @property
    def headers(self) -> Mapping[bytes, bytes]:
        """The headers, by lower-case names."""
        ...


Look = Callable[[EndedRequest, Exchange], None]


class EndedRequests:
    """Gathers requests for `looks`. Belongs to one event loop."""

    def __init__(self, looks: Sequence[Look]) -> None:
        self.looks = looks  # without any, nobody has to be told of requests
        self._waiting = Gathering(self._look, seconds=_SECONDS, most=_MOST)
        self.flush = self._waiting.flush

    def __call__(self, request: RequestOnTheWire, exchange: Exchange) -> None:
        """Notes a request that has ended."""
        ended = EndedRequest(
            request.method, request.path, request.client, request.headers.get(b"traceparent")
        )
        self._waiting.add((ended, exchange))
        if exchange.turn is not None:
            # It holds the body of its request, which is not kept for a moment longer.
            self.flush()

    def _look(self, waiting: list[tuple[EndedRequest, Exchange]]) -> None:
        """Looks at all that have waited. A look that fails takes nothing from the others."""
        for look in self.looks:
            failed = False
            for ended, exchange in waiting:
                try:
                    look(ended, exchange)
                except Exception:  # noqa: BLE001  # whatever it is, it is about this request
                    if not failed:  # one line for all of this moment
                        extra = {"request_id": exchange.request_id}
                        _log.exception("a request that has ended is not told of", extra=extra)
                    failed = True
