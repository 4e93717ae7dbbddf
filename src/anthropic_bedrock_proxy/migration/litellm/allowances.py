"""Budgets and limits of LiteLLM's keys, users and teams, in the fields of ours.

A budget of another length than a day, a month or for ever becomes the next longer one of the same
amount: nobody may spend more by it than before. 29 and 31 days become a calendar month.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

from ..plan import MigrationError, MigrationPlan
from ..shape import amount, is_empty, mapping, text, whole, without_zeros

_DURATION: Final = re.compile(r"([0-9]{1,9})(s|m|h|d|w|mo|y)")
_SECONDS: Final = {
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86_400,
    "w": 604_800,
    "mo": 2_592_000,
    "y": 31_536_000,
}
_DAY: Final = _SECONDS["d"]
_MONTH: Final = 31 * _DAY
# Whose length is that of ours; LiteLLM begins 30d on the first of a month.
_EXACT: Final = {"1d": "daily", "24h": "daily", "30d": "monthly", "1mo": "monthly"}
_WORDS: Final = {"daily": "a day", "monthly": "a month", "total": "for all time"}
_FINEST: Final = Decimal(1).scaleb(-9)
_LIMITS: Final = {
    "rpm_limit": "rate_limit",
    "tpm_limit": "tpm_limit",
    "max_parallel_requests": "concurrency_limit",
}
# The fields that this module reads.
READ: Final = (
    *_LIMITS,
    "max_budget",
    "budget_duration",
    "spend",
    "litellm_budget_table",
    "budget_id",
)


def read_allowance(row: Mapping[str, Any], place: str, plan: MigrationPlan) -> dict[str, Any]:
    """Returns the fields of a body. Raises `MigrationError`.

    A row may share a budget with others, which has limits too: of two alike the lower counts.
    """
    shared_place = f"{place}.litellm_budget_table"
    shared = mapping(row.get("litellm_budget_table"), shared_place)
    body: dict[str, Any] = {}
    for values, where in ((row, place), (shared, shared_place)):
        found = _limits(values, where, plan)
        if values.get("max_budget") is not None:
            found |= _budget(values, row.get("spend"), where, plan)
        for field, value in found.items():
            body[field] = min(value, body.get(field, value))
    return body


def _limits(values: Mapping[str, Any], place: str, plan: MigrationPlan) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in _LIMITS.items():
        if values.get(name) is None:
            continue
        limit = whole(values[name], f"{place}.{name}")
        found[field] = max(limit, 1)
        if limit == 0:
            plan.differ(
                f"{place}.{name}",
                "0 let nothing through, and the least limit here is 1",
                "it is blocked, and has to be given a limit before it is activated",
            )
            found["is_active"] = False
    return found


def _budget(
    values: Mapping[str, Any], spend: object, place: str, plan: MigrationPlan
) -> dict[str, Any]:
    most = _rounded(amount(values["max_budget"], f"{place}.max_budget"), ROUND_FLOOR)
    duration = values.get("budget_duration")
    if is_empty(duration):
        spent = _rounded(amount(spend or 0, f"{place}.spend"), ROUND_CEILING)
        if spent:
            plan.differ(
                f"{place}.spend",
                f"{spent:f} USD of {most:f} were spent, and here counting begins at 0",
                "the budget for all time is what was left",
            )
        return {"total_budget_usd": max(most - spent, Decimal(0))}
    where = f"{place}.budget_duration"
    period = _period(text(duration, where), where)
    if text(duration, where) not in _EXACT:
        plan.differ(
            where,
            f"there is no budget for {duration}",
            f"it becomes {most:f} USD {_WORDS[period]}: change it if need be",
        )
    return {f"{period}_budget_usd": most}


def _rounded(usd: Decimal, rounding: str) -> Decimal:
    """Rounds to what we count in; LiteLLM counts in binary fractions."""
    return without_zeros(usd.quantize(_FINEST, rounding))


def _period(duration: str, place: str) -> str:
    if duration in _EXACT:
        return _EXACT[duration]
    match = _DURATION.fullmatch(duration)
    if match is None:
        raise MigrationError(f"{place}: expected a duration, such as 30d")
    seconds = int(match[1]) * _SECONDS[match[2]]
    return "daily" if seconds <= _DAY else "monthly" if seconds <= _MONTH else "total"
