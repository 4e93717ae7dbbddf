"""Sums of usage and of money, for stores and reports. Pure.

A cost of None means that nothing in the group is priced; a cost of 0 is a price of 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from .base.ledger import DAY_MS, TOTAL, Account, owners_of
from .base.usage import UsageRecord, UsageTotal

# The columns that sums may be grouped by, in the order of sorting.
COLUMNS = ("day", "key_id", "user_id", "team_id", "model")
# The counts of one sum beside its columns and cost, in the order of `UsageTotal`.
COUNTED = tuple(
    field for field in UsageTotal.__struct_fields__ if field not in {*COLUMNS, "cost_nano"}
)

Group = tuple[str | None, str | None, str | None, str | None, str | None]  # values of `COLUMNS`

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).date()
_costs = attrgetter("cost_nano")
# Columns of a record that are simply added up, each with its getter. `sum(map(getter, records))`
# runs without a step of the interpreter per record, and every request is summed once.
_ADDED = tuple(
    (field, attrgetter(field))
    for field in (
        "estimated",
        "disconnected",
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "cache_creation_5m_input_tokens",
        "cache_creation_1h_input_tokens",
        "web_search_requests",
        "web_fetch_requests",
        "code_execution_requests",
    )
)
_get_columns = attrgetter(*COLUMNS)


def checked_columns(by: Sequence[str]) -> Sequence[str]:
    """Returns `by`. Raises `ValueError` unless every column can be grouped by."""
    if unknown := set(by) - set(COLUMNS):
        raise ValueError(f"usage is not grouped by {', '.join(sorted(unknown))}")
    return by


def sums_of(records: Iterable[UsageRecord]) -> dict[Group, UsageTotal]:
    """Sums `records` by day, key, user, team and model, the finest groups that there are."""
    groups: dict[tuple[int, str, str | None, str | None, str], list[UsageRecord]] = {}
    for record in records:
        group = (
            record.at_ms // DAY_MS,
            record.key_id,
            record.user_id,
            record.team_id,
            record.model,
        )
        if group in groups:
            groups[group].append(record)
        else:
            groups[group] = [record]
    sums: dict[Group, UsageTotal] = {}
    for (days, key_id, user_id, team_id, model), members in groups.items():
        day = (_EPOCH + timedelta(days=days)).isoformat()
        costs = [cost for cost in map(_costs, members) if cost is not None]
        sums[day, key_id, user_id, team_id, model] = UsageTotal(
            day=day,
            key_id=key_id,
            user_id=user_id,
            team_id=team_id,
            model=model,
            requests=len(members),
            errors=sum(record.error is not None for record in members),
            unpriced=len(members) - len(costs),
            cost_nano=sum(costs),
            **{field: sum(map(get, members)) for field, get in _ADDED},
        )
    return sums


def spending_of(records: Iterable[UsageRecord]) -> dict[Account, int]:
    """Returns what `records` spend from accounts of keys, users and teams, in nano-dollars.

    Accounts from which nothing is spent are left out.
    """
    return spending_of_sums(sums_of(records).values())


def spending_of_sums(sums: Iterable[UsageTotal]) -> dict[Account, int]:
    """Returns the same as `spending_of`, from sums that have a day, a key, a user and a team."""
    spent: dict[tuple[str, str], int] = {}
    for total in sums:
        if total.cost_nano and total.day is not None and total.key_id is not None:
            for owner in owners_of(total.key_id, total.user_id, total.team_id):
                for period in (total.day[:7], total.day, TOTAL):
                    spent[owner, period] = spent.get((owner, period), 0) + total.cost_nano
    return {Account(owner, period): nano for (owner, period), nano in spent.items()}


def sum_by(
    by: Sequence[str],
    sums: Iterable[UsageTotal],
    *,
    since: str | None = None,
    until: str | None = None,
    key_id: str | None = None,
) -> list[UsageTotal]:
    """Adds up sums that have every column, grouped by `by` and sorted; see `UsageLog.totals`."""
    checked_columns(by)
    groups: dict[Group, list[UsageTotal]] = {}
    for total in sums:
        day = total.day or ""
        if (
            (since is None or day >= since)
            and (until is None or day < until)
            and (key_id is None or total.key_id == key_id)
        ):
            groups.setdefault(_group(by, total), []).append(total)
    return [
        add(totals, **dict(zip(COLUMNS, group, strict=True)))
        for group, totals in sorted(groups.items(), key=lambda item: [c or "" for c in item[0]])
    ]


def _group(by: Sequence[str], total: UsageTotal) -> Group:
    day, key_id, user_id, team_id, model = _get_columns(total)
    return (
        day if "day" in by else None,
        key_id if "key_id" in by else None,
        user_id if "user_id" in by else None,
        team_id if "team_id" in by else None,
        model if "model" in by else None,
    )


def add(
    totals: Iterable[UsageTotal],
    *,
    day: str | None = None,
    key_id: str | None = None,
    user_id: str | None = None,
    team_id: str | None = None,
    model: str | None = None,
) -> UsageTotal:
    """Adds up totals to one, under the columns that they share."""
    totals = list(totals)
    return UsageTotal(
        day=day,
        key_id=key_id,
        user_id=user_id,
        team_id=team_id,
        model=model,
        cost_nano=sum(total.cost_nano for total in totals),
        **{field: sum(map(attrgetter(field), totals)) for field in COUNTED},
    )
