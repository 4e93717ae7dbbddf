"""Everything about one request: the only mutable object that travels with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..protocol.metering import Meter

if TYPE_CHECKING:
    from .routing import Route


class Exchange:
    """One request of one client, from its headers to its last byte."""

    __slots__ = (
        "at_ms",
        "betas",
        "body_read",
        "client_gone",
        "error_type",
        "key_id",
        "meter",
        "model",
        "request_id",
        "route",
        "sending_since",
        "started",
        "status",
        "stream",
        "ttft_ms",
        "upstream_request_id",
        "version",
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
        self.route: Route | None = None
        self.meter = Meter()
        self.status = 0
        self.error_type: str | None = None
        self.ttft_ms: int | None = None
        self.upstream_request_id: str | None = None
        self.client_gone = False
        self.sending_since: float | None = None  # a write waits for the client since then
