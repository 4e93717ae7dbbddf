"""GET /metrics: what Prometheus scrapes. Open, or for whoever shows METRICS_TOKEN.

One rendering a second at most, however many ask: who asks meanwhile gets the last. A rendering
goes on when who asked for it has left, or nobody would ever have one to get.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from ..errors import AuthenticationError
from .application import HTTPRoute, Request
from .reply import Reply

FRESH_SECONDS: Final = 1.0
# Takes an `accept` header; returns the text and its content type.
Render = Callable[[str], Awaitable[tuple[bytes, str]]]


class MetricsRoutes:
    """Serves what `render` makes of the metrics of all workers."""

    def __init__(
        self,
        render: Render | None,
        *,
        token: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`render` None: there is no such route. `token` has to be shown as a bearer."""
        self._render = render
        self._bearer = f"Bearer {token}".encode() if token else None
        self._monotonic = monotonic
        self._turn = asyncio.Lock()
        self._rendering: dict[bool, asyncio.Task[tuple[bytes, str]]] = {}
        self._rendered: dict[bool, tuple[float, bytes, str]] = {}  # by whether it is OpenMetrics

    def routes(self) -> Iterable[HTTPRoute]:
        """Returns the one route, if metrics are kept."""
        if self._render is None:
            return ()
        return (HTTPRoute("/metrics", {"GET": self.get_metrics, "HEAD": self.get_metrics}),)

    async def get_metrics(self, request: Request) -> Reply:
        """Returns all metrics, in Prometheus' text format or as OpenMetrics."""
        shown = request.headers.get(b"authorization", b"")
        if self._bearer is not None and not hmac.compare_digest(shown, self._bearer):
            raise AuthenticationError(
                "Metrics need a token: send METRICS_TOKEN as `Authorization: Bearer <token>`.",
                cause="key:metrics_token",
            )
        body, content_type = await self._fresh(request.headers.get(b"accept", b""))
        return Reply(body, content_type=content_type.encode("ascii"))

    async def _fresh(self, accept: bytes) -> tuple[bytes, str]:
        open_metrics = b"openmetrics" in accept
        known = self._rendered.get(open_metrics)
        if known is not None and self._monotonic() - known[0] < FRESH_SECONDS:
            return known[1:]
        task = self._rendering.get(open_metrics)
        if task is None:
            task = asyncio.create_task(self._rendered_anew(open_metrics))
            self._rendering[open_metrics] = task
            task.add_done_callback(lambda _: self._rendering.pop(open_metrics))
        return await asyncio.shield(task)

    async def _rendered_anew(self, open_metrics: bool) -> tuple[bytes, str]:
        render = self._render
        assert render is not None  # noqa: S101  # else there is no route
        async with self._turn:
            body, content_type = await render(
                "application/openmetrics-text; version=1.0.0" if open_metrics else ""
            )
        self._rendered[open_metrics] = (self._monotonic(), body, content_type)
        return body, content_type
