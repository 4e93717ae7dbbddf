"""Every setting, declared once: attribute, type, default, name, doc line, bounds, secrecy.

The order here is the order of `config`, `.env.example` and the reference page. Names that the
predecessor had keep their meaning; a field that this version does not act on says so in
`no_effect`. Durations are in seconds, sizes in bytes, and the attribute ends with the unit.
"""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from . import rules
from .schema import Section, Setting

_LATER = "used by a later version"


class Server(Section, frozen=True):
    """How the proxy listens, logs and stops."""

    host: Annotated[
        str,
        Setting(
            "HOST",
            "The address to listen on; 0.0.0.0 accepts connections from other machines.",
            rule=rules.ADDRESS,
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Setting("PORT", "The port to listen on; 0 picks a free one.", minimum=0, maximum=65535),
    ] = 8000
    workers: Annotated[
        int, Setting("WORKERS", "Processes that serve requests.", minimum=1, maximum=256)
    ] = 1
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        Setting("LOG_LEVEL", "The least severe log lines that are written."),
    ] = "INFO"
    log_format: Annotated[
        Literal["json", "text"],
        Setting("LOG_FORMAT", "One JSON document per log line, or text for people."),
    ] = "json"
    access_log: Annotated[
        bool, Setting("ACCESS_LOG", "Write a log line for every request that was answered.")
    ] = True
    environment: Annotated[
        Literal["development", "staging", "production"],
        Setting("ENVIRONMENT", "Where the proxy runs; reported by /health."),
    ] = "development"
    shutdown_delay_seconds: Annotated[
        float,
        Setting(
            "SHUTDOWN_DELAY",
            "Keep serving this long after SIGTERM while /ready already answers 503, so that load "
            "balancers stop sending before the port closes.",
            minimum=0,
        ),
    ] = 0.0
    shutdown_timeout_seconds: Annotated[
        float,
        Setting("SHUTDOWN_TIMEOUT", "How long answers in progress may take to finish.", minimum=0),
    ] = 600.0
    max_body_bytes: Annotated[
        int,
        Setting("MAX_REQUEST_BYTES", "Larger request bodies are refused with 413.", minimum=1),
    ] = 32 * 1024 * 1024
    body_timeout_seconds: Annotated[
        float,
        Setting(
            "REQUEST_BODY_TIMEOUT", "How long a client may take to send its body.", minimum=0.1
        ),
    ] = 60.0
    keep_alive_seconds: Annotated[
        float,
        Setting(
            "KEEP_ALIVE_TIMEOUT",
            "How long an idle client connection stays open; longer than the idle timeout of a load "
            "balancer in front.",
            minimum=0,
        ),
    ] = 75.0


class AWS(Section, frozen=True):
    """Where Amazon Bedrock is and who we are to it."""

    region: Annotated[
        str,
        Setting(
            "AWS_REGION",
            "The AWS region that requests go to.",
            aliases=("AWS_DEFAULT_REGION",),
            rule=rules.REGION,
        ),
    ] = "us-east-1"
    access_key_id: Annotated[
        str | None,
        Setting(
            "AWS_ACCESS_KEY_ID",
            "A static access key; needs AWS_SECRET_ACCESS_KEY. Without one the AWS default chain "
            "looks for credentials (profile, web identity, container, instance).",
        ),
    ] = None
    secret_access_key: Annotated[
        str | None,
        Setting("AWS_SECRET_ACCESS_KEY", "The secret of the static access key.", secret=True),
    ] = None
    session_token: Annotated[
        str | None,
        Setting("AWS_SESSION_TOKEN", "The session token of temporary credentials.", secret=True),
    ] = None
    profile: Annotated[
        str | None, Setting("AWS_PROFILE", "A profile of the AWS configuration files.")
    ] = None
    bearer_token: Annotated[
        str | None,
        Setting(
            "AWS_BEARER_TOKEN_BEDROCK",
            "An Amazon Bedrock API key; used instead of signed requests.",
            secret=True,
        ),
    ] = None
    bedrock_endpoint_url: Annotated[
        str | None,
        Setting(
            "BEDROCK_ENDPOINT_URL",
            "Use this endpoint instead of the region's own (VPC endpoint, simulator).",
            rule=rules.ENDPOINT,
            url=True,
        ),
    ] = None
    bedrock_mantle_endpoint_url: Annotated[
        str | None,
        Setting(
            "BEDROCK_MANTLE_ENDPOINT_URL",
            "Use this bedrock-mantle endpoint instead of the region's own. Where only "
            "BEDROCK_ENDPOINT_URL is set, bedrock-mantle is not used.",
            rule=rules.ENDPOINT,
            url=True,
        ),
    ] = None
    bedrock_control_endpoint_url: Annotated[
        str | None,
        Setting(
            "BEDROCK_CONTROL_ENDPOINT_URL",
            "Use this endpoint for listings and inference profiles instead of the region's own; "
            "unset, it follows BEDROCK_ENDPOINT_URL.",
            rule=rules.ENDPOINT,
            url=True,
        ),
    ] = None
    dynamodb_endpoint_url: Annotated[
        str | None,
        Setting(
            "DYNAMODB_ENDPOINT_URL",
            "Use this DynamoDB endpoint instead of the region's own.",
            rule=rules.ENDPOINT,
            url=True,
        ),
    ] = None
    ca_bundle: Annotated[
        Path | None,
        Setting(
            "AWS_CA_BUNDLE",
            "Certificate authorities (PEM) to trust instead of the system's.",
            rule=rules.EXISTING_PATH,
        ),
    ] = None
    https_proxy: Annotated[
        str | None,
        Setting(
            "HTTPS_PROXY", "The egress proxy to reach AWS through.", rule=rules.PROXY, url=True
        ),
    ] = None
    no_proxy: Annotated[
        str | None,
        Setting("NO_PROXY", "Hosts that are reached without the egress proxy, comma-separated."),
    ] = None


class Upstream(Section, frozen=True):
    """Patience with Amazon Bedrock."""

    connect_timeout_seconds: Annotated[
        float,
        Setting(
            "UPSTREAM_CONNECT_TIMEOUT",
            "How long a connection to AWS, with its TLS handshake, may take.",
            minimum=0.1,
        ),
    ] = 10.0
    first_byte_timeout_seconds: Annotated[
        float,
        Setting(
            "UPSTREAM_FIRST_BYTE_TIMEOUT",
            "How long a model may take to begin its answer.",
            minimum=0.1,
        ),
    ] = 300.0
    idle_timeout_seconds: Annotated[
        float,
        Setting(
            "UPSTREAM_IDLE_TIMEOUT",
            "How long a model may pause in the middle of its answer.",
            minimum=0.1,
        ),
    ] = 300.0
    total_timeout_seconds: Annotated[
        float,
        Setting("BEDROCK_TIMEOUT", "How long one answer of a model may take.", minimum=0.1),
    ] = 1800.0
    max_attempts: Annotated[
        int,
        Setting(
            "UPSTREAM_MAX_ATTEMPTS",
            "Attempts per model call, the first included; there are none after the first byte.",
            minimum=1,
            maximum=20,
        ),
    ] = 4
    retry_seconds: Annotated[
        float,
        Setting(
            "UPSTREAM_RETRY_SECONDS",
            "No new attempt starts later than this after the first.",
            minimum=0,
        ),
    ] = 30.0
    max_connections: Annotated[
        int,
        Setting("UPSTREAM_MAX_CONNECTIONS", "Connections to AWS per worker.", minimum=1),
    ] = 1000
    max_connecting: Annotated[
        int,
        Setting("UPSTREAM_MAX_CONNECTING", "Handshakes in parallel per worker.", minimum=1),
    ] = 32


class Auth(Section, frozen=True):
    """Who may use the proxy."""

    trusted_proxies: Annotated[
        tuple[str, ...],
        Setting(
            "TRUSTED_PROXIES",
            "Networks (CIDR) of the load balancers before the proxy: what they write into "
            "X-Forwarded-For is believed. Needed only for keys that are bound to networks.",
        ),
    ] = ()

    require_api_key: Annotated[
        bool,
        Setting(
            "REQUIRE_API_KEY",
            "Refuse requests without a valid API key; turn off only where nobody else connects.",
        ),
    ] = True
    master_api_key: Annotated[
        str | None,
        Setting(
            "MASTER_API_KEY",
            "A key that is always valid and may do everything; optional.",
            secret=True,
        ),
    ] = None
    api_key_header: Annotated[
        str,
        Setting(
            "API_KEY_HEADER",
            "The header that carries the API key; Authorization: Bearer works beside it.",
            rule=rules.HEADER,
        ),
    ] = "x-api-key"
    key_cache_ttl_seconds: Annotated[
        float,
        Setting(
            "KEY_CACHE_TTL",
            "How long a worker trusts what it read about a key; a change is in force after this.",
            minimum=0,
        ),
    ] = 2.0


class Store(Section, frozen=True):
    """Where keys, usage and models are kept."""

    url: Annotated[
        str,
        Setting(
            "STORE_URL",
            "The store: an SQLite file (three slashes before a relative path, four before an "
            "absolute one), DynamoDB, or memory for trials.",
            rule=rules.STORE,
            url=True,
        ),
    ] = "sqlite:///data/proxy.db"
    journal_dir: Annotated[
        Path | None,
        Setting(
            "JOURNAL_DIR",
            "Where usage is written before it reaches the store; by default `journal` beside the "
            "SQLite file, else data/journal.",
        ),
    ] = None
    journal_interval_seconds: Annotated[
        float,
        Setting(
            "JOURNAL_INTERVAL", "How often the journal is drained into the store.", minimum=0.01
        ),
    ] = 1.0
    usage_ttl_days: Annotated[
        int,
        Setting(
            "USAGE_TTL_DAYS",
            "How long single usage records are kept; 0 keeps them for ever.",
            minimum=0,
        ),
    ] = 7

    @property
    def sqlite_path(self) -> Path | None:
        """The SQLite file, if that is the store."""
        prefix = "sqlite:///"
        return Path(self.url.removeprefix(prefix)) if self.url.startswith(prefix) else None

    @property
    def data_path(self) -> Path:
        """The directory of what belongs to this machine."""
        beside = self.sqlite_path
        return beside.parent if beside is not None else Path("data")

    @property
    def journal_path(self) -> Path:
        """`journal_dir`, or the place that follows from the store."""
        return self.data_path / "journal" if self.journal_dir is None else self.journal_dir


class Limits(Section, frozen=True):
    """Rate limits. A key's own rate replaces the default one."""

    url: Annotated[
        str,
        Setting(
            "LIMITS_URL",
            "Where limits are counted: on this machine, by all processes that share the data "
            "directory, or in Redis (Valkey) for all machines together.",
            rule=rules.LIMITS,
            url=True,
        ),
    ] = "memory://"
    enabled: Annotated[
        bool,
        Setting("RATE_LIMIT_ENABLED", "Apply limits: requests, tokens, and requests at once."),
    ] = True
    requests: Annotated[
        int,
        Setting("RATE_LIMIT_REQUESTS", "Requests per window of keys without their own.", minimum=1),
    ] = 1000
    window_seconds: Annotated[
        int,
        Setting("RATE_LIMIT_WINDOW", "Length of that window.", minimum=1),
    ] = 60
    master_requests: Annotated[
        int | None,
        Setting(
            "MASTER_KEY_RATE_LIMIT",
            "Requests per minute of the master key; unset: it has no limits.",
            minimum=1,
        ),
    ] = None
    output_estimate: Annotated[
        int,
        Setting(
            "TPM_OUTPUT_ESTIMATE",
            "Output tokens that a request takes from its limits when it begins, if it may write "
            "as many; the difference is settled when it ends.",
            minimum=0,
        ),
    ] = 4096
    timeout_seconds: Annotated[
        float,
        Setting("LIMITS_TIMEOUT", "How long a request waits for Redis.", minimum=0.001),
    ] = 0.1
    on_failure: Annotated[
        Literal["open", "closed"],
        Setting(
            "LIMITS_ON_FAILURE",
            "Without Redis: open counts on this machine alone, closed refuses requests with 503.",
        ),
    ] = "open"


class Budgets(Section, frozen=True):
    """Money that keys, users and teams may spend."""

    holds: Annotated[
        bool,
        Setting(
            "BUDGET_HOLDS",
            "Admit a request only if the most that it may cost (max_tokens at the dearest price) "
            "is left, so that no budget is ever overspent. Otherwise the requests that run when a "
            "budget is used up may overspend it.",
        ),
    ] = False
    on_failure: Annotated[
        Literal["open", "closed"],
        Setting(
            "BUDGETS_ON_FAILURE",
            "While the store does not answer: open lets go on who was not over budget, closed "
            "refuses with 503.",
        ),
    ] = "open"
    report_cost: Annotated[
        bool,
        Setting(
            "REPORT_COST",
            "Tell clients what an answer has cost: `usage.cost_usd`, and the header "
            "x-cost-usd of answers that do not stream.",
        ),
    ] = False


class Streaming(Section, frozen=True):
    """Streamed answers."""

    ping_interval_seconds: Annotated[
        float,
        Setting(
            "PING_INTERVAL",
            "Send a `ping` event after this much silence, so that nothing between us and the "
            "client gives the connection up.",
            minimum=0.1,
        ),
    ] = 15.0


class Models(Section, frozen=True):
    """Which Bedrock model serves a name, and with which betas."""

    default_model_mapping: Annotated[
        Mapping[str, str],
        Setting(
            "DEFAULT_MODEL_MAPPING",
            "Requested model to Bedrock model id, inference profile or ARN; beside the built-in "
            "names, and before them.",
        ),
    ] = {}
    default_cache_ttl: Annotated[
        Literal["5m", "1h"] | None,
        Setting(
            "DEFAULT_CACHE_TTL",
            "The ttl of cache_control blocks that name none; unset leaves them alone.",
        ),
    ] = None
    default_service_tier: Annotated[
        Literal["default", "flex", "priority", "reserved"],
        Setting(
            "DEFAULT_SERVICE_TIER",
            "The Bedrock service tier of keys that name none. A model that does not have it is "
            "called in the default tier.",
        ),
    ] = "default"
    prompt_caching_enabled: Annotated[
        bool,
        Setting("PROMPT_CACHING_ENABLED", "Forward cache_control; off takes it out everywhere."),
    ] = True
    performance_latency: Annotated[
        Literal["standard", "optimized"] | None,
        Setting("PERFORMANCE_LATENCY", "Ask Bedrock for latency-optimised inference."),
    ] = None
    request_metadata: Annotated[
        bool,
        Setting(
            "REQUEST_METADATA",
            "Send metadata.user_id as Bedrock's request metadata too, for invocation logs.",
        ),
    ] = True
    inference_geography: Annotated[
        str,
        Setting(
            "INFERENCE_GEOGRAPHY",
            "Which inference profiles to use: `global` (where a model has one), `regional` (never "
            "leave the region's geography) or a prefix such as `eu` (never leave that one). "
            "Clients choose within it with inference_geo.",
            rule=rules.GEOGRAPHY,
        ),
    ] = "global"
    guardrail_identifier: Annotated[
        str | None,
        Setting(
            "GUARDRAIL_IDENTIFIER",
            "The id or ARN of an Amazon Bedrock guardrail that every request passes through.",
        ),
    ] = None
    guardrail_version: Annotated[
        str, Setting("GUARDRAIL_VERSION", "The version of the guardrail.")
    ] = "DRAFT"
    guardrail_trace: Annotated[
        Literal["disabled", "enabled", "enabled_full"],
        Setting("GUARDRAIL_TRACE", "Whether Bedrock traces what the guardrail did."),
    ] = "disabled"
    guardrail_stream_mode: Annotated[
        Literal["sync", "async"],
        Setting(
            "GUARDRAIL_STREAM_MODE",
            "Converse streams: check before sending (sync) or while sending (async).",
        ),
    ] = "sync"
    model_dialects: Annotated[
        Mapping[str, str],
        Setting(
            "MODEL_DIALECTS",
            "A model's Anthropic id or Bedrock base id (or `*`) to the dialect to call it in: "
            "invoke, messages, mantle or converse; before the built-in choice.",
        ),
    ] = {}
    catalog_refresh_seconds: Annotated[
        float,
        Setting(
            "CATALOG_REFRESH",
            "How often changes of `models map`, `betas`, `providers` and `prices` are looked for.",
            minimum=0.1,
        ),
    ] = 5.0
    beta_header_mapping: Annotated[
        Mapping[str, tuple[str, ...]],
        Setting(
            "BETA_HEADER_MAPPING",
            "An anthropic-beta flag to the flags that Bedrock knows it by; before the built-in "
            "table.",
        ),
    ] = {}
    beta_headers_passthrough: Annotated[
        tuple[str, ...],
        Setting(
            "BETA_HEADERS_PASSTHROUGH",
            "anthropic-beta flags to forward although the built-in table does not know them.",
        ),
    ] = ()
    beta_headers_blocklist: Annotated[
        tuple[str, ...],
        Setting("BETA_HEADERS_BLOCKLIST", "anthropic-beta flags never to forward."),
    ] = ()


class Failover(Section, frozen=True):
    """Other places to run a request when the first cannot."""

    enabled: Annotated[bool, Setting("FAILOVER_ENABLED", "Try the other targets of a chain.")] = (
        True
    )
    providers: Annotated[
        Mapping[str, Mapping[str, str]],
        Setting(
            "PROVIDERS",
            "Accounts and regions beside the default one, by name: region, and if wanted "
            "endpoint_url, mantle_endpoint_url, profile, role_arn, external_id, access_key_id, "
            "secret_access_key, session_token, bearer_token.",
            secret=True,
        ),
    ] = {}
    chains: Annotated[
        Mapping[str, tuple[str, ...]],
        Setting(
            "FAILOVER_CHAINS",
            "A model's name (or `*`) to the targets to try in order, each "
            "PROVIDER[/DIALECT][=MODEL]; the default account and region are `default`.",
        ),
    ] = {}
    first_byte_timeout_seconds: Annotated[
        float,
        Setting(
            "FAILOVER_FIRST_BYTE_TIMEOUT",
            "How long a streamed answer may take to begin before the next target is tried.",
            minimum=0.05,
        ),
    ] = 20.0
    answer_timeout_seconds: Annotated[
        float,
        Setting(
            "FAILOVER_ANSWER_TIMEOUT",
            "The same for an answer that is not streamed, which comes all at once.",
            minimum=0.05,
        ),
    ] = 120.0
    failures: Annotated[
        int,
        Setting(
            "FAILOVER_FAILURES", "Failures in a row after which a target is left alone.", minimum=1
        ),
    ] = 3
    cooldown_seconds: Annotated[
        float,
        Setting(
            "FAILOVER_COOLDOWN",
            "How long it is left alone, unless it said itself (Retry-After).",
            minimum=0.05,
        ),
    ] = 30.0
    sticky_seconds: Annotated[
        float,
        Setting(
            "FAILOVER_STICKY",
            "How long a conversation stays with the target that served it last, for its prompt "
            "cache; 0: it does not.",
            minimum=0,
        ),
    ] = 3600.0
    encryption_secret: Annotated[
        str | None,
        Setting(
            "PROVIDER_KEY_ENCRYPTION_SECRET",
            "Encrypts the credentials of providers in the store; as in the predecessor.",
            secret=True,
        ),
    ] = None


class Fetch(Section, frozen=True):
    """Images and documents that requests name by URL."""

    enabled: Annotated[
        bool, Setting("FETCH_URL_SOURCES", "Fetch them; Bedrock itself takes no URLs.")
    ] = True
    max_bytes: Annotated[
        int, Setting("FETCH_MAX_BYTES", "The largest body of one fetch.", minimum=1)
    ] = 20 * 1024 * 1024
    timeout_seconds: Annotated[
        float,
        Setting("FETCH_TIMEOUT", "One fetch, with its redirects and its turn.", minimum=0.05),
    ] = 20.0
    connect_timeout_seconds: Annotated[
        float,
        Setting("FETCH_CONNECT_TIMEOUT", "Connecting to one address of a host.", minimum=0.05),
    ] = 5.0
    max_redirects: Annotated[
        int, Setting("FETCH_MAX_REDIRECTS", "Redirects of one fetch.", minimum=0)
    ] = 3
    max_concurrent: Annotated[
        int, Setting("FETCH_MAX_CONCURRENT", "Fetches at once, per worker.", minimum=1)
    ] = 16
    allow_http: Annotated[
        bool, Setting("FETCH_ALLOW_HTTP", "Also fetch http:// URLs, not only https://.")
    ] = False
    allowed_ports: Annotated[
        tuple[str, ...], Setting("FETCH_ALLOWED_PORTS", "Ports beside 443 and 80.")
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...],
        Setting(
            "FETCH_ALLOWED_HOSTS",
            "Only these hosts: `a.example`, or `*.a.example` for it and all below. Empty: all.",
        ),
    ] = ()
    blocked_hosts: Annotated[
        tuple[str, ...], Setting("FETCH_BLOCKED_HOSTS", "Never these hosts; the same form.")
    ] = ()
    allow_private: Annotated[
        bool,
        Setting(
            "FETCH_ALLOW_PRIVATE",
            "Also fetch from private addresses: dangerous, for tests and development only.",
        ),
    ] = False
    trust_proxy: Annotated[
        bool,
        Setting(
            "FETCH_TRUST_PROXY",
            "Fetch through HTTPS_PROXY, which then has to refuse internal targets itself. "
            "Otherwise nothing is fetched where a proxy is set.",
        ),
    ] = False


class Features(Section, frozen=True):
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


class Tables(Section, frozen=True):
    """Names of the DynamoDB tables, for `STORE_URL=dynamodb://`."""

    api_keys: Annotated[
        str,
        Setting("DYNAMODB_API_KEYS_TABLE", "API keys.", rule=rules.TABLE),
    ] = "anthropic-proxy-api-keys"
    usage: Annotated[
        str,
        Setting("DYNAMODB_USAGE_TABLE", "Usage records.", rule=rules.TABLE),
    ] = "anthropic-proxy-usage"
    model_mapping: Annotated[
        str,
        Setting("DYNAMODB_MODEL_MAPPING_TABLE", "Model names.", rule=rules.TABLE),
    ] = "anthropic-proxy-model-mapping"
    model_pricing: Annotated[
        str,
        Setting("DYNAMODB_MODEL_PRICING_TABLE", "Prices.", rule=rules.TABLE),
    ] = "anthropic-proxy-model-pricing"
    usage_stats: Annotated[
        str,
        Setting("DYNAMODB_USAGE_STATS_TABLE", "Usage sums.", rule=rules.TABLE),
    ] = "anthropic-proxy-usage-stats"
    provider_keys: Annotated[
        str,
        Setting(
            "DYNAMODB_PROVIDER_KEYS_TABLE",
            "Keys of other providers; only `tables` looks at it.",
            rule=rules.TABLE,
        ),
    ] = "anthropic-proxy-provider-keys"
    routing_rules: Annotated[
        str,
        Setting(
            "DYNAMODB_ROUTING_RULES_TABLE",
            "Routing rules; only `tables` looks at it.",
            rule=rules.TABLE,
        ),
    ] = "anthropic-proxy-routing-rules"
    failover_chains: Annotated[
        str,
        Setting(
            "DYNAMODB_FAILOVER_CHAINS_TABLE",
            "Failover chains; only `tables` looks at it.",
            rule=rules.TABLE,
        ),
    ] = "anthropic-proxy-failover-chains"
    smart_routing_config: Annotated[
        str,
        Setting(
            "DYNAMODB_SMART_ROUTING_CONFIG_TABLE",
            "Smart routing; only `tables` looks at it.",
            rule=rules.TABLE,
        ),
    ] = "anthropic-proxy-smart-routing-config"
    state: Annotated[
        str,
        Setting(
            "DYNAMODB_STATE_TABLE",
            "What the predecessor had no table for: budgets, users, teams, sums, changes.",
            rule=rules.TABLE,
        ),
    ] = "anthropic-proxy-state"


class NoEffect(msgspec.Struct, frozen=True):
    """A setting that was given although this version does not act on it."""

    name: str
    source: str
    reason: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, and where they came from.

    `sources` maps the name of every setting to "default", "command line", "environment" or the name
    of a file. `warnings` are lines for the operator.
    """

    server: Server = Server()
    aws: AWS = AWS()
    upstream: Upstream = Upstream()
    auth: Auth = Auth()
    store: Store = Store()
    limits: Limits = Limits()
    budgets: Budgets = Budgets()
    streaming: Streaming = Streaming()
    models: Models = Models()
    failover: Failover = Failover()
    fetch: Fetch = Fetch()
    features: Features = Features()
    tables: Tables = Tables()
    sources: Mapping[str, str] = {}
    warnings: tuple[str, ...] = ()
    no_effect: tuple[NoEffect, ...] = ()


SECTIONS: dict[str, type[Section]] = {
    name: cls
    for name, cls in Settings.__annotations__.items()
    if isinstance(cls, type) and issubclass(cls, Section)
}
