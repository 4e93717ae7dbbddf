"""The allowance of refusals without a key: a flood is cut, and what comes after it is not."""

from __future__ import annotations

from anthropic_bedrock_proxy.telemetry.request_log.allowance import BURST, KeylessAllowance


def test_many_at_once_are_noted_and_then_one_a_second():
    allowance = KeylessAllowance()
    assert sum(allowance.take(50.0) for _ in range(10 * BURST)) == BURST
    assert not allowance.take(50.9)
    assert sum(allowance.take(60.0 + step / 1000) for step in range(20_000)) == 29
    assert sum(allowance.take(10 * BURST) for _ in range(10 * BURST)) == BURST


def test_moments_that_come_in_another_order_add_nothing():
    allowance = KeylessAllowance()
    for number in range(10 * BURST):
        allowance.take(50.0 - number % 2)
    assert not any(allowance.take(50.0 - number % 2) for number in range(BURST))
