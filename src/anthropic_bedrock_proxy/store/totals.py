"""Sums of usage. Pure: what a store without a query language, and a report's last line, need.

A cost of None means that nothing in the group is priced; it is not a cost of nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from .records import UsageRecord, UsageTotal

COLUMNS = ("day", "key_id", "model")  # what sums may be grouped by, in the order of sorting


def checked_columns(by: Sequence[str]) -> Sequence[str]:
    """`by`, if every column can be grouped by. Raises `ValueError` otherwise."""
    if unknown := set(by) - set(COLUMNS):
        raise ValueError(f"usage is not grouped by {', '.join(sorted(unknown))}")
    return by


def sum_by(by: Sequence[str], records: Iterable[UsageRecord]) -> list[UsageTotal]:
    """Sums of `records` grouped by `by`, sorted by day, key and model."""
    checked_columns(by)
    groups: dict[tuple[str | None, ...], list[UsageTotal]] = {}
    for record in records:
        total = _alone(record)
        group = tuple(getattr(total, column) if column in by else None for column in COLUMNS)
        groups.setdefault(group, []).append(total)
    return [
        add(totals, **dict(zip(COLUMNS, group, strict=True)))
        for group, totals in sorted(groups.items(), key=lambda item: [str(c) for c in item[0]])
    ]


def add(
    totals: Iterable[UsageTotal],
    *,
    key_id: str | None = None,
    model: str | None = None,
    day: str | None = None,
) -> UsageTotal:
    """One total for several, under the columns that they share."""
    totals = list(totals)
    costs = [total.cost_nano for total in totals if total.cost_nano is not None]
    return UsageTotal(
        key_id=key_id,
        model=model,
        day=day,
        requests=sum(total.requests for total in totals),
        errors=sum(total.errors for total in totals),
        input_tokens=sum(total.input_tokens for total in totals),
        output_tokens=sum(total.output_tokens for total in totals),
        cache_read_input_tokens=sum(total.cache_read_input_tokens for total in totals),
        cache_creation_input_tokens=sum(total.cache_creation_input_tokens for total in totals),
        cost_nano=sum(costs) if costs else None,
    )


def _alone(record: UsageRecord) -> UsageTotal:
    return UsageTotal(
        key_id=record.key_id,
        model=record.model,
        day=datetime.fromtimestamp(record.at_ms // 1000, UTC).date().isoformat(),
        requests=1,
        errors=int(record.error is not None),
        input_tokens=record.input_tokens,
        output_tokens=record.output_tokens,
        cache_read_input_tokens=record.cache_read_input_tokens,
        cache_creation_input_tokens=record.cache_creation_input_tokens,
        cost_nano=record.cost_nano,
    )
