"""The endpoints that need no key: what this is, how it is, and the probes of Claude Code.

What is known of the components is told as `health/components.py` says. `/ready` may wait for a look
for 0.8 s; `/health` never waits, and its first answer begins no look, so that nothing is connected
or imported beside the start of whoever waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from .. import __version__
from ..health.components import Components
from ..health.findings import DRAINING, ComponentState, Requirements
from .application import Handler, HTTPRoute, Request
from .body import skip_body
from .reply import Reply

_encode = msgspec.json.Encoder().encode
_MAX_EVENTS_BYTES = 64 * 1024  # of a batch of events that nobody reads
_UNAVAILABLE: Final = 503
_SHUTTING_DOWN: Final = "the proxy is shutting down; another one serves"


class Health:
    """The state of the process, and answers for whoever only looks whether it is there.

    `draining` is set from SIGTERM on: new requests are not welcome, though each that comes is
    served.
    """

    def __init__(
        self,
        *,
        environment: str,
        components: Components | None = None,
        requirements: Requirements = Requirements(),  # noqa: B008  # immutable
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`components` are those of the process; without any, it is ready until it drains."""
        self.draining = False
        self._environment = environment
        self._components = components or Components(())
        self._requirements = requirements
        self._monotonic = monotonic
        self._began = monotonic()
        self._asked = False

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
        """Tells what is known of the process and what it stands on; 200 whatever that is."""
        if self._asked:
            self._components.refresh()
        self._asked = True
        known = self._components.known()
        status = self._requirements.status(known)
        body = {
            "status": "degraded" if self.draining and status == "healthy" else status,
            "version": __version__,
            "environment": self._environment,
            "uptime_seconds": round(self._monotonic() - self._began, 1),
            "components": self._told(known),
        }
        return Reply(_encode(body))

    async def get_liveness(self, _: Request) -> Reply:
        """Answers that the process is alive."""
        return Reply(b'{"status":"alive"}')

    async def get_ready(self, _: Request) -> Reply:
        """Tells whether new requests are welcome: 503 from SIGTERM on, and while they would fail.

        Who is told to go elsewhere gets the components, and no error document.
        """
        known = self._components.known() if self.draining else await self._components.current()
        missing = self._requirements.missing(known) + ([DRAINING] if self.draining else [])
        body = {
            "status": "not_ready" if missing else "ready",
            "missing": missing,
            "components": self._told(known),
        }
        return Reply(_encode(body), status=_UNAVAILABLE if missing else 200)

    def _told(self, known: Mapping[str, ComponentState]) -> dict[str, dict[str, Any]]:
        told = {
            name: {"state": seen.state, "age_seconds": seen.age_seconds, "reason": seen.reason}
            for name, seen in known.items()
        }
        told[DRAINING] = {
            "state": "degraded" if self.draining else "ok",
            "age_seconds": 0.0,
            "reason": _SHUTTING_DOWN if self.draining else "",
        }
        return told


def _look(path: str, handler: Handler) -> HTTPRoute:
    return HTTPRoute(path, {"GET": handler, "HEAD": handler})
