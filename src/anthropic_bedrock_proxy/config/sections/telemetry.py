"""Metrics and traces."""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from typing import Annotated, Literal

from ..schema import Section, Setting

_TRACING = "waits for tracing"


class TelemetrySettings(Section, frozen=True):
    """Metrics and traces."""

    enable_metrics: Annotated[
        bool, Setting("ENABLE_METRICS", "Keep metrics, and serve /metrics for Prometheus.")
    ] = True
    metrics_token: Annotated[
        str | None,
        Setting(
            "METRICS_TOKEN",
            "/metrics is served to whoever shows this token as a bearer; unset, to everybody.",
            secret=True,
        ),
    ] = None
    metrics_compat: Annotated[
        tuple[str, ...],
        Setting(
            "METRICS_COMPAT",
            "Names of older dashboards to serve too: otel_1_41, litellm, predecessor.",
        ),
    ] = ()
    metrics_key_label: Annotated[
        bool,
        Setting(
            "METRICS_KEY_LABEL",
            "Tell requests, tokens, costs and budgets apart by the ids of API keys: for a few "
            "hundred keys at most.",
        ),
    ] = False
    enable_tracing: Annotated[
        bool, Setting("ENABLE_TRACING", "Export OpenTelemetry traces.", no_effect=_TRACING)
    ] = False
    otel_exporter_otlp_endpoint: Annotated[
        str | None,
        Setting("OTEL_EXPORTER_OTLP_ENDPOINT", "Where traces go.", url=True, no_effect=_TRACING),
    ] = None
    otel_exporter_otlp_protocol: Annotated[
        Literal["http/protobuf", "grpc"],
        Setting("OTEL_EXPORTER_OTLP_PROTOCOL", "How traces are sent.", no_effect=_TRACING),
    ] = "http/protobuf"
    otel_exporter_otlp_headers: Annotated[
        str | None,
        Setting(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "Headers for the trace collector, name=value, comma-separated.",
            secret=True,
            no_effect=_TRACING,
        ),
    ] = None
    otel_service_name: Annotated[
        str, Setting("OTEL_SERVICE_NAME", "Our name in traces.", no_effect=_TRACING)
    ] = "anthropic-bedrock-proxy"
    otel_trace_content: Annotated[
        bool,
        Setting("OTEL_TRACE_CONTENT", "Put prompts and answers into traces.", no_effect=_TRACING),
    ] = False
    otel_trace_sampling_ratio: Annotated[
        float,
        Setting(
            "OTEL_TRACE_SAMPLING_RATIO",
            "The share of requests that are traced.",
            minimum=0,
            maximum=1,
            no_effect=_TRACING,
        ),
    ] = 1.0
    otel_batch_max_queue_size: Annotated[
        int,
        Setting(
            "OTEL_BATCH_MAX_QUEUE_SIZE",
            "Spans that may wait to be sent; more are dropped.",
            minimum=1,
            no_effect=_TRACING,
        ),
    ] = 2048
    otel_batch_schedule_delay_ms: Annotated[
        int,
        Setting(
            "OTEL_BATCH_SCHEDULE_DELAY_MS",
            "Milliseconds between two batches of spans.",
            minimum=1,
            no_effect=_TRACING,
        ),
    ] = 5000
