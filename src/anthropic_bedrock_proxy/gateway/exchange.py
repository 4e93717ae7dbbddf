"""Everything about one request: the only mutable object that travels with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..protocol.metering import Meter

if TYPE_CHECKING:
    from ..store.records import Caller
    from .routing import Target


class Exchange:
    """One request of one client, from its headers to its last byte."""

    __slots__ = (
        "at_ms",
        "betas",
        "body_read",
        "caller",
        "client_gone",
        "error_type",
        "key_id",
        "meter",
        "model",
        "rate_lines",
        "request_id",
        "sending_since",
        "service_tier",
        "started",
        "status",
        "stream",
        "target",
        "ttft_ms",
        "upstream_request_id",
        "version",
        "warnings",
    )

    def __init__(self, request_id: str, *, started: float, at_ms: int) -> None:
        """`started` in seconds of the loop's clock, `at_ms` in epoch milliseconds."""
        self.request_id = request_id
        self.started = started
        self.at_ms = at_ms
        self.version = ""
        self.body_read = False  # from here on, receive() tells only that the client left
        self.betas: list[str] = []
        self.model = ""
        self.stream = False
        self.key_id = ""
        self.caller: Caller | None = None  # None: the master key, or no key at all
        self.rate_lines = b""  # headers about rate limits: see `Reply.lines`
        self.target: Target | None = None  # the one that serves it, or was tried last
        self.service_tier: str | None = None  # the one that Bedrock used, if it said so
        self.warnings: list[str] = []
        self.meter = Meter()
        self.status = 0
        self.error_type: str | None = None
        self.ttft_ms: int | None = None
        self.upstream_request_id: str | None = None
        self.client_gone = False
        self.sending_since: float | None = None  # a write waits for the client since then
