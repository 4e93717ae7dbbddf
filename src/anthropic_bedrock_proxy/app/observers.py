"""Whoever looks at requests that have ended: metrics, the access log, traces."""

from __future__ import annotations

from ..config import Settings
from ..http.application import Observer
from ..telemetry.access_log import AccessLog, RequestLines, Sink
from ..telemetry.output import Output
from .metrics import Metrics
from .tracing import Tracing


def make_access_log(settings: Settings) -> AccessLog | None:
    """Makes the access log; None if it is switched off."""
    if not settings.server.access_log:
        return None
    return AccessLog(settings.server.log_format, Output())


def make_observers(
    settings: Settings,
    access_log: AccessLog | None,
    metrics: Metrics | None,
    tracing: Tracing | None,
) -> list[Observer]:
    """Makes the list of those who are shown each request that has ended."""
    observers: list[Observer] = []
    if metrics is not None:
        observers.append(metrics.recorder)
    sinks: list[Sink] = [] if access_log is None else [access_log]
    if sinks:
        master = settings.auth.master_api_key
        observers.append(RequestLines(sinks, secrets=[master] if master else []))
    if tracing is not None:
        observers.append(tracing.observe)
    return observers
