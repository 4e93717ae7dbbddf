"""`python -m bench.sandbox`: what sandboxes cost, behind both kinds of walls.

Cells and round trips are timed at the executor's API, where no model and no proxy take part; so a
round trip is what the sandbox adds to the time that the client takes for a tool. Sessions are whole
conversations through a proxy, whose model (the simulator) writes code that calls a tool three
times. Exits with 1 if a bound of the table is missed or was not measured, if a session did not
finish, or if something was not given back after the last one.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress
from anthropic_bedrock_proxy.sandbox.base import (
    CellAddress,
    CellOutcome,
    FunctionResult,
    PythonCell,
    Waiting,
)
from anthropic_bedrock_proxy.sandbox.client import SandboxClient
from anthropic_bedrock_proxy.sandbox.connection import ExecutorConnection

from .processes import load_average, stop_children_on_exit, tree
from .sandbox_parts import (
    TOKEN,
    Executor,
    Holdings,
    converse,
    docker_containers,
    executor,
    proxy,
)
from .table import Row, render

_KINDS: Final = ("docker", "sandlock")
_CELLS: Final = 1000
_TRIPS: Final = 1000
_COLD: Final = 20
_AT_ONCE: Final = 50
_WARM_UP: Final = 50  # sessions, before what is held is looked at
_IDLE_SECONDS: Final = "3"
_END_SECONDS: Final = 20.0
_MORE_DESCRIPTORS: Final = 8
_MORE_MIB: Final = 8.0
_LIMITS: Final = {"trip_p50": 2.0, "containers": 0.0}
_LOOP: Final = "n = 0\nwhile True:\n    await ask({'n': n})\n    n += 1"


def main() -> int:
    """Measures, prints, returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.sandbox", description=__doc__)
    parser.add_argument("--only", choices=_KINDS, action="append", help="one kind of walls")
    parser.add_argument("--image", default="sandbox:minimal", help="for Docker")
    parser.add_argument("--sessions", type=int, default=1000, help="one after the other")
    options = parser.parse_args()
    stop_children_on_exit()
    kinds = options.only or _KINDS
    columns: dict[str, dict[str, float]] = {}
    missed: list[str] = []
    before = load_average()
    for kind in kinds:
        columns[kind] = {}
        _say(f"{kind}: latencies")
        with executor(kind, options.image, SANDBOX_WARM="0") as cold:
            columns[kind] |= asyncio.run(_latencies(cold))
        with executor(kind, options.image, SANDBOX_IDLE_SECONDS=_IDLE_SECONDS) as warm:
            _say(f"{kind}: {_AT_ONCE} sessions at once")
            columns[kind] |= _at_once(warm)
            _say(f"{kind}: {options.sessions} sessions in turn")
            held, problems = _in_turn(warm, kind, options.sessions)
            columns[kind] |= held
            missed += [f"{kind}: {problem}" for problem in problems]
    rows = [
        Row(
            name,
            unit,
            {kind: columns[kind].get(key) for kind in kinds},
            limit=_LIMITS.get(key),
            digits=digits,
        )
        for key, name, unit, digits in _ROWS
    ]
    print(render(rows, kinds))
    missed += [
        f"{kind}: {row.name}: {row.text(kind)}, and should be {row.target}"
        for row in rows
        for kind in kinds
        if row.limit is not None and row.verdict(kind) != "ok"
    ]
    print(f"load average {before} before, {load_average()} after")
    print("\n".join(f"MISSED: {what}" for what in missed) or "all finished, all was given back")
    return 1 if missed else 0


_ROWS: Final = (
    ("cell_p50", "a cell in a container that is there: p50", "ms", 2),
    ("cell_p99", "  p99", "ms", 2),
    ("trip_p50", "round trip of a tool call: p50", "ms", 2),
    ("trip_p99", "  p99", "ms", 2),
    ("cold_p50", "first cell, nothing started in advance: p50", "ms", 0),
    ("cold_p99", "  the slowest of 20", "ms", 0),
    ("once_p50", "50 sessions at once: whole session, p50", "ms", 0),
    ("once_max", "  the slowest", "ms", 0),
    ("once_all", "  all of them", "s", 1),
    ("turn_p50", "sessions one after the other: whole session, p50", "ms", 0),
    ("turn_p99", "  p99", "ms", 0),
    ("turn_trip", "  a continuation through the proxy, p50", "ms", 1),
    ("containers", "containers of the executor at the end", "", 0),
    ("engine", "  of Docker, with those started in advance", "", 0),
    ("exec_fds", "descriptors of the executor: before", "", 0),
    ("exec_fds_after", "  after", "", 0),
    ("exec_pss", "memory of the executor: before", "MiB", 1),
    ("exec_pss_after", "  after", "MiB", 1),
    ("proxy_fds", "descriptors of the proxy's processes: before", "", 0),
    ("proxy_fds_after", "  after", "", 0),
    ("proxy_pss", "memory of the proxy's processes: before", "MiB", 1),
    ("proxy_pss_after", "  after", "MiB", 1),
)


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


async def _latencies(run_by: Executor) -> dict[str, float]:
    client = SandboxClient([ExecutorConnection(ExecutorAddress.from_url(run_by.url), TOKEN)])
    try:
        colds = [await _first_cell(client) for _ in range(_COLD)]
        at = CellAddress(client.new_container(), "bench", "cell")
        await client.run(at, PythonCell("1"), create=True)
        cells = []
        for number in range(_CELLS):
            one = CellAddress(at.container, at.owner, f"cell_{number}")
            began = time.perf_counter()
            await client.run(one, PythonCell("1"), create=False)
            cells.append(time.perf_counter() - began)
        trips = await _trips(client, CellAddress(at.container, at.owner, "loop"))
    finally:
        await client.close()
    return {
        "cold_p50": _percentile(colds, 0.5),
        "cold_p99": _percentile(colds, 1),
        "cell_p50": _percentile(cells, 0.5),
        "cell_p99": _percentile(cells, 0.99),
        "trip_p50": _percentile(trips, 0.5),
        "trip_p99": _percentile(trips, 0.99),
    }


async def _first_cell(client: SandboxClient) -> float:
    at = CellAddress(client.new_container(), "bench", "cell")
    began = time.perf_counter()
    await client.run(at, PythonCell("1"), create=True)
    took = time.perf_counter() - began
    await client.remove(at.container, at.owner)
    return took


async def _trips(client: SandboxClient, at: CellAddress) -> list[float]:
    """Times results, from when they are there to when the next call is."""
    reply = await client.run(at, PythonCell(_LOOP, {"ask": "ask"}), create=False)
    trips = []
    for _ in range(_TRIPS):
        results = [FunctionResult(call.id, "answer") for call in _calls(reply.outcome)]
        began = time.perf_counter()
        reply = await client.resume(at, results)
        trips.append(time.perf_counter() - began)
    return trips


def _calls(outcome: CellOutcome) -> list[FunctionResult]:
    if not isinstance(outcome, Waiting):
        raise TypeError(f"the code does not wait: {outcome}")
    return [FunctionResult(call.id, "") for call in outcome.calls]


def _at_once(run_by: Executor) -> dict[str, float]:
    with proxy(run_by, workers=2) as served, ThreadPoolExecutor(_AT_ONCE) as pool:
        began = time.perf_counter()
        took = [sum(each) for each in pool.map(converse, [served] * _AT_ONCE)]
        return {
            "once_p50": _percentile(took, 0.5),
            "once_max": _percentile(took, 1),
            "once_all": time.perf_counter() - began,
        }


def _in_turn(run_by: Executor, kind: str, sessions: int) -> tuple[dict[str, float], list[str]]:
    with proxy(run_by, workers=2) as served:
        for _ in range(_WARM_UP):
            converse(served)
        _settle(run_by)
        executor_before = Holdings.of(run_by.pid)
        proxy_before = Holdings.of(*tree(served.pid))
        took = [converse(served) for _ in range(sessions)]
        _settle(run_by)
        executor_after = _settled(run_by, executor_before)
        proxy_after = Holdings.of(*tree(served.pid))
        state = run_by.state()
    whole = [sum(each) for each in took]
    values = {
        "turn_p50": _percentile(whole, 0.5),
        "turn_p99": _percentile(whole, 0.99),
        "turn_trip": _percentile([each for one in took for each in one[1:]], 0.5),
        "containers": float(state["containers"]),
        "exec_fds": float(executor_before.descriptors),
        "exec_fds_after": float(executor_after.descriptors),
        "exec_pss": executor_before.pss_mib,
        "exec_pss_after": executor_after.pss_mib,
        "proxy_fds": float(proxy_before.descriptors),
        "proxy_fds_after": float(proxy_after.descriptors),
        "proxy_pss": proxy_before.pss_mib,
        "proxy_pss_after": proxy_after.pss_mib,
    }
    problems = []
    if kind == "docker":
        values["engine"] = float(docker_containers(run_by.name))
        if values["engine"] > state["warm"]:
            problems.append(f"{values['engine']:g} containers of Docker, {state['warm']} are warm")
    for name, was, now in (
        ("executor", executor_before, executor_after),
        ("proxy", proxy_before, proxy_after),
    ):
        if now.descriptors > was.descriptors + _MORE_DESCRIPTORS:
            problems.append(f"the {name} keeps descriptors: {was.descriptors}, {now.descriptors}")
        if now.pss_mib > was.pss_mib + _MORE_MIB:
            problems.append(f"the {name} grows: {was.pss_mib:.1f} MiB, {now.pss_mib:.1f} MiB")
    return values, problems


def _settle(run_by: Executor) -> None:
    """Waits until containers have expired, and those in advance are there again."""
    run_by.until(lambda state: state["containers"] == 0 and state["warm"] > 1)


def _settled(run_by: Executor, before: Holdings) -> Holdings:
    """Looks until it is as before: the last containers have gone, and are still taken down."""
    deadline = time.monotonic() + _END_SECONDS
    while (now := Holdings.of(run_by.pid)).descriptors > before.descriptors:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return now


def _say(text: str) -> None:
    """Progress, on stderr: stdout is the table."""
    print(f"bench: {text} (load {load_average()})", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
