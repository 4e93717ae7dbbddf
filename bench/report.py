"""`python -m bench.report`: writes the figures of bench/results into the pages of `PAGES`.

bench/results keeps what the benches said with `--json`, as they said it. The pages have prose, and
tables between `<!-- table: NAME -->` and `<!-- end -->`, which this module alone writes: none of
their figures is copied by hand.

What a request costs, worked through: 200 us of CPU on a vCPU that is used to 60 % serve 3,000
requests a second, or 10.8 million an hour. An hour of a vCPU with 2 GB on Fargate (ARM) is 0.0395
dollars, so a dollar pays for 273 million requests.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from .table import Row

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "bench/results"
PAGES: Final = ("docs/performance.md", "docs/costs.md")
_HOURS_A_MONTH: Final = 730
_T = TypeVar("_T")


class Machine(msgspec.Struct, frozen=True):
    """What AWS takes for a machine, USD; the price of memory is in it."""

    name: str
    vcpus: float
    hour: float


class Gateway(msgspec.Struct, frozen=True):
    """What a gateway needs for a request, and where that was measured."""

    name: str
    cpu_us: float
    source: str


class Costs(msgspec.Struct, frozen=True):
    """The assumptions of docs/costs.md (bench/results/costs.json)."""

    used: float  # part of a vCPU that may be used, so that peaks find room
    machines: list[Machine]
    gateways: list[Gateway]  # beside those of the benches
    loads: list[int]  # requests a second, all day


class Results(msgspec.Struct, frozen=True):
    """What a bench wrote with `--json`, as far as pages show it."""

    rows: list[Row]


def read(name: str, kind: type[_T]) -> _T:
    """Returns a file of bench/results, decoded."""
    return msgspec.json.decode((RESULTS / f"{name}.json").read_bytes(), type=kind)


def tables() -> dict[str, str]:
    """Returns the tables by their names in the pages."""
    bench, peers, costs = read("bench", Results), read("peers", Results), read("costs", Costs)
    gateways = [*_measured(bench, peers), *costs.gateways]
    return {
        "bench": _of_rows(bench.rows, targets=True),
        "peers": _of_rows(peers.rows, targets=False),
        "per-dollar": _markdown(
            ["gateway", "CPU per request, us", *(one.name for one in costs.machines), "source"],
            [
                [
                    one.name,
                    f"{one.cpu_us:,.0f}",
                    *(
                        f"{per_dollar(one, machine, costs) / 1e6:,.2f}"
                        for machine in costs.machines
                    ),
                    one.source,
                ]
                for one in gateways
            ],
        ),
        "per-month": _markdown(
            ["gateway", *(f"{load:,} requests a second" for load in costs.loads)],
            [[one.name, *(_monthly(one, load, costs) for load in costs.loads)] for one in gateways],
        ),
    }


def _measured(bench: Results, peers: Results) -> list[Gateway]:
    """Returns the gateways of the benches: ours at its dearest, the others as they come."""
    ours = next(row for row in bench.rows if row.name.startswith("CPU per request, 2 KB"))
    others = next(row for row in peers.rows if row.name.startswith("CPU per request"))
    dearest = max(value for value in ours.values.values() if isinstance(value, float))
    found = [Gateway("this proxy", dearest, "bench.json")]
    for name, value in others.values.items():
        if isinstance(value, float) and name != "this proxy":
            found.append(Gateway(name, value, "peers.json"))
    return found


def per_dollar(gateway: Gateway, machine: Machine, costs: Costs) -> float:
    """Returns the requests that a dollar's worth of a machine serves."""
    return 3600 * machine.vcpus * costs.used * 1e6 / gateway.cpu_us / machine.hour


def _monthly(gateway: Gateway, load: int, costs: Costs) -> str:
    """Returns a month's dollars: of the first machine as many as the load needs, at least two."""
    machine = costs.machines[0]
    needed = load * gateway.cpu_us / 1e6 / costs.used / machine.vcpus
    count = max(2, math.ceil(needed))
    return f"{count * machine.hour * _HOURS_A_MONTH:,.0f} ({count})"


def _of_rows(rows: Sequence[Row], *, targets: bool) -> str:
    columns = list(rows[0].values)
    head = ["what", "unit", *(["target"] if targets else []), *columns]
    return _markdown(
        head,
        [
            [
                row.name.replace("  ", "\N{NO-BREAK SPACE}" * 2),
                row.unit,
                *([row.target] if targets else []),
                *(f"{row.text(column)}{_missed(row, column)}" for column in columns),
            ]
            for row in rows
        ],
    )


def _missed(row: Row, column: str) -> str:
    return " (missed)" if row.verdict(column) == "missed" else ""


def _markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def written(text: str, made: dict[str, str]) -> str:
    """Returns a page with its tables made anew. Raises `KeyError` for one that nobody makes."""
    return re.sub(
        r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}{made[found[2]]}\n{found[3]}",
        text,
        flags=re.DOTALL,
    )


def main() -> int:
    """Writes the pages; returns the exit code."""
    made = tables()
    for name in PAGES:
        page = ROOT / name
        page.write_text(written(page.read_text(), made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
