"""Odd items of the predecessor: by hand, by old versions, by nobody knows whom."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.store.base.ledger import Account
from anthropic_bedrock_proxy.store.dynamodb import legacy

SECRET = "sk-00000000000000000000000000000001"
ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=True)
    | st.text()
    | st.binary()
)
KEY_FIELDS = (
    *("user_id", "name", "created_at", "is_active", "rate_limit", "service_tier", "owner_name"),
    *("monthly_budget", "budget_used", "budget_used_mtd", "budget_mtd_month", "budget_history"),
    *("deactivated_reason", "tpm_limit", "cache_ttl", "updated_at"),
)
ROW_FIELDS = (
    *("request_id", "model", "input_tokens", "output_tokens", "cached_tokens", "success"),
    *("cache_write_input_tokens", "cache_ttl"),
)
PRICE_FIELDS = ("input_price", "output_price", "cache_read_price", "status", "updated_at")


@given(st.dictionaries(st.sampled_from(KEY_FIELDS), ANYTHING))
def test_no_item_of_a_key_is_too_odd(fields):
    item = {"api_key": SECRET, **fields}
    key = legacy.key_of(item)
    assert key.id == legacy.key_id_of(SECRET)
    assert key.is_active == (
        fields.get("is_active") is True or fields.get("deactivated_reason") == "budget_exceeded"
    )
    assert all(spent > 0 for _, spent in legacy.spending_of_key(item))


@given(st.dictionaries(st.sampled_from(ROW_FIELDS), ANYTHING), st.text(), st.booleans())
def test_no_usage_row_and_no_price_is_too_odd(fields, timestamp, active):
    row = {"api_key": SECRET, "timestamp": timestamp, **fields}
    assert legacy.usage_of(row, "key_1").key_id == "key_1"
    price = legacy.price_of({"model_id": "m", **fields, "status": "active" if active else "off"})
    assert price is None, "no amounts"


@given(st.dictionaries(st.sampled_from(PRICE_FIELDS), ANYTHING))
def test_no_price_is_too_odd(fields):
    price = legacy.price_of({"model_id": "us.a.b", **fields})
    assert price is None or (price.model, price.input_nano >= 0) == ("a.b", True)


@pytest.mark.parametrize(
    ("dollars", "expected"),
    [
        (Decimal("32.11"), 32_110_000_000),
        (0.1, 100_000_000),
        ("5", 5 * 10**9),
        (0, 0),
        (-3, 0),
        (None, None),
        (True, None),
        ("much", None),
        (Decimal("NaN"), None),
        (Decimal("Infinity"), None),
    ],
)
def test_dollars_are_exact_nano_dollars_or_nothing(dollars, expected):
    assert legacy.nano(dollars) == expected


def test_the_running_month_stands_over_its_history():
    item = {
        "api_key": SECRET,
        "budget_history": '{"2026-10": 1.5, "2026-11": 9, "2026-08": 0}',
        "budget_mtd_month": "2026-11",
        "budget_used_mtd": Decimal("2.25"),
    }
    owner = f"key:{legacy.key_id_of(SECRET)}"
    assert dict(legacy.spending_of_key(item)) == {
        Account(owner, "2026-10"): 1_500_000_000,
        Account(owner, "2026-11"): 2_250_000_000,
    }


@pytest.mark.parametrize(
    ("model_id", "expected"),
    [
        ("us.anthropic.claude-x", "anthropic.claude-x"),
        ("global.anthropic.claude-x", "anthropic.claude-x"),
        ("us-gov.anthropic.claude-x", "anthropic.claude-x"),
        ("anthropic.claude-x", "anthropic.claude-x"),
        ("minimax.minimax-m2", "minimax.minimax-m2"),
        ("us.", "us."),
        ("us", "us"),
    ],
)
def test_prices_are_of_models_without_a_profile(model_id, expected):
    assert legacy.without_profile(model_id) == expected
