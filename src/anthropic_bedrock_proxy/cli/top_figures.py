"""The figures of `top`, from two scrapes: rates of what has grown between them, and states."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

_WATCHING = "/metrics"
_HALF_OPEN, _OPEN = 1.0, 2.0  # breaker_state


class Sample(Protocol):
    """One number of a scrape, as `prometheus_client` parses it."""

    @property
    def name(self) -> str: ...  # noqa: D102  # see the class
    @property
    def labels(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def value(self) -> float: ...  # noqa: D102


class Scrape:
    """All numbers at one moment (monotonic seconds)."""

    def __init__(self, at: float, samples: Iterable[Sample]) -> None:
        self.at = at
        self._by_name: dict[str, list[Sample]] = {}
        for sample in samples:
            self._by_name.setdefault(sample.name, []).append(sample)

    def by(self, name: str, label: str = "") -> dict[str, float]:
        """Returns sums of one metric by a label; without one, the sum of all under "".

        Requests for the metrics themselves, which are whoever watches, are left out.
        """
        sums: dict[str, float] = {}
        for sample in self._by_name.get(name, ()):
            if sample.labels.get("endpoint") == _WATCHING:
                continue
            key = sample.labels.get(label, "") if label else ""
            sums[key] = sums.get(key, 0.0) + sample.value
        return sums

    def labelled(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Returns the samples of one metric by several labels."""
        return {
            tuple(sample.labels.get(label, "") for label in labels): sample.value
            for sample in self._by_name.get(name, ())
        }

    def total(self, name: str) -> float:
        """Returns the sum of one metric."""
        return self.by(name).get("", 0.0)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of the screen: rates per second, latencies in seconds, None for unmeasured."""

    requests: float = 0.0
    errors: Mapping[str, float] = {}  # by status
    latency_p50: float | None = None
    latency_p95: float | None = None
    latency_p99: float | None = None
    first_token_p50: float | None = None
    overhead_p99: float | None = None
    models: Mapping[str, Mapping[str, float]] = {}  # requests, tokens and USD, by model
    tokens: Mapping[str, float] = {}  # by kind
    usd_per_hour: float = 0.0
    usd_total: float = 0.0
    in_flight: float = 0.0
    workers: float = 0.0
    memory_bytes: float = 0.0
    cpu: float = 0.0  # cores
    sessions: float = 0.0
    undelivered: float = 0.0
    left_alone: Sequence[str] = ()  # "PROVIDER MODEL" of targets
    tried_again: Sequence[str] = ()  # the same: one request tries whether it answers again
    problem: str = ""  # why these figures are old

    def document(self) -> dict[str, Any]:
        """Returns the figures as a document."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built

    def stale(self, problem: str) -> Figures:
        """Returns the same figures, with the reason why there are no newer ones."""
        return msgspec.structs.replace(self, problem=problem)


def figures(before: Scrape, now: Scrape) -> Figures:
    """Returns what happened between two scrapes."""
    seconds = max(now.at - before.at, 1e-9)

    def rates(name: str, label: str = "") -> dict[str, float]:
        old = before.by(name, label)
        return {
            key: max(0.0, value - old.get(key, 0.0)) / seconds
            for key, value in now.by(name, label).items()
        }

    def quantile(name: str, share: float) -> float | None:
        return _quantile(rates(f"{name}_bucket", "le"), share)

    cost = rates("cost_usd_total", "model")
    asked, tokens = rates("model_requests_total", "model"), rates("token_usage_total", "model")
    duration = "gen_ai_server_request_duration_seconds"
    statuses = rates("http_requests_total", "status")
    breakers = now.labelled("breaker_state", "provider", "bedrock_model")
    return Figures(
        requests=sum(statuses.values()),
        errors={status: rate for status, rate in statuses.items() if status >= "400" and rate},
        latency_p50=quantile(duration, 0.5),
        latency_p95=quantile(duration, 0.95),
        latency_p99=quantile(duration, 0.99),
        first_token_p50=quantile("gen_ai_server_time_to_first_token_seconds", 0.5),
        overhead_p99=quantile("request_processing_seconds", 0.99),
        models={
            model: {
                "requests": asked.get(model, 0.0),
                "tokens": tokens.get(model, 0.0),
                "usd_per_hour": cost.get(model, 0.0) * 3600,
            }
            for model in asked
            if model != "other" or asked[model]
        },
        tokens=rates("token_usage_total", "kind"),
        usd_per_hour=sum(cost.values()) * 3600,
        usd_total=now.total("cost_usd_total"),
        in_flight=max(0.0, now.total("http_requests_in_flight") - 1),  # but for the scrape
        workers=now.total("workers"),
        memory_bytes=now.total("process_resident_memory_bytes"),
        cpu=sum(rates("process_cpu_seconds_total").values()),
        sessions=now.total("ptc_sessions_active"),
        undelivered=now.total("usage_journal_records"),
        left_alone=sorted(" ".join(where) for where, state in breakers.items() if state == _OPEN),
        tried_again=sorted(
            " ".join(where) for where, state in breakers.items() if state == _HALF_OPEN
        ),
    )


def _quantile(buckets: Mapping[str, float], share: float) -> float | None:
    """Returns a quantile of a histogram, as Prometheus does: between the bounds of its bucket."""
    bounds = sorted((float(bound), rate) for bound, rate in buckets.items())
    total = bounds[-1][1] if bounds else 0.0
    if not total:
        return None
    wanted, lower, below = total * share, 0.0, 0.0
    for bound, rate in bounds:
        if rate >= wanted:
            if bound == math.inf:
                return lower
            return lower + (bound - lower) * (wanted - below) / ((rate - below) or 1.0)
        lower, below = bound, rate
    return lower
