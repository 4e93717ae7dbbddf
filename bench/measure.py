"""Everything that is asked of one running proxy, and the proof that it did what it was asked.

The CPU of a load includes what it leaves behind: the clock stops only when the store holds a usage
row for every answer. A proxy that wrote its books later, or never, would not look cheaper.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Final

import msgspec

from . import work
from .open_loop import OpenLoop, open_loop
from .processes import cpu_seconds
from .proxy import Proxy, wait_for_200
from .streams import FirstToken, StreamLoad, first_token, stream_load
from .upstream import Upstream
from .wrk import ClosedLoop, Target, closed_loop

FIXED_RATE: Final = 5000
PACED_RATES: Final = (1000, 3000)  # as agentgateway publishes its own (benchmarks of 2026-10-05)
_PACED_CONNECTIONS: Final = 32
_RATES: Final = (FIXED_RATE, 4000, 3000, 2000, 1000, 500)
_SETTLE_SECONDS: Final = 30.0
_CONNECTIONS: Final = 64
_STREAMS: Final = 500
_FEW_STREAMS: Final = 128
_FEW_DELTAS: Final = 64
_FIRST_TOKEN_DELTAS: Final = 20
_STREAM_SECONDS_LONG: Final = 2.0  # how long one paced stream lasts


class Paced(msgspec.Struct, frozen=True):
    """The price of a request at a rate that leaves the subject time to rest."""

    cpu_us: float
    run: OpenLoop


class Plan(msgspec.Struct, frozen=True):
    """How long to look."""

    rounds: int
    seconds: int
    stream_seconds: float
    first_tokens: int
    cold_rounds: int


FULL: Final = Plan(rounds=5, seconds=4, stream_seconds=8, first_tokens=300, cold_rounds=9)
QUICK: Final = Plan(rounds=2, seconds=2, stream_seconds=3, first_tokens=60, cold_rounds=3)


class Measured(msgspec.Struct):
    """One proxy's numbers; medians where there were rounds."""

    idle_pss_mb: float
    loaded_pss_mb: float
    cpu_us: float
    unlimited_us: float  # without limits and budget
    yardstick_us: float
    closed: ClosedLoop
    paced: dict[int, Paced]  # by rate, for each of PACED_RATES
    fixed: OpenLoop
    dense: StreamLoad  # an event every 10 ms: the machine's limit is near, wake-ups merge
    sparse: StreamLoad  # an event every 50 ms: one wake-up for each
    few: StreamLoad  # 128 streams of 64 events, one every 5 ms: as agentgateway publishes it
    first: FirstToken
    problems: list[str]

    @property
    def over_unlimited(self) -> float:
        """What limits and budgets add, as a factor."""
        return self.cpu_us / self.unlimited_us

    @property
    def over_yardstick(self) -> float:
        """How many bare answers one request costs: the steadiest number of a noisy machine."""
        return self.cpu_us / self.yardstick_us


def measure(
    proxy: Proxy, workers: int, upstream: Upstream, yardstick: tuple[Target, int], plan: Plan
) -> Measured:
    """Starts the proxy, loads it, stops it, checks its books."""
    before = upstream.asked()
    books = _Books(proxy, upstream)
    with proxy.running(workers):
        wait_for_200(proxy.target())
        time.sleep(1.0)
        idle_pss_mb = proxy.pss_mb()
        closed_loop(proxy.target(), connections=_CONNECTIONS, seconds=1)  # warms it up
        books.settle()
        cpu_us, unlimited_us, yardstick_us, closed = _closed_rounds(proxy, books, yardstick, plan)
        paced = {rate: _paced(proxy, books, rate, plan.seconds * 2) for rate in PACED_RATES}
        fixed = _fixed_rate(proxy.target(), closed.rps, plan.seconds)
        dense = _streams(proxy, upstream, 10, plan)
        sparse = _streams(proxy, upstream, 50, plan)
        few = _streams(proxy, upstream, 5, plan, streams=_FEW_STREAMS, deltas=_FEW_DELTAS)
        upstream.deliver(deltas=_FIRST_TOKEN_DELTAS, interval_ms=1)
        first = first_token(
            upstream.target(stream=True), proxy.target(stream=True), rounds=plan.first_tokens
        )
        books.went_direct(first.asked, tokens=first.asked * _FIRST_TOKEN_DELTAS)
        books.settle()
        loaded_pss_mb = proxy.pss_mb()
    problems = books.problems()
    failed = closed.errors + fixed.errors + sum(load.broken for load in (dense, sparse, few))
    failed += sum(one.run.errors for one in paced.values())
    if failed:
        problems.append(f"{failed} answers were not a success")
    if upstream.asked().answers == before.answers:
        problems.append("the upstream was not asked at all")
    return Measured(
        idle_pss_mb=idle_pss_mb,
        loaded_pss_mb=loaded_pss_mb,
        cpu_us=cpu_us,
        unlimited_us=unlimited_us,
        yardstick_us=yardstick_us,
        closed=closed,
        paced=paced,
        fixed=fixed,
        dense=dense,
        sparse=sparse,
        few=few,
        first=first,
        problems=problems,
    )


def _closed_rounds(
    proxy: Proxy, books: _Books, yardstick: tuple[Target, int], plan: Plan
) -> tuple[float, float, float, ClosedLoop]:
    target, bare_pid = yardstick
    cpu: list[float] = []
    bare: list[float] = []
    unlimited: list[float] = []
    runs: list[ClosedLoop] = []
    for _ in range(plan.rounds):
        began = cpu_seconds(bare_pid)
        bare_run = closed_loop(target, connections=_CONNECTIONS, seconds=max(1, plan.seconds // 2))
        bare.append((cpu_seconds(bare_pid) - began) / bare_run.requests * 1e6)
        began = proxy.cpu()
        run = closed_loop(proxy.target(), connections=_CONNECTIONS, seconds=plan.seconds)
        books.settle()
        cpu.append((proxy.cpu() - began) / run.requests * 1e6)
        runs.append(run)
        began = proxy.cpu()
        free = closed_loop(proxy.unlimited_target(), connections=_CONNECTIONS, seconds=plan.seconds)
        books.settle()
        unlimited.append((proxy.cpu() - began) / free.requests * 1e6)
    return median(cpu), median(unlimited), median(bare), _middle(runs)


def _middle(runs: list[ClosedLoop]) -> ClosedLoop:
    return ClosedLoop(
        requests=sum(run.requests for run in runs),
        rps=median(run.rps for run in runs),
        p50_ms=median(run.p50_ms for run in runs),
        p99_ms=median(run.p99_ms for run in runs),
        errors=sum(run.errors for run in runs),
    )


def _paced(proxy: Proxy, books: _Books, rate: int, seconds: float) -> Paced:
    began = proxy.cpu()
    run = open_loop(proxy.target(), rate=rate, seconds=seconds, connections=_PACED_CONNECTIONS)
    books.settle()
    return Paced(cpu_us=(proxy.cpu() - began) / run.sent * 1e6, run=run)


def _fixed_rate(target: Target, closed_rps: float, seconds: float) -> OpenLoop:
    """At FIXED_RATE, or at the highest of the rates that the subject can live with."""
    run = None
    for rate in _RATES:
        if rate > closed_rps * 1.2 and rate != _RATES[-1]:
            continue  # far more than the closed loop could get out of it
        run = open_loop(target, rate=rate, seconds=seconds)
        if run.kept_up:
            break
    if run is None:
        raise RuntimeError("no rate was tried")
    return run


def _streams(
    proxy: Proxy,
    upstream: Upstream,
    interval_ms: float,
    plan: Plan,
    *,
    streams: int = _STREAMS,
    deltas: int | None = None,
) -> StreamLoad:
    upstream.deliver(
        deltas=deltas or round(_STREAM_SECONDS_LONG / interval_ms * 1000), interval_ms=interval_ms
    )
    return stream_load(
        proxy.target(stream=True),
        streams=streams,
        seconds=plan.stream_seconds,
        cpu=proxy.cpu,
    )


class _Books:
    """Compares what the store says with what the upstream was asked."""

    def __init__(self, proxy: Proxy, upstream: Upstream) -> None:
        self._proxy = proxy
        self._upstream = upstream
        asked = upstream.asked()
        self._asked_before = asked.answers + asked.streams
        self._tokens_before = asked.tokens
        self._used_before = proxy.usage()
        self._lines_before = proxy.access_lines()

    def went_direct(self, streams: int, *, tokens: int) -> None:
        """The upstream was asked for these past the proxy."""
        self._asked_before += streams
        self._tokens_before += tokens

    def settle(self) -> None:
        """Waits until the store has a row for each answer; `problems` tells if it never had."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while self._rows() < self._answers() and time.monotonic() < deadline:
            time.sleep(0.25)

    def _rows(self) -> int:
        return self._proxy.usage().requests - self._used_before.requests

    def _answers(self) -> int:
        asked = self._upstream.asked()
        return asked.answers + asked.streams - self._asked_before

    def problems(self) -> list[str]:
        """What does not add up, once the proxy has stopped."""
        used, before = self._proxy.usage(), self._used_before
        rows = used.requests - before.requests
        answers = self._answers()
        tokens = self._upstream.asked().tokens - self._tokens_before
        lines = self._proxy.access_lines() - self._lines_before
        found = []
        if rows != answers:
            found.append(f"{rows} usage rows for {answers} answers of the upstream")
        if used.output_tokens - before.output_tokens != tokens:
            found.append(
                f"{used.output_tokens - before.output_tokens} output tokens recorded, "
                f"{tokens} given by the upstream"
            )
        if used.input_tokens - before.input_tokens != answers * work.INPUT_TOKENS:
            found.append("the recorded input tokens are not those of the answers")
        if used.errors != before.errors:
            found.append(f"{used.errors - before.errors} usage rows carry an error")
        if lines < rows:
            found.append(f"{lines} access log lines for {rows} answers")
        return found
