"""Traces as the settings describe them. Nothing of OpenTelemetry is imported unless they are on."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from .. import __version__
from ..config import Settings, SettingsError
from ..errors import needs_extra
from ..telemetry.tracing.beginning import Sampling, TraceBeginning
from .logs import known_secrets

if TYPE_CHECKING:
    from ..telemetry.tracing.content import ContentTracing
    from ..telemetry.tracing.export import SpanExport
    from ..telemetry.tracing.tracer import Tracer

_NEEDED: Final = (
    "opentelemetry.sdk.trace",
    "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.exporter.otlp.proto.grpc",
)
_MISSING: Final = needs_extra("ENABLE_TRACING", "tracing")


class Tracing:
    """The parts of tracing, of one worker."""

    def __init__(
        self,
        begin: TraceBeginning,
        observe: Tracer,
        content: ContentTracing | None,
        export: SpanExport,
    ) -> None:
        """`content` keeps what is asked and answered; None: it is not wanted."""
        self.begin = begin
        self.observe = observe
        self.content = content
        self.close = export.close


def check_tracing(settings: Settings) -> None:
    """Raises `SettingsError` if traces are on and what they need is not installed."""
    if settings.telemetry.enable_tracing and not all(map(_is_installed, _NEEDED)):
        raise SettingsError([_MISSING])


def make_tracing(settings: Settings) -> Tracing | None:
    """Makes what traces requests; None if they are not traced. To be called after the fork."""
    telemetry = settings.telemetry
    if not telemetry.enable_tracing:
        return None
    from ..telemetry.tracing.content import ContentTracing  # noqa: PLC0415  # off by default
    from ..telemetry.tracing.export import (  # noqa: PLC0415  # off by default, and heavy
        ExportOptions,
        SpanExport,
        make_exporter,
    )
    from ..telemetry.tracing.span_tree import SpanTree  # noqa: PLC0415  # as above
    from ..telemetry.tracing.tracer import Tracer  # noqa: PLC0415  # as above

    protocol = telemetry.otel_exporter_otlp_traces_protocol or telemetry.otel_exporter_otlp_protocol
    options = ExportOptions(
        protocol=protocol,
        endpoint=_endpoint(settings, protocol),
        headers=(
            telemetry.otel_exporter_otlp_traces_headers or telemetry.otel_exporter_otlp_headers
        ),
        service_name=telemetry.otel_service_name,
        version=__version__,
        max_queue=telemetry.otel_batch_max_queue_size,
        delay_ms=telemetry.otel_batch_schedule_delay_ms,
    )
    export = SpanExport(make_exporter(options), options)
    return Tracing(
        TraceBeginning(_sampling(settings)),
        Tracer(SpanTree(known_secrets(settings)), export),
        ContentTracing() if telemetry.otel_trace_content else None,
        export,
    )


def _sampling(settings: Settings) -> Sampling:
    telemetry = settings.telemetry
    sampler = telemetry.otel_traces_sampler
    ratio = telemetry.otel_traces_sampler_arg
    if sampler is None:
        return Sampling(telemetry.otel_trace_sampling_ratio)
    if sampler.endswith("always_on"):
        ratio = 1.0
    elif sampler.endswith("always_off"):
        ratio = 0.0
    elif ratio is None:
        ratio = telemetry.otel_trace_sampling_ratio
    return Sampling(ratio, parent_based=sampler.startswith("parentbased_"))


def _endpoint(settings: Settings, protocol: str) -> str | None:
    """Returns where traces go; over HTTP the common endpoint is the beginning of a path."""
    telemetry = settings.telemetry
    if telemetry.otel_exporter_otlp_traces_endpoint:
        return telemetry.otel_exporter_otlp_traces_endpoint
    base = telemetry.otel_exporter_otlp_endpoint
    if base is None or protocol == "grpc":
        return base
    return f"{base.rstrip('/')}/v1/traces"


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of what it is in
        return False
