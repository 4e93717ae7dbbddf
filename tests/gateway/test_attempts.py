"""Buckets of tries by address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.gateway.admission.attempts import Attempts


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "", True),
        ("proxy", "other", False),
    ],
)
def test_what_counts_as_one_address(one, other, same):
    attempts = Attempts(burst=1)
    assert attempts.take(one, 0.0) == 0
    assert (attempts.take(other, 0.0) > 0) == same


def test_the_memory_is_bounded_and_full_buckets_go_first():
    attempts = Attempts(burst=2, per_second=1.0, capacity=10)
    for number in range(10):
        attempts.take(f"{number}", 0.0)
    attempts.take("busy", 0.9)
    attempts.take("busy", 1.0)
    for number in range(100):
        attempts.take(f"later {number}", 1.5)
        assert len(attempts) <= 10
    attempts = Attempts(burst=2, per_second=1.0, capacity=10)
    attempts.take("busy", 0.0)
    attempts.take("busy", 0.0)
    for number in range(9):
        attempts.take(f"{number}", 0.0)
    attempts.take("another", 1.5)
    assert attempts.take("busy", 1.5) == 0
    assert attempts.take("busy", 1.5) > 0


def test_what_is_given_back_to_somebody_forgotten_is_nothing():
    attempts = Attempts(burst=1)
    attempts.give_back("a")
    assert len(attempts) == 0


@given(st.lists(st.floats(0, 3), max_size=60))
def test_no_more_than_the_burst_and_the_rate_pass(pauses):
    attempts, now, passed = Attempts(burst=5, per_second=2.0), 0.0, 0
    for pause in pauses:
        now += pause
        wait = attempts.take("a", now)
        passed += wait == 0
        assert wait <= 0.5 + 1e-9
        assert passed <= 5 + 2 * now + 1e-6
    assert attempts.take("a", now + 0.5 + 1e-6) == 0
