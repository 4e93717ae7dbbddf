"""The words of `prices sync`: what a price list changes, and what of it was left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..admin.call import counts
from .values import usd_text


def lines_of(report: Mapping[str, Any]) -> Iterator[str]:
    """Yields the lines: rows that come, change and go; what was left out; how many there are."""
    for row in report["new"]:
        yield f"new      {_name(row)}"
    for row in report["changed"]:
        cells = (
            f"{name} {usd_text(cell['was_usd'])} -> {usd_text(cell['is_usd'])}"
            for name, cell in row["cells"].items()
        )
        yield f"changed  {_name(row)}: {', '.join(cells)}"
    for row in report["gone"]:
        yield f"gone     {_name(row)}"
    for reason, count in report["skipped"].items():
        examples = ", ".join(report["examples"].get(reason, ()))
        yield f"left out {count}: {reason}{f' (such as {examples})' if examples else ''}"
    stored = "stored" if report["stored"] else "nothing was stored"
    yield f"{report['rows']} rows of {report['source']}: {counts(report)}; {stored}"


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['model']} {row['place']}".rstrip()
