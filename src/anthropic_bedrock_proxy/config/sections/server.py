"""The settings of listening, of admission and of streaming."""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from pathlib import Path
from typing import Annotated, Literal

from .. import rules
from ..schema import Section, Setting


class ServerSettings(Section, frozen=True):
    """Listening, logging and stopping."""

    host: Annotated[
        str,
        Setting(
            "HOST",
            "The address to listen on; 0.0.0.0 accepts connections from other machines, "
            "unix:///PATH listens on a Unix socket.",
            rule=rules.LISTEN,
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        Setting("PORT", "The port to listen on; 0 picks a free one.", minimum=0, maximum=65535),
    ] = 8000
    unix_socket_mode: Annotated[
        str | None,
        Setting(
            "UNIX_SOCKET_MODE",
            "The mode of the Unix socket's file, in octal (0660): who may write to it may connect. "
            "Unset, the umask says.",
            rule=rules.MODE,
        ),
    ] = None
    tls_certificate: Annotated[
        Path | None,
        Setting(
            "TLS_CERT_FILE",
            "The server's certificate and those between it and its root, in PEM: the proxy speaks "
            "TLS itself. Needs TLS_KEY_FILE. SIGHUP reads both again.",
            rule=rules.EXISTING_PATH,
        ),
    ] = None
    tls_key: Annotated[
        Path | None,
        Setting(
            "TLS_KEY_FILE",
            "The private key of TLS_CERT_FILE, in PEM.",
            rule=rules.EXISTING_PATH,
        ),
    ] = None
    workers: Annotated[
        int, Setting("WORKERS", "Processes that serve requests.", minimum=1, maximum=256)
    ] = 1
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        Setting("LOG_LEVEL", "The least severe log lines that are written."),
    ] = "INFO"
    log_format: Annotated[
        Literal["auto", "json", "text"],
        Setting(
            "LOG_FORMAT",
            "One JSON document per log line, or text for people; auto: text on a terminal.",
        ),
    ] = "auto"
    access_log: Annotated[
        bool, Setting("ACCESS_LOG", "Write a log line for every request that was answered.")
    ] = True
    log_output: Annotated[
        str,
        Setting(
            "LOG_OUTPUT",
            "Where log lines go: stderr, stdout, or a file, which rotates.",
        ),
    ] = "stderr"
    log_max_bytes: Annotated[
        int,
        Setting("LOG_MAX_BYTES", "A log file rotates when it is so large.", minimum=1024),
    ] = 64 * 1024 * 1024
    log_backups: Annotated[
        int, Setting("LOG_BACKUPS", "How many rotated log files are kept.", minimum=0, maximum=99)
    ] = 5
    log_content_keys: Annotated[
        tuple[str, ...],
        Setting(
            "LOG_CONTENT_KEYS",
            "Ids of API keys whose requests and answers are logged with their contents; * for all. "
            "Keys and base64 are left out; prompts are not.",
        ),
    ] = ()
    environment: Annotated[
        Literal["development", "staging", "production"],
        Setting("ENVIRONMENT", "Where the proxy runs; reported by /health."),
    ] = "development"
    ready_requires: Annotated[
        tuple[str, ...],
        Setting(
            "READY_REQUIRES",
            "The components without which /ready answers 503: any of store, credentials, upstream, "
            "limiter, executor. Until the store has answered once, it is among them.",
        ),
    ] = ("credentials", "upstream")
    openapi_path: Annotated[
        str | None,
        Setting(
            "OPENAPI_URL",
            "The path of the API's description in OpenAPI 3.1. Needs no key. Empty: there is none, "
            "and no page that shows it.",
            rule=rules.PAGE,
        ),
    ] = "/openapi.json"
    docs_path: Annotated[
        str | None,
        Setting(
            "DOCS_URL",
            "The path of the page that shows that description (Swagger UI). Needs no key. Empty: "
            "there is none.",
            rule=rules.PAGE,
        ),
    ] = "/docs"
    shutdown_delay_seconds: Annotated[
        float,
        Setting(
            "SHUTDOWN_DELAY",
            "Keep serving this long after SIGTERM while /ready already answers 503, and every "
            "answer says that its connection ends: load balancers stop sending before the port "
            "closes.",
            minimum=0,
        ),
    ] = 0.0
    shutdown_timeout_seconds: Annotated[
        float,
        Setting(
            "SHUTDOWN_TIMEOUT",
            "How long answers in progress may take to finish once the port is closed.",
            minimum=0,
        ),
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
    max_connections: Annotated[
        int,
        Setting(
            "MAX_CLIENT_CONNECTIONS",
            "Connections of clients that a worker holds at once. One more ends the oldest that "
            "waits for a request; where all are being served, it is ended itself.",
            minimum=1,
        ),
    ] = 10_000
    keep_alive_seconds: Annotated[
        float,
        Setting(
            "KEEP_ALIVE_TIMEOUT",
            "How long an idle client connection stays open; longer than the idle timeout of a load "
            "balancer in front.",
            minimum=0,
        ),
    ] = 75.0


class CORSSettings(Section, frozen=True):
    """Web pages of other origins that may call the proxy from a browser."""

    origins: Annotated[
        tuple[str, ...],
        Setting(
            "CORS_ORIGINS",
            "Origins (https://app.example) whose pages may call the proxy; `*` for all, none by "
            "default.",
        ),
    ] = ()
    credentials: Annotated[
        bool,
        Setting(
            "CORS_ALLOW_CREDENTIALS",
            "Let browsers send cookies and the like along. Not with CORS_ORIGINS=*: the start is "
            "refused.",
        ),
    ] = False
    methods: Annotated[
        tuple[str, ...],
        Setting("CORS_ALLOW_METHODS", "Methods that pages may use; `*` for those of each path."),
    ] = ("*",)
    headers: Annotated[
        tuple[str, ...],
        Setting("CORS_ALLOW_HEADERS", "Headers that pages may send; `*` for all they ask for."),
    ] = ("*",)


class AuthSettings(Section, frozen=True):
    """API keys of clients, and the load balancers whose headers are believed."""

    trusted_proxies: Annotated[
        tuple[str, ...],
        Setting(
            "TRUSTED_PROXIES",
            "Networks (CIDR) of the load balancers before the proxy: what they write into "
            "X-Forwarded-For is believed. Needed for keys that are bound to networks, and so that "
            "wrong keys are counted by client.",
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
            rule=rules.KEY,
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


class StreamingSettings(Section, frozen=True):
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
