"""The endpoints that need no key: what this is, how it is, and the probes of Claude Code."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from .. import __version__
from ..errors import UnavailableError
from .application import Handler, HTTPRoute, Request
from .body import skip_body
from .reply import Reply

_encode = msgspec.json.Encoder().encode
_MAX_EVENTS_BYTES = 64 * 1024  # of a batch of events that nobody reads


class Health:
    """The state of the process, and answers for whoever only looks whether it is there.

    `draining` is set from SIGTERM on: new requests are not welcome, though each that comes is
    served.
    """

    def __init__(self, *, environment: str) -> None:
        self.draining = False
        self._environment = environment

    def routes(self) -> Iterable[HTTPRoute]:
        """Returns the routes that need no key."""
        return (
            HTTPRoute("*", {}),  # of the server as a whole: only OPTIONS
            _look("/", self.get_root),
            _look("/api/hello", self.get_root),  # a probe of Claude Code: any 200 will do
            HTTPRoute("/api/event_logging/batch", {"POST": self.post_event_logging}),
            _look("/health", self.get_health),
            _look("/ready", self.get_ready),
            _look("/liveness", self.get_liveness),
        )

    async def get_root(self, _: Request) -> Reply:
        """Says what this is."""
        return Reply(_encode({"name": "anthropic-bedrock-proxy", "version": __version__}))

    async def post_event_logging(self, request: Request) -> Reply:
        """Takes Claude Code's telemetry and forgets it: nothing of it is decoded, or kept."""
        await skip_body(request, _MAX_EVENTS_BYTES)
        return Reply(b'{"status":"ok"}')

    async def get_health(self, _: Request) -> Reply:
        """Answers that the process is healthy."""
        body = {"status": "healthy", "version": __version__, "environment": self._environment}
        return Reply(_encode(body))

    async def get_liveness(self, _: Request) -> Reply:
        """Answers that the process is alive."""
        return Reply(b'{"status":"alive"}')

    async def get_ready(self, _: Request) -> Reply:
        """Answers that new requests are welcome. 503 from SIGTERM on."""
        if self.draining:
            raise UnavailableError("The proxy is shutting down.")
        return Reply(b'{"status":"ready"}')


def _look(path: str, handler: Handler) -> HTTPRoute:
    return HTTPRoute(path, {"GET": handler, "HEAD": handler})
