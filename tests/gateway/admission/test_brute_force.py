"""Buckets of tries by address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.gateway.admission.brute_force import BruteForceGuard


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
    attempts = BruteForceGuard(burst=1)
    attempts.count(one, 0.0)
    assert attempts.wait(one, 0.0) > 0
    assert (attempts.wait(other, 0.0) > 0) == same


def test_the_memory_is_bounded_and_full_buckets_go_first():
    attempts = BruteForceGuard(burst=2, per_second=1.0, capacity=10)
    for _ in range(9):
        attempts.count("busy", 0.0)
    for number in range(9):
        attempts.count(f"{number}", 0.0)
    attempts.count("another", 1.5)
    assert attempts.wait("busy", 1.5) > 0
    assert len(attempts) == 2
    for number in range(100):
        attempts.count(f"later {number}", 1.5)
        assert len(attempts) <= 10


@given(st.lists(st.floats(0, 3), max_size=60))
def test_no_more_than_the_burst_and_the_rate_pass(pauses):
    attempts, now, passed = BruteForceGuard(burst=5, per_second=2.0), 0.0, 0
    for pause in pauses:
        now += pause
        wait = attempts.wait("a", now)
        if not wait:
            passed += 1
            attempts.count("a", now)
        assert wait <= 0.5 + 1e-9
        assert passed <= 5 + 2 * now + 1e-6
    assert attempts.wait("a", now + 0.5 + 1e-6) == 0
