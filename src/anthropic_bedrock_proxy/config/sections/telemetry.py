"""Metrics and traces."""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from typing import Annotated, Literal

from ..schema import Section, Setting


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
        bool, Setting("ENABLE_TRACING", "Export OpenTelemetry traces; needs the extra `tracing`.")
    ] = False
    otel_exporter_otlp_endpoint: Annotated[
        str | None,
        Setting("OTEL_EXPORTER_OTLP_ENDPOINT", "Where traces go.", url=True),
    ] = None
    otel_exporter_otlp_protocol: Annotated[
        Literal["http/protobuf", "grpc"],
        Setting("OTEL_EXPORTER_OTLP_PROTOCOL", "How traces are sent."),
    ] = "http/protobuf"
    otel_exporter_otlp_headers: Annotated[
        str | None,
        Setting(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "Headers for the trace collector, name=value, comma-separated.",
            secret=True,
        ),
    ] = None
    otel_service_name: Annotated[str, Setting("OTEL_SERVICE_NAME", "Our name in traces.")] = (
        "anthropic-bedrock-proxy"
    )
    otel_trace_content: Annotated[
        bool,
        Setting("OTEL_TRACE_CONTENT", "Put prompts and answers into traces."),
    ] = False
    otel_trace_sampling_ratio: Annotated[
        float,
        Setting(
            "OTEL_TRACE_SAMPLING_RATIO",
            "The share of requests that are traced.",
            minimum=0,
            maximum=1,
        ),
    ] = 1.0
    otel_batch_max_queue_size: Annotated[
        int,
        Setting(
            "OTEL_BATCH_MAX_QUEUE_SIZE",
            "Spans that may wait to be sent; more are dropped.",
            minimum=1,
        ),
    ] = 2048
    otel_batch_schedule_delay_ms: Annotated[
        int,
        Setting(
            "OTEL_BATCH_SCHEDULE_DELAY_MS",
            "Milliseconds between two batches of spans.",
            minimum=1,
        ),
    ] = 5000
    otel_exporter_otlp_traces_endpoint: Annotated[
        str | None,
        Setting(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "Where traces go, with the whole path; before OTEL_EXPORTER_OTLP_ENDPOINT.",
            url=True,
        ),
    ] = None
    otel_exporter_otlp_traces_protocol: Annotated[
        Literal["http/protobuf", "grpc"] | None,
        Setting(
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "How traces are sent; before OTEL_EXPORTER_OTLP_PROTOCOL.",
        ),
    ] = None
    otel_exporter_otlp_traces_headers: Annotated[
        str | None,
        Setting(
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
            "Headers for the trace collector; before OTEL_EXPORTER_OTLP_HEADERS.",
            secret=True,
        ),
    ] = None
    otel_traces_sampler: Annotated[
        Literal[
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ]
        | None,
        Setting(
            "OTEL_TRACES_SAMPLER",
            "Which requests are traced; unset, parentbased_traceidratio.",
        ),
    ] = None
    otel_traces_sampler_arg: Annotated[
        float | None,
        Setting(
            "OTEL_TRACES_SAMPLER_ARG",
            "The ratio of that sampler; before OTEL_TRACE_SAMPLING_RATIO.",
            minimum=0,
            maximum=1,
        ),
    ] = None
