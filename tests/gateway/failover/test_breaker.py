"""The breaker's rules one by one, then against a machine that tries everything."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from anthropic_bedrock_proxy.gateway.failover.breaker import Breaker

COOLDOWN = 30.0


@pytest.fixture
def breaker():
    return Breaker(failures=3, cooldown_seconds=COOLDOWN)


def fail(breaker, now=0.0, **more):
    return breaker.failed(breaker.begin(now), now, **more)


def opened(breaker, now=0.0):
    assert [fail(breaker, now) for _ in range(3)] == [False, False, True]
    return breaker


def test_it_opens_after_failures_in_a_row(breaker):
    fail(breaker)
    fail(breaker)
    breaker.succeeded(breaker.begin(0))
    opened(breaker)
    assert breaker.state == "open"
    assert breaker.begin(COOLDOWN - 0.1) is None
    assert breaker.wait_seconds(10) == 20


def test_one_probe_at_a_time_closes_it_again(breaker):
    opened(breaker)
    probe = breaker.begin(COOLDOWN)
    assert breaker.state == "half_open"
    assert breaker.begin(COOLDOWN) is None
    assert breaker.wait_seconds(COOLDOWN) == 0
    assert breaker.succeeded(probe)
    assert breaker.state == "closed"
    assert breaker.begin(COOLDOWN) == breaker.begin(COOLDOWN)


def test_a_failed_probe_opens_it_anew_at_once(breaker):
    opened(breaker)
    assert breaker.failed(breaker.begin(COOLDOWN), 40.0)
    assert not breaker.allows(40 + COOLDOWN - 0.1)
    assert breaker.allows(40 + COOLDOWN)


def test_an_abandoned_probe_makes_room_for_the_next(breaker):
    opened(breaker)
    breaker.abandoned(breaker.begin(COOLDOWN))
    assert breaker.state == "open"
    assert breaker.begin(COOLDOWN) is not None


def test_a_target_that_names_its_cooldown_gets_it_at_once(breaker):
    assert fail(breaker, cooldown_seconds=7.0, cause="throttling")
    assert breaker.cause == "throttling"
    assert breaker.wait_seconds(0) == 7


def test_what_was_begun_before_does_not_count_after(breaker):
    old = breaker.begin(0)
    opened(breaker)
    assert not breaker.failed(old, 25.0)
    assert breaker.wait_seconds(25) == 5
    probe = breaker.begin(COOLDOWN)
    assert not breaker.succeeded(old)
    breaker.abandoned(old)
    assert breaker.begin(COOLDOWN) is None
    assert breaker.succeeded(probe)
    breaker.abandoned(probe)
    assert breaker.state == "closed"


def test_abandoning_says_nothing_about_a_closed_breaker(breaker):
    fail(breaker)
    fail(breaker)
    breaker.abandoned(breaker.begin(0))
    assert fail(breaker)


def test_a_witness_counts_once_in_a_row(breaker):
    assert [fail(breaker, witness="a") for _ in range(9)] == [False] * 9
    assert [fail(breaker, witness=name) for name in "bc"] == [False, True]


def test_witnesses_and_failures_of_the_target_count_together(breaker):
    assert [fail(breaker, witness=name) for name in ("a", None, "a", None)] == [
        False,
        False,
        False,
        True,
    ]


def test_a_success_forgets_the_witnesses(breaker):
    fail(breaker, witness="a")
    fail(breaker, witness="b")
    breaker.succeeded(breaker.begin(0))
    assert [fail(breaker, witness=name) for name in "abc"] == [False, False, True]


class Attempts(RuleBasedStateMachine):
    """Attempts begin, end and are given up in any order while time goes by."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(failures=2, cooldown_seconds=10.0)
        self.running = []
        self.probe = None

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def begin(self):
        trips = self.breaker.state != "closed"
        allowed = self.breaker.allows(self.now)
        ticket = self.breaker.begin(self.now)
        assert (ticket is not None) == allowed
        if ticket is None:
            return
        if trips:
            assert self.probe is None, "two probes at once"
            self.probe = ticket
        self.running.append(ticket)

    def take(self, data):
        ticket = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        probed = ticket == self.probe
        if probed:
            self.probe = None
        return ticket, probed

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def succeed(self, data):
        ticket, probed = self.take(data)
        before = self.breaker.state
        assert self.breaker.succeeded(ticket) == probed
        assert self.breaker.state == ("closed" if probed else before)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), told=st.none() | st.floats(0.1, 60), who=st.sampled_from([None, *"ab"]))
    def fail(self, data, told, who):
        ticket, probed = self.take(data)
        before = self.breaker.state
        opened = self.breaker.failed(ticket, self.now, cooldown_seconds=told, witness=who)
        if probed:
            assert opened
        if opened:
            assert not self.breaker.allows(self.now)
            self.probe = None
        elif before != "closed":
            assert self.breaker.state == before

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def abandon(self, data):
        ticket, probed = self.take(data)
        before = self.breaker.state
        self.breaker.abandoned(ticket)
        if probed:
            assert self.breaker.allows(self.now)
        else:
            assert self.breaker.state == before

    @invariant()
    def it_is_half_open_while_a_probe_runs(self):
        assert (self.breaker.state == "half_open") == (self.probe is not None)

    @invariant()
    def it_lets_somebody_pass_after_its_cooldown(self):
        if self.probe is None:
            later = self.now + self.breaker.wait_seconds(self.now)
            # A sum of floats may miss its own difference by the last bit.
            assert self.breaker.allows(later + 1e-6)


TestAttempts = Attempts.TestCase
