"""Server-side tools and observability."""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from typing import Annotated, Literal

from .. import rules
from ..schema import Section, Setting

_LATER = "used by a later version"


class FeatureSettings(Section, frozen=True):
    """Server-side tools and observability."""

    enable_programmatic_tool_calling: Annotated[
        bool,
        Setting(
            "ENABLE_PROGRAMMATIC_TOOL_CALLING",
            "Let model-written code call the client's tools from a sandbox.",
            no_effect=_LATER,
        ),
    ] = True
    ptc_sandbox_image: Annotated[
        str,
        Setting("PTC_SANDBOX_IMAGE", "The container image of sandboxes.", no_effect=_LATER),
    ] = "python:3.11-slim"
    ptc_session_timeout_seconds: Annotated[
        float,
        Setting(
            "PTC_SESSION_TIMEOUT",
            "How long a suspended sandbox waits for its client.",
            minimum=1,
            no_effect=_LATER,
        ),
    ] = 270.0
    ptc_execution_timeout_seconds: Annotated[
        float,
        Setting("PTC_EXECUTION_TIMEOUT", "How long code may run.", minimum=1, no_effect=_LATER),
    ] = 60.0
    ptc_memory_limit: Annotated[
        str,
        Setting("PTC_MEMORY_LIMIT", "Memory of a sandbox.", rule=rules.MEMORY, no_effect=_LATER),
    ] = "256m"
    ptc_network_disabled: Annotated[
        bool,
        Setting("PTC_NETWORK_DISABLED", "Sandboxes have no network.", no_effect=_LATER),
    ] = True
    enable_standalone_code_execution: Annotated[
        bool,
        Setting(
            "ENABLE_STANDALONE_CODE_EXECUTION",
            "Serve the code execution tool (bash and files in a sandbox).",
            no_effect=_LATER,
        ),
    ] = True
    standalone_bash_timeout_seconds: Annotated[
        float,
        Setting(
            "STANDALONE_BASH_TIMEOUT",
            "How long a bash command may run.",
            minimum=1,
            no_effect=_LATER,
        ),
    ] = 30.0
    enable_web_search: Annotated[
        bool, Setting("ENABLE_WEB_SEARCH", "Serve the web search tool.", no_effect=_LATER)
    ] = True
    web_search_provider: Annotated[
        Literal["tavily", "brave"],
        Setting("WEB_SEARCH_PROVIDER", "Who searches.", no_effect=_LATER),
    ] = "tavily"
    web_search_api_key: Annotated[
        str | None,
        Setting(
            "WEB_SEARCH_API_KEY", "Our key at the search provider.", secret=True, no_effect=_LATER
        ),
    ] = None
    web_search_max_results: Annotated[
        int,
        Setting("WEB_SEARCH_MAX_RESULTS", "Results per search.", minimum=1, no_effect=_LATER),
    ] = 5
    web_search_default_max_uses: Annotated[
        int,
        Setting(
            "WEB_SEARCH_DEFAULT_MAX_USES",
            "Searches per request where the tool sets no max_uses.",
            minimum=1,
            no_effect=_LATER,
        ),
    ] = 10
    enable_web_fetch: Annotated[
        bool, Setting("ENABLE_WEB_FETCH", "Serve the web fetch tool.", no_effect=_LATER)
    ] = True
    web_fetch_default_max_uses: Annotated[
        int,
        Setting(
            "WEB_FETCH_DEFAULT_MAX_USES",
            "Fetches per request where the tool sets no max_uses.",
            minimum=1,
            no_effect=_LATER,
        ),
    ] = 20
    web_fetch_default_max_content_tokens: Annotated[
        int,
        Setting(
            "WEB_FETCH_DEFAULT_MAX_CONTENT_TOKENS",
            "Tokens of one fetched page where the tool sets no max_content_tokens.",
            minimum=1,
            no_effect=_LATER,
        ),
    ] = 100_000
    enable_metrics: Annotated[
        bool, Setting("ENABLE_METRICS", "Serve /metrics for Prometheus.", no_effect=_LATER)
    ] = True
    enable_tracing: Annotated[
        bool, Setting("ENABLE_TRACING", "Export OpenTelemetry traces.", no_effect=_LATER)
    ] = False
    otel_exporter_otlp_endpoint: Annotated[
        str | None,
        Setting("OTEL_EXPORTER_OTLP_ENDPOINT", "Where traces go.", url=True, no_effect=_LATER),
    ] = None
    otel_exporter_otlp_protocol: Annotated[
        Literal["http/protobuf", "grpc"],
        Setting("OTEL_EXPORTER_OTLP_PROTOCOL", "How traces are sent.", no_effect=_LATER),
    ] = "http/protobuf"
    otel_exporter_otlp_headers: Annotated[
        str | None,
        Setting(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "Headers for the trace collector, name=value, comma-separated.",
            secret=True,
            no_effect=_LATER,
        ),
    ] = None
    otel_service_name: Annotated[
        str, Setting("OTEL_SERVICE_NAME", "Our name in traces.", no_effect=_LATER)
    ] = "anthropic-bedrock-proxy"
    otel_trace_content: Annotated[
        bool,
        Setting("OTEL_TRACE_CONTENT", "Put prompts and answers into traces.", no_effect=_LATER),
    ] = False
    otel_trace_sampling_ratio: Annotated[
        float,
        Setting(
            "OTEL_TRACE_SAMPLING_RATIO",
            "The share of requests that are traced.",
            minimum=0,
            maximum=1,
            no_effect=_LATER,
        ),
    ] = 1.0
    otel_batch_max_queue_size: Annotated[
        int,
        Setting(
            "OTEL_BATCH_MAX_QUEUE_SIZE",
            "Spans that may wait to be sent; more are dropped.",
            minimum=1,
            no_effect=_LATER,
        ),
    ] = 2048
    otel_batch_schedule_delay_ms: Annotated[
        int,
        Setting(
            "OTEL_BATCH_SCHEDULE_DELAY_MS",
            "Milliseconds between two batches of spans.",
            minimum=1,
            no_effect=_LATER,
        ),
    ] = 5000
