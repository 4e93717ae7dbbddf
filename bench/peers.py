"""`python -m bench.peers`: the same work through this proxy, LiteLLM's and nginx, in turns.

In every round each subject does every piece of work once, one after the other (ABC ABC ...), so a
slow minute of the machine hits all of them; medians over the rounds are reported. All are up all
the time; an idle one costs next to nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

import msgspec

from . import upstream, work
from .processes import cpu_seconds, load_average, pss_mb, stop_children_on_exit
from .proxy import wait_for_200
from .subjects import SUBJECTS, Subject, UnavailableSubjectError, prepare
from .table import Row, render
from .wrk import ClosedLoop, MissingWrkError, Target, check_installed, closed_loop

_DELTAS: Final = 25
_EVENTS: Final = _DELTAS + work.FIXED_EVENTS
_QUIET_SECONDS: Final = 1.5  # no request for this long: what was left is done, the books written
_SETTLE_SECONDS: Final = 30.0
_SLOW_STARTS: Final = 3

_NAMES: Final = {
    "cpu": ("CPU per request, c=64", "us", 0),
    "rps16": ("throughput, c=16", "RPS", 0),
    "rps64": ("throughput, c=64", "RPS", 0),
    "p50": ("p50, c=1", "ms", 2),
    "stream_cpu": (f"CPU per stream of {_EVENTS} events, c=16", "us", 0),
    "event_cpu": ("  per event", "us", 1),
    "streams": ("streams, c=16", "1/s", 0),
    "errors": ("answers that failed", "", 0),
    "pss": ("idle memory, PSS of all processes", "MB", 1),
    "loaded_pss": ("  after the load", "MB", 1),
    "cold": ("spawn -> first proxied 200", "ms", 0),
}
_Seen = defaultdict[str, list[float]]


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of one piece of work")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    options = parser.parse_args()
    try:
        check_installed()
    except MissingWrkError as error:
        print(error, file=sys.stderr)
        return 2
    stop_children_on_exit()
    before = load_average()
    seen: dict[str, _Seen] = {}
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name, upstream.running() as fake:
        fake.deliver(deltas=_DELTAS, interval_ms=0)
        subjects: list[Subject] = []
        for factory in SUBJECTS:
            _say(f"first start of {factory.name}")
            try:
                subjects.append(prepare(factory, Path(name, factory.__name__), fake))
                seen[factory.name] = defaultdict(list)
            except UnavailableSubjectError as error:
                missing[factory.name] = str(error)
        _starts(subjects, seen, options.rounds)
        _loads(subjects, fake, seen, options.rounds, options.seconds)
    columns = [factory.name for factory in SUBJECTS]
    rows = [_row(key, columns, seen) for key in _NAMES]
    print(render(rows, columns))
    for column, reason in missing.items():
        print(f"{column}: not measured: {reason}")
    print(f"\n{options.rounds} rounds, load average {before} before, {load_average()} after")
    if options.json:
        document = {"rows": rows, "missing": missing, "load": [before, load_average()]}
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    return 0


def _starts(subjects: list[Subject], seen: dict[str, _Seen], rounds: int) -> None:
    for number in range(rounds):
        for subject in subjects:
            if subject.slow_start and number >= _SLOW_STARTS:
                continue
            _say(f"cold start {number + 1}, {subject.name}")
            began = perf_counter()
            with subject.running() as pid:
                wait_for_200(subject.target(stream=False), seconds=240)
                seen[subject.name]["cold"].append((perf_counter() - began) * 1000)
                time.sleep(1.0)
                seen[subject.name]["pss"].append(pss_mb(pid))


def _loads(
    subjects: list[Subject],
    fake: upstream.Upstream,
    seen: dict[str, _Seen],
    rounds: int,
    seconds: int,
) -> None:
    with contextlib.ExitStack() as stack:
        pids = {subject.name: stack.enter_context(subject.running()) for subject in subjects}
        for subject in subjects:
            wait_for_200(subject.target(stream=False), seconds=240)
            closed_loop(subject.target(stream=False), connections=16, seconds=2)
        for number in range(rounds):
            _say(f"round {number + 1} of {rounds}")
            for subject in subjects:
                _one_round(subject, pids[subject.name], fake, seen[subject.name], seconds)
        for subject in subjects:
            seen[subject.name]["loaded_pss"].append(pss_mb(pids[subject.name]))


def _one_round(
    subject: Subject, pid: int, fake: upstream.Upstream, seen: _Seen, seconds: int
) -> None:
    whole, stream = subject.target(stream=False), subject.target(stream=True)
    alone = closed_loop(whole, connections=1, seconds=max(1, seconds // 2))
    seen["p50"].append(alone.p50_ms)
    few = closed_loop(whole, connections=16, seconds=seconds)
    seen["rps16"].append(few.rps)
    _settle(fake)
    cpu, many = _with_cpu(whole, pid, fake, 64, seconds)
    seen["cpu"].append(cpu)
    seen["rps64"].append(many.rps)
    cpu, streams = _with_cpu(stream, pid, fake, 16, seconds)
    seen["stream_cpu"].append(cpu)
    seen["event_cpu"].append(cpu / _EVENTS)
    seen["streams"].append(streams.rps)
    seen["errors"].append(alone.errors + few.errors + many.errors + streams.errors)


def _with_cpu(
    target: Target, pid: int, fake: upstream.Upstream, connections: int, seconds: int
) -> tuple[float, ClosedLoop]:
    """CPU microseconds per answer, and the run.

    Divided by what the upstream was asked, not by what wrk received: a slow subject is still at
    work on many requests when wrk leaves.
    """
    began, asked = cpu_seconds(pid), _asked(fake)
    run = closed_loop(target, connections=connections, seconds=seconds)
    _settle(fake)
    return (cpu_seconds(pid) - began) / max(1, _asked(fake) - asked) * 1e6, run


def _asked(fake: upstream.Upstream) -> int:
    control = fake.asked()
    return control.answers + control.streams


def _settle(fake: upstream.Upstream) -> None:
    """Until nobody has asked the upstream for a while."""
    asked, deadline = -1, time.monotonic() + _SETTLE_SECONDS
    while asked != (asked := _asked(fake)) and time.monotonic() < deadline:
        time.sleep(_QUIET_SECONDS)


def _row(key: str, columns: list[str], seen: dict[str, _Seen]) -> Row:
    name, unit, digits = _NAMES[key]
    pick = sum if key == "errors" else median
    values: dict[str, float | str | None] = {
        column: float(pick(seen[column][key]))
        for column in columns
        if column in seen and seen[column][key]
    }
    return Row(name, unit, values, digits=digits)


def _say(text: str) -> None:
    """Progress, on stderr: stdout is the table."""
    print(f"bench: {text} (load {load_average()})", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
