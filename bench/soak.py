"""`python -m bench.soak`: half an hour of mixed load with every kind of leaving client.

Prints the memory of each worker and its slope, in MiB/min by least squares, over the run without
its first fifth and over its second half; descriptors, and the waits for whole answers in the first
and in the last minute; errors in the log; and whether the books are exact. Exits with 1 if the log
has an error or a traceback, an answer was not what it should have been, or the books differ
(bench/soak_books.py). Memory is told, not judged.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path
from statistics import linear_regression
from time import monotonic, process_time
from typing import Final

import uvloop

from . import upstream
from .processes import load_average, stop_children_on_exit, tree
from .proxy import Proxy, wait_for_200
from .soak_books import asked, problems
from .soak_clients import MIX, Soak, live
from .watch import descriptors, memory_mib, percentile, troubles

_SAMPLE_SECONDS: Final = 10.0
_AT_ONCE: Final = 1500  # clients; more are not begun
_MINUTE: Final = 60.0
_WARM_UP: Final = 0.2  # of the run, not in the slope
Sample = tuple[float, dict[int, tuple[float, float]]]  # seconds, pid -> RSS and PSS


def main() -> int:
    """Loads, prints, returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=100.0, help="clients per second")
    options = parser.parse_args()
    stop_children_on_exit()
    with (
        tempfile.TemporaryDirectory(prefix="soak-") as name,
        upstream.running(None, "bench.soak_upstream") as fake,
    ):
        proxy = Proxy(Path(name), fake.port)
        soak = Soak(proxy.port, proxy.secret)
        with proxy.running(options.workers):
            wait_for_200(proxy.target())
            samples = uvloop.run(_load(soak, proxy, options.minutes * 60, options.rate))
        missed = problems(proxy, soak, asked(fake.port))
        errors = troubles(proxy.log)
    for outcome, count in sorted(soak.outcomes.items()):
        print(f"{count:>8} {outcome}")
    for pid in samples[0][1]:
        _tell_slopes(pid, samples)
    _tell_waits(soak.waits)
    missed += [f"{count} answers: {what}" for what, count in soak.wrong.most_common(20)]
    if errors:
        missed.append(f"{len(errors)} errors in the log, the first: {errors[0][:2000]}")
    print("\n".join(f"MISSED: {what}" for what in missed) or "no errors, the books are exact")
    return 1 if missed else 0


async def _load(soak: Soak, proxy: Proxy, seconds: float, rate: float) -> list[Sample]:
    """Begins clients at a fixed rate and waits for the last; looks at the memory meanwhile."""
    names, weights = list(MIX), [weight for weight, _ in MIX.values()]
    chosen = random.Random(12)  # noqa: S311  # a reproducible mix, no secret
    samples: list[Sample] = []
    clients: set[asyncio.Task[None]] = set()
    began = due = monotonic()

    async def watch() -> None:
        while True:
            await asyncio.sleep(_SAMPLE_SECONDS)
            samples.append((monotonic() - began, _memory(proxy)))
            _say(samples[-1], len(clients), soak, proxy)

    watcher = asyncio.create_task(watch())
    while (due := due + chosen.expovariate(rate)) < began + seconds:
        await asyncio.sleep(due - monotonic())
        if len(clients) >= _AT_ONCE:
            soak.outcomes["not begun: too many at once"] += 1
            continue
        client = asyncio.create_task(live(soak, chosen.choices(names, weights)[0]))
        clients.add(client)
        client.add_done_callback(clients.discard)
    watcher.cancel()
    for client in list(clients):
        await client  # a bug of it ends the run
    return samples


def _memory(proxy: Proxy) -> dict[int, tuple[float, float]]:
    """RSS and PSS of each worker; with one, of the process itself."""
    workers = tree(proxy.pid)[1:] or [proxy.pid]
    return {pid: memory_mib(pid) for pid in workers}


def _say(sample: Sample, clients: int, soak: Soak, proxy: Proxy) -> None:
    seconds, memory = sample
    sizes = "  ".join(f"{pid}: {rss:.1f} ({pss:.1f})" for pid, (rss, pss) in memory.items())
    print(
        f"{seconds:6.0f} s  RSS (PSS), MiB  {sizes}  {clients} clients, "
        f"{descriptors(proxy.pid)} descriptors, "
        f"{len(soak.finished) / seconds:.0f} answers/s, CPU {proxy.cpu() / seconds:.0%}, "
        f"our own {process_time() / seconds:.0%}, load {load_average()}",
        flush=True,
    )


def _tell_slopes(pid: int, samples: list[Sample]) -> None:
    points = [(at / 60, *memory[pid]) for at, memory in samples if pid in memory]
    parts = []
    for name, share in (("without its first fifth", _WARM_UP), ("second half", 0.5)):
        rest = [point for point in points if point[0] >= points[-1][0] * share]
        rss, pss = (_slope([(point[0], point[i]) for point in rest]) for i in (1, 2))
        parts.append(f"{name}: RSS {rss:+.3f}, PSS {pss:+.3f}")
    print(f"worker {pid}, slope in MiB/min, {'; '.join(parts)} ({len(points)} samples)")


def _tell_waits(waits: list[tuple[float, float]]) -> None:
    ends = [at for at, _ in waits]
    for name, begin in (("first", min(ends)), ("last", max(ends) - _MINUTE)):
        minute = [ms for at, ms in waits if begin <= at <= begin + _MINUTE]
        p50, p99 = percentile(minute, 0.5), percentile(minute, 0.99)
        print(f"whole answers of the {name} minute: p50 {p50:.1f} ms, p99 {p99:.1f} ms")


def _slope(points: list[tuple[float, float]]) -> float:
    """By least squares; 0 where there are not enough points."""
    if len(points) < 3:  # noqa: PLR2004
        return 0.0
    return linear_regression(*zip(*points, strict=True)).slope


if __name__ == "__main__":
    sys.exit(main())
