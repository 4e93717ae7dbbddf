"""Sums are the same whichever way they are put together, and money is spent once per owner."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.store.base.ledger import Account
from anthropic_bedrock_proxy.store.base.usage import UsageRecord, UsageTotal
from anthropic_bedrock_proxy.store.totals import (
    COLUMNS,
    COUNTED,
    add,
    checked_columns,
    spending_of,
    sum_by,
    sums_of,
)

DAY_MS = 86_400_000
NOVEMBER_30 = 1_795_996_800_000
NAMES = st.sampled_from([None, "a", "b"])

RECORDS = st.lists(
    st.builds(
        UsageRecord,
        id=st.uuids().map(str),
        key_id=st.sampled_from(["k", "l"]),
        at_ms=st.integers(NOVEMBER_30 - DAY_MS, NOVEMBER_30 + 2 * DAY_MS),
        model=st.sampled_from(["m", "n"]),
        bedrock_model_id=st.just("b"),
        dialect=st.just("invoke"),
        input_tokens=st.integers(0, 2**53 - 1),
        output_tokens=st.integers(0, 9),
        error=st.sampled_from([None, "api_error"]),
        estimated=st.booleans(),
        disconnected=st.booleans(),
        cost_nano=st.none() | st.integers(0, 9),
        user_id=NAMES,
        team_id=NAMES,
        web_search_requests=st.integers(0, 2),
    ),
    max_size=12,
)


def record(identity: str = "1", **fields) -> UsageRecord:
    return UsageRecord(
        **{"id": identity, "key_id": "k", "at_ms": NOVEMBER_30, "model": "m"}
        | {"bedrock_model_id": "b", "dialect": "invoke"}
        | fields
    )


@given(RECORDS)
def test_sums_lose_and_invent_nothing(records):
    sums = sums_of(records)
    for group, total in sums.items():
        assert group == tuple(getattr(total, column) for column in COLUMNS)
    total = add(sums.values())
    assert total.requests == len(records)
    assert total.errors == sum(r.error is not None for r in records)
    assert total.unpriced == sum(r.cost_nano is None for r in records)
    for field in set(COUNTED) - {"requests", "errors", "unpriced"}:
        assert getattr(total, field) == sum(getattr(r, field) for r in records)
    costs = [r.cost_nano for r in records if r.cost_nano is not None]
    assert total.cost_nano == sum(costs)


@given(RECORDS, st.sets(st.sampled_from(COLUMNS)))
def test_grouping_by_less_is_adding_up_what_grouping_by_more_gave(records, by):
    finest = sum_by(COLUMNS, sums_of(records).values())
    coarse = sum_by(tuple(by), finest)
    assert add(coarse) == add(finest)
    groups = [tuple(getattr(total, column) or "" for column in COLUMNS) for total in coarse]
    assert groups == sorted(set(groups))
    assert sum_by(tuple(by), coarse) == coarse


@given(RECORDS)
def test_every_owner_spends_all_of_it_in_every_period(records):
    spending = spending_of(records)
    assert all(nano > 0 for nano in spending.values())
    for r in records:
        if r.cost_nano:
            day = datetime.fromtimestamp(r.at_ms // 1000, UTC).date().isoformat()
            for owner in (f"key:{r.key_id}", f"user:{r.user_id}", f"team:{r.team_id}"):
                for period in (day[:7], day, "total"):
                    known = Account(owner, period) in spending
                    assert known == (not owner.endswith(":None"))
    for period in ("total", "month"):
        for kind, of in [("key", "key_id"), ("user", "user_id"), ("team", "team_id")]:
            spent = sum(
                nano
                for account, nano in spending.items()
                if account.owner.startswith(f"{kind}:")
                and (account.period == "total" if period == "total" else len(account.period) == 7)
            )
            assert spent == sum(r.cost_nano or 0 for r in records if getattr(r, of) is not None)


def test_days_and_months_are_those_of_utc():
    records = [
        record("1", at_ms=NOVEMBER_30 + DAY_MS - 1, cost_nano=1),
        record("2", at_ms=NOVEMBER_30 + DAY_MS, cost_nano=2),
    ]
    assert [total.day for total in sums_of(records).values()] == ["2026-11-30", "2026-12-01"]
    assert spending_of(records) == {
        Account("key:k", "2026-11"): 1,
        Account("key:k", "2026-11-30"): 1,
        Account("key:k", "2026-12"): 2,
        Account("key:k", "2026-12-01"): 2,
        Account("key:k", "total"): 3,
    }


def test_the_range_of_days_includes_its_beginning_and_not_its_end():
    sums = sums_of([record(str(n), at_ms=NOVEMBER_30 + n * DAY_MS) for n in range(3)]).values()
    days = sum_by(("day",), sums, since="2026-11-30", until="2026-12-02", key_id="k")
    assert [total.day for total in days] == ["2026-11-30", "2026-12-01"]
    assert sum_by(("day",), sums, key_id="l") == []


def test_nothing_is_nothing():
    assert sums_of([]) == {}
    assert spending_of([]) == {}
    assert add([]) == UsageTotal()
    assert sum_by((), []) == []


def test_only_columns_of_sums_can_be_grouped_by():
    assert checked_columns(COLUMNS) == COLUMNS
    with pytest.raises(ValueError, match="dialect, place"):
        checked_columns(("day", "place", "dialect"))
