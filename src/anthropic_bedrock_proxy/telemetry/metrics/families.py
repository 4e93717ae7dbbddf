"""The metrics by their names: what each means, and which facts it is read off.

This is the one list: `/metrics`, docs/reference/metrics.md, the dashboard and the alerts are held
against it (names of older dashboards: compat.py). Names of the GenAI conventions follow Prometheus'
rules: dots become underscores, and the unit ends the name.
Sources: semantic conventions for generative AI (metrics), as of November 2026; peers' names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from ...money import NANO_PER_USD
from .facts import EVENT, MODEL, REQUEST, STATE, UPSTREAM, FactKind


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One metric: a number of all series of a kind that have the same labels, added up.

    `labels` maps its labels to those of the facts, `fixed` to texts. `numbers` are by the value of
    its label `split`, the numbers of one value are added up; without `split` there is one value.
    `where` are the labels of the facts that count. `per` divides (nano-dollars). `merge` joins the
    same state of several workers. A summary counts requests beside its sum.
    """

    name: str  # without `_total`
    type: Literal["counter", "histogram", "gauge", "summary"]
    help: str
    kind: FactKind
    numbers: Mapping[str, tuple[str, ...]]
    split: str = ""
    labels: Mapping[str, str] = {}
    fixed: Mapping[str, str] = {}
    where: Mapping[str, str] = {}
    per: float = 1.0
    merge: Literal["sum", "max", "min"] = "sum"


_MODEL: Final = {"model": "model", "bedrock_model": "bedrock_model", "provider": "provider"}
_GENAI: Final = {"gen_ai_request_model": "model", "gen_ai_response_model": "bedrock_model"}
_GENAI_ERROR: Final = {**_GENAI, "error_type": "error"}
# As a client, the proxy asks for Bedrock's model; `original` is what its own client asked for.
_GENAI_CLIENT: Final = {
    "gen_ai_original_model": "model",
    "gen_ai_request_model": "bedrock_model",
    "gen_ai_response_model": "bedrock_model",
}
_GENAI_FIXED: Final = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "aws.bedrock"}
_MODALITY: Final = {**_GENAI_FIXED, "gen_ai_token_modality": "unknown"}


def _counter(
    kind: FactKind, name: str, text: str, number: str, labels: Mapping[str, str]
) -> Family:
    return Family(
        name=name, type="counter", help=text, kind=kind, numbers={"": (number,)}, labels=labels
    )


def _histogram(
    kind: FactKind,
    name: str,
    text: str,
    number: str,
    labels: Mapping[str, str],
    *,
    fixed: Mapping[str, str] = {},
) -> Family:
    return Family(
        name=name,
        type="histogram",
        help=text,
        kind=kind,
        numbers={"": (number,)},
        labels=labels,
        fixed=fixed,
    )


def _tokens(name: str, text: str, *numbers: str) -> Family:
    return Family(
        name=f"gen_ai_client_inference_usage_{name}",
        type="counter",
        help=text,
        kind=MODEL,
        numbers={"": numbers},
        labels=_GENAI_CLIENT,
        fixed=_MODALITY,
    )


def _event(name: str, event: str, text: str, *labels: str) -> Family:
    return Family(
        name=name,
        type="counter",
        help=text,
        kind=EVENT,
        numbers={"": ("count",)},
        labels=dict(zip(labels, ("first", "second", "third"), strict=False)),
        where={"event": event},
    )


def _state(
    name: str,
    text: str,
    *labels: str,
    merge: Literal["sum", "max", "min"] = "sum",
    counter: bool = False,
) -> Family:
    return Family(
        name=name,
        type="counter" if counter else "gauge",
        help=text,
        kind=STATE,
        numbers={"": ("value",)},
        labels=dict(zip(labels, ("first", "second"), strict=False)),
        where={"state": name},
        merge=merge,
    )


_OF_HTTP: Final = (
    _counter(
        REQUEST,
        "http_requests",
        "Requests of clients that have ended, by route and status.",
        "duration",
        {"method": "method", "endpoint": "endpoint", "status": "status"},
    ),
    _histogram(
        REQUEST,
        "http_request_duration_seconds",
        "From a request's head to the last byte of its answer.",
        "duration",
        {"method": "method", "endpoint": "endpoint"},
    ),
    _state("http_requests_in_flight", "Requests that have not ended."),
)
_OF_BEDROCK: Final = (
    _counter(
        UPSTREAM,
        "bedrock_calls",
        "Tries at Bedrock, unsent ones and retries too; code: ok, cancelled or the error's name.",
        "duration",
        {name: name for name in ("model", "provider", "operation", "code")},
    ),
    _histogram(
        UPSTREAM,
        "bedrock_call_duration_seconds",
        "From an HTTP request to Bedrock, or the wait for credentials, to the end of its answer.",
        "duration",
        {"model": "model", "provider": "provider", "operation": "operation"},
    ),
    _histogram(
        UPSTREAM,
        "gen_ai_client_inference_duration_seconds",
        "Duration of an HTTP request to Bedrock, the proxy being its client.",
        "duration",
        {"gen_ai_request_model": "model", "error_type": "error"},
        fixed=_GENAI_FIXED,
    ),
    _histogram(
        UPSTREAM,
        "gen_ai_client_inference_time_to_first_chunk_seconds",
        "From an HTTP request to Bedrock to its first event, or the head of a whole answer.",
        "first_chunk",
        {"gen_ai_request_model": "model"},
        fixed=_GENAI_FIXED,
    ),
)
_OF_MODELS: Final = (
    _counter(
        MODEL,
        "model_requests",
        "Requests that Bedrock was asked for; error is Anthropic's, disconnected or empty.",
        "duration",
        {name: name for name in MODEL.labels},
    ),
    Family(
        name="token_usage",
        type="counter",
        help="Tokens by kind; input is without what was read from or written to the cache.",
        kind=MODEL,
        numbers={kind: (kind,) for kind in ("input", "output", "cache_read", "cache_write")},
        split="kind",
        labels={**_MODEL, "key": "key"},
    ),
    Family(
        name="cost_usd",
        type="counter",
        help="What requests have cost, in USD.",
        kind=MODEL,
        numbers={"": ("cost_nano",)},
        labels={**_MODEL, "key": "key"},
        per=NANO_PER_USD,
    ),
    _counter(
        MODEL,
        "unpriced_requests",
        "Requests that AWS bills and that have no known price.",
        "unpriced",
        _MODEL,
    ),
    _histogram(
        MODEL,
        "request_processing_seconds",
        "The proxy's own time until Bedrock is asked, from the last byte of a body.",
        "processing",
        {"model": "model"},
    ),
    _histogram(
        MODEL,
        "response_processing_seconds",
        "The proxy's own time behind Bedrock: from its first event or whole answer to the client.",
        "responding",
        {"model": "model"},
    ),
    _tokens(
        "input_tokens", "Input tokens, cached ones included.", "input", "cache_read", "cache_write"
    ),
    _tokens("output_tokens", "Output tokens.", "output"),
    _tokens("cache_read_input_tokens", "Input tokens read from the cache.", "cache_read"),
    _tokens("cache_write_input_tokens", "Input tokens written to the cache.", "cache_write"),
    _histogram(
        MODEL,
        "gen_ai_server_request_duration_seconds",
        "Duration of requests, the proxy being its clients' server.",
        "duration",
        _GENAI_ERROR,
        fixed=_GENAI_FIXED,
    ),
    _histogram(
        MODEL,
        "gen_ai_server_time_to_first_token_seconds",
        "From the head of a streamed request to its first event.",
        "first_token",
        _GENAI,
        fixed=_GENAI_FIXED,
    ),
    _histogram(
        MODEL,
        "gen_ai_server_time_per_output_token_seconds",
        "Time per output token behind the first, of streamed answers.",
        "per_token",
        _GENAI,
        fixed=_GENAI_FIXED,
    ),
)
_OF_ADMISSION: Final = (
    _event("rate_limit_exceeded", "limited", "Requests over a limit.", "owner", "limit"),
    _event(
        "auth_failures",
        "key_refused",
        "Requests whose API key was refused; `metrics_token`: scrapes without METRICS_TOKEN.",
        "reason",
    ),
    _event("budget_exceeded", "budget_exceeded", "Requests refused for a budget that is used up."),
    _state("budgets_exhausted", "Budgets that are used up.", "owner", "period", merge="max"),
    _state(
        "budget_left_ratio",
        "What is left of the budget that is nearest to its end: 0 to 1.",
        *("owner", "period"),
        merge="min",
    ),
    _state(
        "budget_left_usd",
        "What is left of each budget in use, now; only with METRICS_KEY_LABEL.",
        *("owner", "period"),
        merge="min",
    ),
)
_OF_TARGETS: Final = (
    _event("failovers", "failover", "Switches to another target.", "origin", "to"),
    _event(
        "tool_runs",
        "tool_run",
        "Runs of tools that the proxy runs, by how they ended; of errors their code.",
        *("tool", "outcome"),
    ),
    _event(
        "dropped",
        "dropped",
        "Requests that a field or a beta (known, or other) was left out of.",
        "what",
        "name",
    ),
    _state(
        "breaker_state",
        "Whether a target is left alone: 0 closed, 1 half open, 2 open (left alone).",
        *("provider", "bedrock_model"),
        merge="max",
    ),
)
_OF_PROCESSES: Final = (
    _state("workers", "Processes that serve."),
    _state(
        "event_loop_lag_seconds", "How late the event loop was in the last second.", merge="max"
    ),
    _state("usage_journal_records", "Usage records that the store has not got yet."),
    _state("usage_delivery_failing", "1 while usage does not reach the store.", merge="max"),
)
_OF_SANDBOXES: Final = (
    _state("ptc_sessions_active", "Containers at the executors.", merge="max"),
    _state(
        "ptc_cells",
        "Cells at the executors: running, or waiting for results.",
        "state",
        merge="max",
    ),
    _state("ptc_warm_runners", "Runners that were started in advance.", merge="max"),
    _state("ptc_executors_ready", "Executors that could start a container now.", merge="max"),
    _state(
        "ptc_container_errors",
        "Sandboxes that could not be started, or ended by themselves.",
        merge="max",
        counter=True,
    ),
)
FAMILIES: Final = (
    *_OF_HTTP,
    *_OF_BEDROCK,
    *_OF_MODELS,
    *_OF_ADMISSION,
    *_OF_TARGETS,
    *_OF_PROCESSES,
    *_OF_SANDBOXES,
)
