"""`python -m bench.abuse`: what the proxy stands from clients that have no key.

For each kind of abuse (bench/attacks.py) a fresh proxy with one worker is attacked from many
connections by a process of its own, while /health is asked 20 times a second over new connections
and memory and descriptors are looked at. Exits with 1 if a bound is missed: memory grows by over
20 MiB at its peak, the 99th percentile of /health is over 50 ms, descriptors are not back within
35 s of the attackers' leaving, or the log has a traceback or an error.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import msgspec

from . import upstream
from .attacks import KINDS
from .processes import child, environment, load_average, stop_children_on_exit
from .proxy import Proxy, wait_for_200
from .watch import Peak, descriptors, percentile, probe, rss_mib, troubles
from .wire import Counts

_ROOT: Final = Path(__file__).resolve().parent.parent
_GROWTH_MIB: Final = 20.0
_HEALTH_MS: Final = 50.0
_MEMORY_SECONDS: Final = 10.0  # for memory to fall afterwards
_DESCRIPTOR_SECONDS: Final = 35.0
_WARM_UP_SECONDS: Final = 2.0


class Abused(msgspec.Struct):
    """What one kind of abuse did."""

    sent: Counts
    seconds: float
    before_mib: float
    peak_mib: float
    after_mib: float
    health_ms: list[float]
    cpu_share: float  # of one core, of the proxy
    descriptors_before: int
    descriptors_peak: int
    descriptors_after: int
    troubles: list[str]


def main() -> int:
    """Attacks, prints, returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.abuse", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each kind")
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--only", choices=KINDS, action="append", metavar="KIND")
    options = parser.parse_args()
    stop_children_on_exit()
    print(f"load average {load_average()}, {options.connections} connections", flush=True)
    rows: dict[str, Abused] = {}
    with upstream.running(None) as fake:
        for kind in options.only or KINDS:
            with tempfile.TemporaryDirectory(prefix="abuse-") as name:
                rows[kind] = abuse(
                    Proxy(Path(name), fake.port), kind, options.seconds, options.connections
                )
            print(_table({kind: rows[kind]}), file=sys.stderr, flush=True)  # what there is so far
    print(_table(rows))
    print(f"load average {load_average()}")
    missed = [text for kind, row in rows.items() if kind != "calm" for text in _missed(kind, row)]
    print("\n".join(missed) or "every bound is kept")
    return 1 if missed else 0


def abuse(proxy: Proxy, kind: str, seconds: float, connections: int) -> Abused:
    """One kind against a proxy that has served a little."""
    with proxy.running(1):
        wait_for_200(proxy.target())
        probe(proxy.port, _WARM_UP_SECONDS)
        before_mib, fds_before = rss_mib(proxy.pid), descriptors(proxy.pid)
        peak, cpu, began = Peak(proxy.pid), proxy.cpu(), monotonic()
        command = [
            *(sys.executable, "-m", "bench.attacker", kind, "--port", str(proxy.port)),
            *("--seconds", str(seconds), "--connections", str(connections)),
        ]
        with (
            peak.watching(),
            child(
                command,
                env=environment(),
                cwd=_ROOT,
                stdout=subprocess.PIPE,
                stderr=sys.stderr.fileno(),
            ) as attacker,
        ):
            health_ms = probe(proxy.port, seconds)
            printed, _ = attacker.communicate(timeout=seconds + 60)
        took, cpu = monotonic() - began, proxy.cpu() - cpu
        _wait_until(lambda: rss_mib(proxy.pid) <= before_mib + 1, _MEMORY_SECONDS)
        after_mib = rss_mib(proxy.pid)
        _wait_until(lambda: descriptors(proxy.pid) <= fds_before, _DESCRIPTOR_SECONDS)
        fds_after = descriptors(proxy.pid)
    return Abused(
        sent=msgspec.json.decode(printed, type=Counts),
        seconds=took,
        before_mib=before_mib,
        peak_mib=peak.rss_mib,
        after_mib=after_mib,
        health_ms=health_ms,
        cpu_share=cpu / took,
        descriptors_before=fds_before,
        descriptors_peak=peak.descriptors,
        descriptors_after=fds_after,
        troubles=troubles(proxy.log),
    )


def _wait_until(reached: Callable[[], bool], seconds: float) -> None:
    deadline = monotonic() + seconds
    while not reached() and monotonic() < deadline:
        sleep(0.2)


def _missed(kind: str, row: Abused) -> list[str]:
    found = []
    growth = row.peak_mib - row.before_mib
    if growth > _GROWTH_MIB:
        found.append(f"memory grew by {growth:.1f} MiB")
    p99 = percentile(row.health_ms, 0.99)
    if p99 > _HEALTH_MS:
        found.append(f"the 99th percentile of /health is {p99:.0f} ms")
    if row.descriptors_after > row.descriptors_before:
        found.append(f"{row.descriptors_after - row.descriptors_before} descriptors are not back")
    if row.troubles:
        found.append(f"{len(row.troubles)} errors in the log, the first: {row.troubles[0][:600]}")
    if not row.sent.connections:
        found.append("the attackers did not connect")
    return [f"MISSED: {kind}: {text}" for text in found]


def _table(rows: dict[str, Abused]) -> str:
    head = (
        *("what", "conn/s", "MB/s", "CPU", "RSS before", "peak", "growth", "after"),
        *("p50 ms", "p99 ms", "fds", "peak", "after", "errors"),
    )
    lines = [head, *(_cells(kind, row) for kind, row in rows.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if position else cell.ljust(width)
            for position, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _cells(kind: str, row: Abused) -> tuple[str, ...]:
    return (
        kind,
        f"{row.sent.connections / row.seconds:,.0f}",
        f"{row.sent.sent / row.seconds / 1e6:,.1f}",
        f"{row.cpu_share:.0%}",
        f"{row.before_mib:.1f}",
        f"{row.peak_mib:.1f}",
        f"{row.peak_mib - row.before_mib:+.1f}",
        f"{row.after_mib:.1f}",
        f"{percentile(row.health_ms, 0.5):.1f}",
        f"{percentile(row.health_ms, 0.99):.1f}",
        f"{row.descriptors_before}",
        f"{row.descriptors_peak}",
        f"{row.descriptors_after}",
        f"{len(row.troubles)}",
    )


if __name__ == "__main__":
    sys.exit(main())
