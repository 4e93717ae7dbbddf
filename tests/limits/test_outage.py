"""Outages on a clock of their own: how long Redis is left alone, and what makes two of one."""

from __future__ import annotations

from itertools import pairwise

from clocks import Clock
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.limits.outage import LONGEST_PAUSE, STEADY_SECONDS, RedisOutage


def tried_again(outage, clock):
    """How long it was left alone until it is due."""
    began = clock.now
    while not outage.due():
        clock.now += 0.05
    return round(clock.now - began, 1)


def test_pauses_double_up_to_five_seconds():
    clock = Clock()
    outage = RedisOutage(clock)
    assert not outage.due()
    pauses = []
    for _ in range(9):
        outage.fail()
        pauses.append(tried_again(outage, clock))
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5]


def test_a_failure_on_trial_belongs_to_the_same_outage():
    clock = Clock()
    outage = RedisOutage(clock)
    assert outage.fail()
    assert outage.away
    for _ in range(9):
        outage.answer()
        assert not outage.away
        clock.now += STEADY_SECONDS / 2
        assert not outage.fail()
    assert tried_again(outage, clock) == LONGEST_PAUSE
    outage.answer()
    assert tried_again(outage, clock) == STEADY_SECONDS
    outage.end()
    assert not outage.due()
    assert outage.fail(), "another one"
    assert tried_again(outage, clock) == 0.1


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=200))
def test_outages_begin_seldom_however_a_server_flaps(history):
    """Whatever answers and fails when: told in turns, no two beginnings within the steady time."""
    clock = Clock()
    outage = RedisOutage(clock)
    told = []
    for seconds, works in history:
        clock.now += seconds
        if outage.away and not outage.due():
            continue  # not asked
        if not works:
            if outage.fail():
                told.append(("lost", clock.now))
        elif outage.away:
            outage.answer()
        elif outage.due():
            outage.end()
            told.append(("again", clock.now))
    assert [what for what, _ in told] == ["lost", "again"] * (len(told) // 2) + ["lost"] * (
        len(told) % 2
    )
    begun = [when for what, when in told if what == "lost"]
    assert all(after - before >= STEADY_SECONDS for before, after in pairwise(begun))
