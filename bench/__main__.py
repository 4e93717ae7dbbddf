"""`python -m bench`: one table of what the proxy costs, beside its targets.

The targets are those of the project's performance page. A missed target is told, not punished:
the exit code is 1 only if a run was not honest (usage rows and answers differ, answers failed).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from . import conversion, decoding, upstream, yardstick
from .cold import ColdStart, cold_start
from .measure import FIXED_RATE, FULL, PACED_RATES, QUICK, Measured, Plan, measure
from .processes import load_average, stop_children_on_exit
from .proxy import Proxy
from .table import Row, render
from .wrk import MissingWrkError, check_installed

_WORKERS: Final = (1, 2)
# CPU per request, us, of agentgateway 1.6 at these rates, on a machine of its makers. Saturated it
# is 141, and 21 for an event of a stream: docs/performance.md.
_OF_AGENTGATEWAY: Final = {1000: 237, 3000: 193}


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, for a first look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--upstream-cpu", type=int, metavar="N", help="pin the fake upstream")
    options = parser.parse_args()
    try:
        check_installed()
    except MissingWrkError as error:
        print(error, file=sys.stderr)
        return 2
    stop_children_on_exit()
    plan = QUICK if options.quick else FULL
    before = load_average()
    measured, cold = _run(plan, options.upstream_cpu)
    rows = _rows(measured, cold)
    columns = [_column(workers) for workers in _WORKERS]
    problems = [
        f"{_column(workers)}: {problem}"
        for workers in _WORKERS
        for problem in measured[workers].problems
    ]
    print(render(rows, columns))
    bare = measured[1].yardstick_us
    print(
        f"\nload average {before} before, {load_average()} after. This machine needs {bare:.0f} us "
        f"for bare uvicorn,\n{bare / yardstick.SPIKE_US:.2f} times what it took where the targets "
        "were set: read CPU rows against that.\n"
        f"Python {sys.version}"
    )
    print(
        "\n".join(f"NOT HONEST: {p}" for p in problems) or "usage rows = answers: yes, all of them"
    )
    if options.json:
        document = {"rows": rows, "problems": problems, "load": [before, load_average()]}
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    return 1 if problems else 0


def _run(plan: Plan, upstream_cpu: int | None) -> tuple[dict[int, Measured], dict[int, ColdStart]]:
    measured: dict[int, Measured] = {}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        upstream.running(upstream_cpu) as fake,
        yardstick.running() as bare,
    ):
        proxy = Proxy(Path(name), fake.port)
        _say(f"cold start, {plan.cold_rounds} rounds")
        cold = cold_start(proxy, _WORKERS, rounds=plan.cold_rounds)
        for workers in _WORKERS:
            _say(f"load, {_column(workers)}")
            measured[workers] = measure(proxy, workers, fake, bare, plan)
    return measured, cold


def _rows(measured: dict[int, Measured], cold: dict[int, ColdStart]) -> list[Row]:
    def by_workers(pick: str) -> dict[str, float | str | None]:
        first, _, rest = pick.partition(".")
        values: dict[str, float | str | None] = {}
        for workers in _WORKERS:
            source: Any = cold[workers] if first == "cold" else getattr(measured[workers], first)
            values[_column(workers)] = float(getattr(source, rest) if rest else source)
        return values

    rates = {m.fixed.rate for m in measured.values()}
    kept = all(m.fixed.kept_up for m in measured.values())
    at = " and ".join(f"{rate:,}" for rate in sorted(rates)) + " RPS"
    if rates != {FIXED_RATE}:
        at += f", the highest it lived with below {FIXED_RATE:,}"
    if not kept:
        at += " (not kept up)"
    decode = decoding.microseconds_per_event()
    both = [_column(workers) for workers in _WORKERS]
    fixed_limit = 50 if rates == {FIXED_RATE} and kept else None
    return [
        Row("CPU per request, 2 KB in, 1 KB out", "us", by_workers("cpu_us"), limit=141),
        Row("  without limits and budget (master key)", "us", by_workers("unlimited_us")),
        Row(
            "  with over without, taken in turns",
            "x",
            by_workers("over_unlimited"),
            limit=1.25,
            digits=2,
        ),
        Row("  the same bytes, bare uvicorn (yardstick)", "us", by_workers("yardstick_us")),
        Row(
            "  request over yardstick, taken in turns",
            "x",
            by_workers("over_yardstick"),
            limit=yardstick.TARGET_RATIO,
            digits=1,
        ),
        Row("throughput, c=64", "RPS", by_workers("closed.rps"), limit=5000, at_least=True),
        Row("  p50", "ms", by_workers("closed.p50_ms"), digits=1),
        Row("  p99", "ms", by_workers("closed.p99_ms"), digits=1),
        *_paced_rows(measured),
        Row(f"open loop at {at}: p50", "ms", by_workers("fixed.p50_ms"), digits=1),
        Row("  p99", "ms", by_workers("fixed.p99_ms"), limit=fixed_limit, digits=1),
        Row(
            "CPU per SSE event, 500 streams, 10 ms",
            "us",
            by_workers("dense.cpu_us_per_event"),
            limit=30,
            digits=1,
        ),
        Row(
            "  events delivered (500 streams offer 50,000)",
            "1/s",
            by_workers("dense.events_per_second"),
        ),
        Row("  events per client wake-up", "", by_workers("dense.events_per_read"), digits=2),
        Row(
            "CPU per SSE event, 500 streams, 50 ms",
            "us",
            by_workers("sparse.cpu_us_per_event"),
            limit=30,
            digits=1,
        ),
        Row(
            "  events delivered (500 streams offer 10,000)",
            "1/s",
            by_workers("sparse.events_per_second"),
        ),
        Row("  events per client wake-up", "", by_workers("sparse.events_per_read"), digits=2),
        Row(
            "CPU per SSE event, 128 streams of 64, 5 ms",
            "us",
            by_workers("few.cpu_us_per_event"),
            limit=21,
            digits=1,
        ),
        Row("  events per client wake-up", "", by_workers("few.events_per_read"), digits=2),
        Row(
            "decode + encode of one event alone",
            "us",
            dict.fromkeys(both, decode),
            limit=4,
            digits=2,
        ),
        Row(
            "CPU to convert 800 turns, 5 MB, to Converse",
            "ms",
            dict.fromkeys(both, conversion.milliseconds()),
            limit=50,
            digits=1,
        ),
        Row(
            "time to first token, c=1: added", "ms", by_workers("first.added_ms"), limit=1, digits=2
        ),
        Row("  direct", "ms", by_workers("first.direct_ms"), digits=2),
        Row("spawn -> /health 200", "ms", by_workers("cold.health_ms"), limit=100),
        Row("spawn -> first proxied 200", "ms", by_workers("cold.proxied_ms"), limit=100),
        Row("  /health over `import asyncio`", "x", by_workers("cold.ratio"), limit=1.6, digits=2),
        Row("  `python -I -c 'import asyncio'`", "ms", by_workers("cold.floor_ms")),
        Row(
            "idle memory, PSS of all processes",
            "MB",
            by_workers("idle_pss_mb"),
            limits={both[0]: 30, both[1]: 40},
            digits=1,
        ),
        Row("  after the load", "MB", by_workers("loaded_pss_mb"), digits=1),
    ]


def _paced_rows(measured: dict[int, Measured]) -> list[Row]:
    rows = []
    for rate in PACED_RATES:
        paced = {_column(workers): measured[workers].paced[rate] for workers in _WORKERS}
        rows += [
            Row(
                f"CPU per request at a fixed {rate:,} RPS",
                "us",
                {column: one.cpu_us for column, one in paced.items()},
                limit=_OF_AGENTGATEWAY[rate],
            ),
            Row("  p99", "ms", {c: one.run.p99_ms for c, one in paced.items()}, digits=1),
        ]
    return rows


def _column(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers} workers"


def _say(text: str) -> None:
    """Progress, on stderr: stdout is the table."""
    print(f"bench: {text} (load {load_average()})", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
