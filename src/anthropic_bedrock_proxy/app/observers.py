"""Makes the observers of requests: metrics, the access log, the request log, traces, contents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config import Settings
from ..telemetry.access_log import AccessLog, RequestLines, Sink
from ..telemetry.ended_requests import EndedRequests, Look
from ..telemetry.output import LogOutput
from ..telemetry.request_log.writer import RequestLog
from .logs import known_secrets, log_format
from .metrics import Metrics

if TYPE_CHECKING:
    from ..http.anthropic.content import ContentObserver
    from ..http.application import Observer
    from .tracing import Tracing


def make_content_observers(settings: Settings, tracing: Tracing | None) -> list[ContentObserver]:
    """Makes those who are shown what is asked and answered: by default nobody."""
    observers: list[ContentObserver] = []
    if keys := settings.server.log_content_keys:
        from ..telemetry.content import ContentLog  # noqa: PLC0415  # off by default

        observers.append(ContentLog(keys, known_secrets(settings)))
    if tracing is not None and tracing.content is not None:
        observers.append(tracing.content)
    return observers


def make_access_log(settings: Settings, output: LogOutput) -> AccessLog | None:
    """Makes the access log; None if it is switched off."""
    if not settings.server.access_log:
        return None
    return AccessLog(log_format(settings), output)


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


def make_ended_requests(
    settings: Settings,
    access_log: AccessLog | None,
    request_log: RequestLog | None,
    metrics: Metrics | None,
) -> EndedRequests:
    """Makes what looks at requests that have ended, a few at a time: to count and to log them."""
    looks: list[Look] = []
    if metrics is not None:
        looks.append(metrics.counter)
    sinks: list[Sink] = [log for log in (access_log, request_log) if log is not None]
    if sinks:
        looks.append(RequestLines(sinks, secrets=known_secrets(settings)))
    return EndedRequests(looks)


def make_observers(ended: EndedRequests, tracing: Tracing | None) -> list[Observer]:
    """Makes the observers of each request that ends; nobody where all is switched off."""
    observers: list[Observer] = [ended] if ended.looks else []
    if tracing is not None:
        observers.append(tracing.observe)
    return observers
