"""Whoever looks at requests that have ended: metrics, access log, request log, traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config import Settings
from ..http.application import Observer
from ..telemetry.access_log import AccessLog, RequestLines, Sink
from ..telemetry.output import LogOutput
from ..telemetry.request_log.writer import RequestLog
from .metrics import Metrics
from .tracing import Tracing

if TYPE_CHECKING:
    from ..telemetry.content import ContentLog


def make_content_log(settings: Settings) -> ContentLog | None:
    """Makes the log of contents, for the keys that are named; None for none."""
    keys = settings.server.log_content_keys
    if not keys:
        return None
    from ..telemetry.content import ContentLog  # noqa: PLC0415  # off by default

    return ContentLog(keys)


def make_access_log(settings: Settings, output: LogOutput) -> AccessLog | None:
    """Makes the access log; None if it is switched off."""
    if not settings.server.access_log:
        return None
    return AccessLog(settings.server.log_format, output)


def make_request_log(settings: Settings) -> RequestLog | None:
    """Makes the log that `explain` reads; None if it is switched off."""
    store = settings.store
    if not store.request_log:
        return None
    return RequestLog(
        store.requests_path,
        max_bytes=store.request_log_max_bytes,
        keep_seconds=store.request_log_hours * 3600,
    )


def make_observers(
    settings: Settings,
    access_log: AccessLog | None,
    request_log: RequestLog | None,
    metrics: Metrics | None,
    tracing: Tracing | None,
) -> list[Observer]:
    """Makes the list of those who are shown each request that has ended."""
    observers: list[Observer] = []
    if metrics is not None:
        observers.append(metrics.counter)
    sinks: list[Sink] = [log for log in (access_log, request_log) if log is not None]
    if sinks:
        master = settings.auth.master_api_key
        observers.append(RequestLines(sinks, secrets=[master] if master else []))
    if tracing is not None:
        observers.append(tracing.observe)
    return observers
