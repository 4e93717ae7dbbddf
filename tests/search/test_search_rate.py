"""The limit of searches per minute of each key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.search.rate import SearchRate


def test_a_burst_and_then_the_pace():
    rate = SearchRate(3)
    assert [rate.take("a", 0.0) for _ in range(4)] == [0, 0, 0, 20]
    assert rate.take("b", 0.0) == 0, "each key has its own"
    assert rate.take("a", 19.0) == pytest.approx(1)
    assert rate.take("a", 20.0) == 0
    assert rate.take("a", 20.0) == pytest.approx(20)
    assert [rate.take("a", 100.0) for _ in range(4)] == [0, 0, 0, 20]


def test_zero_is_no_limit():
    rate = SearchRate(0)
    assert {rate.take("a", 0.0) for _ in range(1000)} == {0.0}
    assert not rate._drawn


@given(st.integers(1, 90), st.lists(st.floats(0, 30), max_size=200))
def test_no_minute_has_more_than_two_limits_and_who_waits_gets_one(limit, pauses):
    rate, now, taken = SearchRate(limit), 0.0, []
    for pause in pauses:
        now += pause
        wait = rate.take("a", now)
        if wait:
            now += wait + 1e-4
            assert rate.take("a", now) == 0, "as long as it was told"
        taken.append(now)
        assert len([at for at in taken if at > now - 60]) <= 2 * limit


def test_what_is_remembered_is_bounded():
    rate = SearchRate(1)
    for key in range(10_050):
        rate.take(str(key), 0.0)
    assert len(rate._drawn) == 10_000
