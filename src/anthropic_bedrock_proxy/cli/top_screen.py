"""The screen of `top`, drawn with rich."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .terminal import printable
from .top_figures import Figures

_MOST_MODELS = 12


def screen(url: str, shown: Figures) -> RenderableType:
    """Returns the whole screen."""
    parts: list[RenderableType] = [_summary(shown), _models(shown)]
    for what, targets in (
        ("left alone after failures", shown.left_alone),
        ("tried again after failures", shown.tried_again),
    ):
        if targets:
            parts.append(Text(printable(f"{what}: {', '.join(targets)}"), "yellow"))
    if shown.undelivered:
        parts.append(Text(f"usage that the store has not got: {shown.undelivered:.0f}", "yellow"))
    if shown.problem:
        parts.append(Text(printable(shown.problem), "bold red"))
    return Panel(
        Group(*parts),
        title=Text(printable(f"anthropic-bedrock-proxy at {url}")),
        subtitle="Ctrl-C ends",
    )


def _summary(shown: Figures) -> Table:
    table = Table.grid(padding=(0, 3))
    errors = ", ".join(f"{status}: {rate:.2f}/s" for status, rate in sorted(shown.errors.items()))
    rows = (
        ("requests", f"{shown.requests:.2f}/s", "in flight", f"{shown.in_flight:.0f}"),
        ("errors", errors or "none", "workers", f"{shown.workers:.0f}"),
        (
            "latency",
            "  ".join(
                f"{name} {_seconds(value)}"
                for name, value in (
                    ("p50", shown.latency_p50),
                    ("p95", shown.latency_p95),
                    ("p99", shown.latency_p99),
                )
            ),
            "CPU",
            f"{shown.cpu:.2f} cores",
        ),
        (
            "first token",
            f"p50 {_seconds(shown.first_token_p50)}",
            "memory",
            f"{shown.memory_bytes / 2**20:.0f} MiB",
        ),
        (
            "overhead",
            f"p99 {_seconds(shown.overhead_p99)}",
            "sandboxes",
            f"{shown.sessions:.0f}",
        ),
        (
            "tokens",
            "  ".join(f"{kind} {rate:.0f}/s" for kind, rate in sorted(shown.tokens.items())),
            "cost",
            f"${shown.usd_per_hour:.2f}/h, ${shown.usd_total:.4f} so far",
        ),
    )
    for name, value, other, state in rows:
        table.add_row(
            Text(name, "bold"), Text(printable(value)), Text(other, "bold"), Text(printable(state))
        )
    return table


def _models(shown: Figures) -> Table:
    table = Table(box=None, padding=(0, 2))
    table.add_column("model")
    for name in ("requests/s", "tokens/s", "USD/h"):
        table.add_column(name, justify="right")
    busiest = sorted(shown.models.items(), key=lambda one: -one[1]["requests"])
    for model, rates in busiest[:_MOST_MODELS]:
        table.add_row(
            Text(printable(model)),
            f"{rates['requests']:.2f}",
            f"{rates['tokens']:.0f}",
            f"{rates['usd_per_hour']:.2f}",
        )
    return table


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"
