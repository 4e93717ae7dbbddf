"""The export of spans by OpenTelemetry's SDK: this module alone imports it.

Spans are made when a request has ended, with the ids that they were given at its beginning: the
SDK asks an `IdGenerator` for ids, and ours hands out those. They wait in a bounded queue for a
thread of the SDK's, which sends them; what does not fit is dropped. The SDK's own log lines are
silenced, since they would come with every batch: a collector that fails is told once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import Final

import msgspec
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from ...timeline import TraceContext
from .span_tree import FinishedSpan

_CLOSE_SECONDS: Final = 5.0
_LARGEST_BATCH: Final = 512
_NANO: Final = 1_000_000_000
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_log = logging.getLogger("anthropic_bedrock_proxy.tracing")


class ExportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The way spans are sent.

    `endpoint` is that of traces, with the whole path; None: that of the SDK. Headers are written as
    in OTEL_EXPORTER_OTLP_HEADERS. The SDK reads by itself whatever is not here.
    """

    protocol: str = "http/protobuf"
    endpoint: str | None = None
    headers: str | None = None
    service_name: str = "anthropic-bedrock-proxy"
    version: str = ""
    max_queue: int = 2048
    delay_ms: int = 5000


class SpanExport:
    """Takes the spans of requests, and sends them. Made after the fork; has a thread."""

    def __init__(self, exporter: SpanExporter, options: ExportOptions) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._ids = _PreparedIds()
        resource = Resource.create(
            {SERVICE_NAME: options.service_name, SERVICE_VERSION: options.version}
        )
        self._processor = BatchSpanProcessor(
            TellingExporter(exporter),
            max_queue_size=options.max_queue,
            schedule_delay_millis=options.delay_ms,
            max_export_batch_size=min(_LARGEST_BATCH, options.max_queue),
        )
        provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=resource,
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("anthropic-bedrock-proxy", options.version)

    def __call__(self, trace: TraceContext, spans: Sequence[FinishedSpan], offset: float) -> None:
        """Takes the spans of one request; see `SpanSink`."""
        self._ids.trace_id = int(trace.trace_id, 16)
        for span in spans:
            self._ids.span_id = int(span.span_id, 16)
            parent = span.parent_id
            context = None if parent is None else _context(trace.trace_id, parent)
            made = self._tracer.start_span(
                span.name,
                context=set_span_in_context(NonRecordingSpan(context or _NO_CONTEXT)),
                kind=SpanKind[span.kind],
                attributes=span.attributes,
                links=[Link(_context(link.trace_id, link.span_id)) for link in span.links],
                start_time=_nano(span.began + offset),
            )
            if span.error:
                made.set_status(Status(StatusCode.ERROR, span.error))
            made.end(_nano(max(span.began, span.ended) + offset))

    async def close(self) -> None:
        """Sends what waits, and gives up after a bound: a collector may be down."""
        loop = asyncio.get_running_loop()
        sent = asyncio.Event()

        def finish() -> None:
            try:
                self._processor.shutdown()  # type: ignore[no-untyped-call]  # the SDK's
            finally:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(sent.set)

        # Not the loop's executor: that is waited for at its end.
        threading.Thread(target=finish, name="traces-close", daemon=True).start()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await sent.wait()
        except TimeoutError:
            _log.warning("traces were not sent within %g s", _CLOSE_SECONDS)


class TellingExporter(SpanExporter):
    """Sends by another exporter; tells once that it fails, and once that it works again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends a batch. Called in the SDK's thread."""
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001  # whatever it is, it may quote headers
            result = SpanExportResult.FAILURE
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self._failing:
            _log.error("the collector of traces takes none: spans are dropped until it does")
        elif self._failing and not failed:
            _log.info("the collector of traces takes spans again")
        self._failing = failed
        return result

    def shutdown(self) -> None:
        """Lets go of connections."""
        self._exporter.shutdown()


def make_exporter(options: ExportOptions) -> SpanExporter:
    """Makes the exporter of a protocol. Imports it: gRPC is large."""
    if options.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import (  # noqa: PLC0415  # large
            trace_exporter as grpc,
        )

        return grpc.OTLPSpanExporter(endpoint=options.endpoint, headers=options.headers)
    from opentelemetry.exporter.otlp.proto.http import (  # noqa: PLC0415  # one of the two
        trace_exporter as http,
    )
    from opentelemetry.util.re import parse_env_headers  # noqa: PLC0415  # with it

    headers = parse_env_headers(options.headers, liberal=True) if options.headers else None
    return http.OTLPSpanExporter(endpoint=options.endpoint, headers=headers)


class _PreparedIds(IdGenerator):
    """Hands out the ids of the span that is made next."""

    trace_id = 1
    span_id = 1

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=_SAMPLED)


_NO_CONTEXT: Final = SpanContext(0, 0, is_remote=False)


def _nano(seconds: float) -> int:
    return int(seconds * _NANO)
