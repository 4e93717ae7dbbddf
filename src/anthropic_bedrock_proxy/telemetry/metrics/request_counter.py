"""Counts each request once, when it has ended. It takes 3 µs of the hot path."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container
from typing import Final

from ...gateway.exchange import Exchange
from ...timeline import OK, UpstreamRequest
from ..ended_requests import EndedRequest
from ..overhead import request_seconds, response_seconds
from .board import Labels, Slab
from .dropped import bounded_name
from .facts import (
    EVENT,
    FIRST_TOKEN,
    GENAI,
    HTTP,
    MODEL,
    OTHER,
    OVERHEAD,
    PER_TOKEN,
    REQUEST,
    UPSTREAM,
    FactKind,
)
from .labels import label

_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_NO_PATH: Final = "none"  # the endpoint of what no route serves
_HTTP_SUM: Final = len(HTTP) + 1
_GENAI_SUM: Final = len(GENAI) + 1
_OVERHEAD_SUM: Final = len(OVERHEAD) + 1
_FIRST_TOKEN, _PER_TOKEN = MODEL.place("first_token"), MODEL.place("per_token")
_PROCESSING, _RESPONDING = MODEL.place("processing"), MODEL.place("responding")
_INPUT, _OUTPUT = MODEL.place("input"), MODEL.place("output")
_CACHE_READ, _CACHE_WRITE = MODEL.place("cache_read"), MODEL.place("cache_write")
_COST, _UNPRICED = MODEL.place("cost_nano"), MODEL.place("unpriced")
_MOST_PATHS: Final = 256  # of one request: more repeat the same fields, block by block
_KEY_REASONS: Final = (
    "missing",
    "unknown",
    "expired",
    "guessing",
    "revoked",
    "disabled",
    "metrics_token",
)
# Counted from 0 on, so that the first of them is seen as an increase.
_BEGINNINGS: Final = (
    *(("key_refused", reason, "", "") for reason in _KEY_REASONS),
    ("budget_exceeded", "", "", ""),
)
_FIRST_CHUNK: Final = UPSTREAM.place("first_chunk")


class RequestCounter:
    """Counts the requests of one worker in its slab."""

    def __init__(self, slab: Slab, *, betas: Container[str] = (), with_keys: bool = False) -> None:
        """`betas` are the flags that no client has made up.

        `with_keys` tells requests apart by their API keys' ids.
        """
        self._slab = slab
        self._numbers = slab.numbers
        self._betas = betas
        self._with_keys = with_keys
        self._requests: dict[tuple[str, str, int], int] = {}
        self._models: dict[tuple[str | bool, ...], int] = {}
        self._upstream: dict[Labels, int] = {}
        for labels in _BEGINNINGS:
            self._place(EVENT, labels)

    def __call__(self, request: EndedRequest, exchange: Exchange) -> None:
        """Counts a request that has ended."""
        numbers = self._numbers
        method = request.method if request.method in _METHODS else OTHER
        key = (method, exchange.endpoint, exchange.status)
        at = self._requests.get(key)
        if at is None:
            at = self._place(REQUEST, (method, exchange.endpoint or _NO_PATH, str(exchange.status)))
            self._requests[key] = at
        seconds = exchange.ended - exchange.started
        numbers[at + bisect_left(HTTP, seconds)] += 1.0
        numbers[at + _HTTP_SUM] += seconds
        if exchange.error_cause:
            self._count_cause(exchange.error_cause)
        upstream = exchange.timeline.upstream
        if upstream:
            for made in upstream:
                self._count_upstream(made, exchange)
            if exchange.target is not None:
                self._count_model(exchange)
        if exchange.dropped:
            looked_at = exchange.dropped[:_MOST_PATHS]
            for what, name in {bounded_name(one, self._betas) for one in looked_at}:
                self.count("dropped", what, name)
        for origin, to, _ in exchange.switches:
            self.count("failover", origin, to)
        for run in exchange.timeline.tools:
            self.count("tool_run", run.name, run.code or run.outcome or "cancelled")

    def count(self, event: str, first: str = "", second: str = "", third: str = "") -> None:
        """Counts something that is seldom; labels have to come from bounded sets."""
        self._numbers[self._place(EVENT, (event, first, second, third))] += 1.0

    def _count_model(self, exchange: Exchange) -> None:
        target, numbers = exchange.target, self._numbers
        assert target is not None  # noqa: S101  # see the caller
        error = exchange.error_type or ("disconnected" if exchange.client_gone else "")
        named = exchange.listed
        key = (
            exchange.model if named else OTHER,
            target.bedrock_model_id if named else OTHER,
            target.provider,
            target.dialect,
            exchange.stream,
            error,
            exchange.key_id if self._with_keys else "",
        )
        at = self._models.get(key)
        if at is None:
            at = self._models[key] = self._place(MODEL, tuple(map(label, key)))
        seconds = exchange.ended - exchange.started
        numbers[at + bisect_left(GENAI, seconds)] += 1.0
        numbers[at + _GENAI_SUM] += seconds
        tokens = exchange.meter.output_tokens
        if exchange.told:
            first = exchange.told - exchange.started
            observe(numbers, at + _FIRST_TOKEN, FIRST_TOKEN, first)
            if tokens > 1:
                observe(numbers, at + _PER_TOKEN, PER_TOKEN, (seconds - first) / (tokens - 1))
        if (half := request_seconds(exchange)) is not None:
            numbers[at + _PROCESSING + bisect_left(OVERHEAD, half)] += 1.0
            numbers[at + _PROCESSING + _OVERHEAD_SUM] += half
        if (half := response_seconds(exchange)) is not None:
            numbers[at + _RESPONDING + bisect_left(OVERHEAD, half)] += 1.0
            numbers[at + _RESPONDING + _OVERHEAD_SUM] += half
        usage = exchange.meter.billed()
        if usage.input_tokens:
            numbers[at + _INPUT] += usage.input_tokens
        if tokens:
            numbers[at + _OUTPUT] += tokens
        if usage.cache_read_input_tokens:
            numbers[at + _CACHE_READ] += usage.cache_read_input_tokens
        if usage.cache_creation_input_tokens:
            numbers[at + _CACHE_WRITE] += usage.cache_creation_input_tokens
        if exchange.cost_nano is not None:
            numbers[at + _COST] += exchange.cost_nano
        elif (  # of what failed, nothing is billed
            tokens
            or usage.input_tokens
            or usage.cache_read_input_tokens
            or usage.cache_creation_input_tokens
        ):
            numbers[at + _UNPRICED] += 1.0

    def _count_upstream(self, made: UpstreamRequest, exchange: Exchange) -> None:
        model = made.bedrock_model_id if exchange.listed else OTHER
        key = (model, made.provider, made.operation, made.code)
        at = self._upstream.get(key)
        if at is None:
            error = "" if made.code == OK else made.code
            at = self._upstream[key] = self._place(UPSTREAM, tuple(map(label, (*key, error))))
        # One that was never sent, for want of credentials or time, has waited for these.
        seconds = (made.ended or exchange.ended) - (made.sent or made.began)
        numbers = self._numbers
        numbers[at + bisect_left(GENAI, seconds)] += 1.0
        numbers[at + _GENAI_SUM] += seconds
        if made.first:
            seconds = made.first - made.sent
            numbers[at + _FIRST_CHUNK + bisect_left(GENAI, seconds)] += 1.0
            numbers[at + _FIRST_CHUNK + _GENAI_SUM] += seconds

    def _count_cause(self, cause: str) -> None:
        what, _, why = cause.partition(":")
        if what == "limit":
            owner, _, limit = why.partition("/")
            self.count("limited", owner, limit)
        elif what == "key":
            self.count("key_refused", why if why in _KEY_REASONS else OTHER)
        elif cause == "budget_exceeded":
            self.count("budget_exceeded")

    def _place(self, kind: FactKind, labels: Labels) -> int:
        return self._slab.place(kind, labels)


def observe(numbers: memoryview[float], at: int, buckets: tuple[float, ...], value: float) -> None:
    """Adds a value to the histogram whose numbers begin `at`."""
    numbers[at + bisect_left(buckets, value)] += 1.0
    numbers[at + len(buckets) + 1] += value
