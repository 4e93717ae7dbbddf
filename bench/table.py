"""Rows with targets, and the one table that they make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

_Cell = float | str | None


class Row(msgspec.Struct):
    """One line: what was measured, what it should be, and a value for each column.

    `limit` is the target as a number, None for a row that is only there to be read. A value that
    is text says why there is no number.
    """

    name: str
    unit: str
    values: dict[str, _Cell]
    limit: float | None = None
    at_least: bool = False  # the limit is a floor, not a ceiling
    limits: dict[str, float] = {}  # where columns have different targets
    digits: int = 0

    def verdict(self, column: str) -> str:
        """`ok`, `missed`, or nothing where there is no target or no number."""
        value, limit = self.values.get(column), self.limits.get(column, self.limit)
        if limit is None or not isinstance(value, float | int):
            return ""
        met = value >= limit if self.at_least else value <= limit
        return "ok" if met else "missed"

    @property
    def target(self) -> str:
        """The limit for people."""
        sign = ">=" if self.at_least else "<="
        if self.limits:
            return f"{sign} " + " / ".join(f"{limit:g}" for limit in self.limits.values())
        return "" if self.limit is None else f"{sign} {self.limit:g}"

    def text(self, column: str) -> str:
        """One value for people."""
        value = self.values.get(column)
        if value is None:
            return "-"
        return value if isinstance(value, str) else f"{value:,.{self.digits}f}"


def render(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """The table, aligned, with a verdict beside each value."""
    judged = any(row.verdict(column) for row in rows for column in columns)
    head = ["what", "unit", *(["target"] if judged else [])]
    lines = [[*head, *_with_verdicts(columns, ("" for _ in columns), judged=judged)]]
    for row in rows:
        cells = [row.name, row.unit, *([row.target] if judged else [])]
        texts = [row.text(column) for column in columns]
        verdicts = (row.verdict(column) for column in columns)
        lines.append([*cells, *_with_verdicts(texts, verdicts, judged=judged)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rule = "  ".join("-" * width for width in widths)
    first_value = len(head)
    printed = [
        "  ".join(
            cell.rjust(width) if _is_value(i, first_value, judged=judged) else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([printed[0], rule, *printed[1:]])


def _with_verdicts(texts: Sequence[str], verdicts: Iterable[str], *, judged: bool) -> list[str]:
    if not judged:
        return list(texts)
    return [cell for pair in zip(texts, verdicts, strict=True) for cell in pair]


def _is_value(index: int, first_value: int, *, judged: bool) -> bool:
    return index >= first_value and not (judged and (index - first_value) % 2)
