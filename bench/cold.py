"""Cold start: from the spawn of the process to its first 200, and the interpreter's own share.

The floor is `python -I -c "import asyncio"`: nothing that serves from asyncio can start faster.
All variants take turns in every round, so that a slow minute slows them all; medians are reported.
The store and its key exist before the first start, and byte code is compiled.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter

import msgspec

from .proxy import Proxy, health_target, wait_for_200
from .wrk import Target


class ColdStart(msgspec.Struct, frozen=True):
    """Medians, in milliseconds."""

    health_ms: float
    proxied_ms: float
    floor_ms: float

    @property
    def ratio(self) -> float:
        """Of the time to /health to the floor."""
        return self.health_ms / self.floor_ms


def cold_start(
    proxy: Proxy, workers: Sequence[int], *, rounds: int, python: Sequence[str] = (sys.executable,)
) -> dict[int, ColdStart]:
    """For each number of workers; `python` is the interpreter that the proxy runs on."""
    variants: dict[tuple[int, str], Callable[[], float]] = {(0, "floor"): lambda: floor(python)}
    for count in workers:
        variants[count, "health"] = starter(proxy, count, health_target(proxy.port))
        variants[count, "proxied"] = starter(proxy, count, proxy.target())
    for run in variants.values():  # compiles, fills the page cache
        run()
    seen: dict[tuple[int, str], list[float]] = {variant: [] for variant in variants}
    for _ in range(rounds):
        for variant, run in variants.items():
            seen[variant].append(run())
    medians = {variant: median(times) for variant, times in seen.items()}
    return {
        count: ColdStart(
            health_ms=medians[count, "health"],
            proxied_ms=medians[count, "proxied"],
            floor_ms=medians[0, "floor"],
        )
        for count in workers
    }


def starter(proxy: Proxy, workers: int, target: Target) -> Callable[[], float]:
    """A measurement: from the spawn to the first 200, in milliseconds."""

    def run() -> float:
        began = perf_counter()
        with proxy.running(workers):
            wait_for_200(target)
            return (perf_counter() - began) * 1000

    return run


def floor(python: Sequence[str]) -> float:
    """How long the interpreter takes to import asyncio, in milliseconds."""
    began = perf_counter()
    subprocess.run([*python, "-I", "-c", "import asyncio"], check=True)
    return (perf_counter() - began) * 1000
