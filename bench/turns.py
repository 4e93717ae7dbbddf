"""`python -m bench.turns OTHER_PYTHON`: this version and another one, by turns.

Machines are noisy by a factor of two, so a single figure says little. Here both versions run at the
same time against the same fake upstream and are loaded in turns; every round gives a ratio, and the
median of the ratios is what to believe. OTHER_PYTHON is the interpreter of a virtual environment in
which the other version is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final

from . import upstream
from .cold import floor, starter
from .processes import load_average, stop_children_on_exit
from .proxy import Proxy, health_target, wait_for_200
from .streams import stream_load
from .wrk import closed_loop

_CONNECTIONS: Final = 64
_STREAMS: Final = 500
_EVENTS_MS: Final = 50
_STREAM_SECONDS: Final = 2.0
_NAMES: Final = ("this", "other")
Pair = tuple[float, float]


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.turns", description=__doc__)
    parser.add_argument("other", metavar="OTHER_PYTHON")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=3, help="of load, per version and round")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    stop_children_on_exit()
    print(f"load average {load_average()}, {options.rounds} rounds, {options.workers} worker(s)")
    with tempfile.TemporaryDirectory(prefix="bench-") as name, upstream.running(None) as fake:
        proxies = []
        for python, kind in zip((sys.executable, options.other), _NAMES, strict=True):
            directory = Path(name) / kind
            directory.mkdir()
            proxies.append(
                Proxy(directory, fake.port, command=[python, "-m", "anthropic_bedrock_proxy"])
            )
        this, other = proxies
        _cold(this, other, options.workers, options.rounds)
        _warm(this, other, fake, options)
    print(f"load average {load_average()}")
    return 0


def _warm(this: Proxy, other: Proxy, fake: upstream.Upstream, options: argparse.Namespace) -> None:
    with contextlib.ExitStack() as stack:
        for proxy in (this, other):
            stack.enter_context(proxy.running(options.workers))
            wait_for_200(proxy.target())
        time.sleep(1.0)
        _tell("idle memory, PSS, MB", [(this.pss_mb(), other.pss_mb())])

        def per_request(proxy: Proxy) -> float:
            began = proxy.cpu()
            run = closed_loop(proxy.target(), connections=_CONNECTIONS, seconds=options.seconds)
            time.sleep(1.0)  # what it still does for its books counts too
            return (proxy.cpu() - began) / run.requests * 1e6

        def per_event(proxy: Proxy) -> float:
            load = stream_load(
                proxy.target(stream=True),
                streams=_STREAMS,
                seconds=options.seconds,
                cpu=proxy.cpu,
            )
            return load.cpu_us_per_event

        for proxy in (this, other):
            per_request(proxy)  # warms it up
        _tell("CPU per request, us", _turns(this, other, per_request, options.rounds))
        fake.deliver(deltas=round(_STREAM_SECONDS / _EVENTS_MS * 1000), interval_ms=_EVENTS_MS)
        _tell("CPU per event, us", _turns(this, other, per_event, options.rounds))
        time.sleep(3.0)
        _tell("memory after the load, PSS, MB", [(this.pss_mb(), other.pss_mb())])


def _cold(this: Proxy, other: Proxy, workers: int, rounds: int) -> None:
    def spawn(proxy: Proxy) -> float:
        return starter(proxy, workers, health_target(proxy.port))()

    for proxy in (this, other):
        spawn(proxy)  # compiles, fills the page cache
    floors = [floor([sys.executable])]
    pairs = []
    for _ in range(rounds):
        pairs += _turns(this, other, spawn, 1)
        floors.append(floor([sys.executable]))
    _tell("spawn -> 200 on /health, ms", pairs)
    least = median(floors)
    print(
        f"{'  over `import asyncio`':<34}"
        + "".join(f"{median(pair[side] for pair in pairs) / least:>10.2f}" for side in (0, 1))
        + f"  ({least:.0f} ms)"
    )


def _turns(this: Proxy, other: Proxy, measure: Callable[[Proxy], float], rounds: int) -> list[Pair]:
    pairs: list[Pair] = []
    for number in range(rounds):
        if number % 2:  # nobody is always second
            second = measure(other)
            pairs.append((measure(this), second))
        else:
            pairs.append((measure(this), measure(other)))
    return pairs


def _tell(what: str, pairs: list[Pair]) -> None:
    ratios = sorted(this / other for this, other in pairs)
    this, other = (median(pair[side] for pair in pairs) for side in (0, 1))
    spread = f"({ratios[0]:.2f} to {ratios[-1]:.2f})" if len(ratios) > 1 else ""
    print(f"{what:<34}{this:>10.1f}{other:>10.1f}  ratio {median(ratios):.3f} {spread}", flush=True)
    print(json.dumps({"what": what, "pairs": pairs}), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
