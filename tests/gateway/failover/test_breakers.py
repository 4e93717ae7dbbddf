"""The breakers of a target: what one key meets is never held against the target for another."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from anthropic_bedrock_proxy.gateway.failover.breakers import TargetBreakers

KEYS = "abc"


def slow(breakers, key, now=0.0):
    passed = breakers.begin(key, now)
    return breakers.failed(key, passed, now, cause="failures", may_be_its_own=True)


def test_time_outs_of_as_many_keys_as_failures_close_it_for_all():
    breakers = TargetBreakers(failures=3, cooldown_seconds=30)
    assert [slow(breakers, key) for key in KEYS] == [False, False, True]
    assert not breakers.allows("another", 29.9)


def test_another_failure_gives_the_own_probe_back():
    breakers = TargetBreakers(failures=2, cooldown_seconds=30)
    slow(breakers, "a")
    slow(breakers, "a")
    assert breakers.wait_seconds("a", 10) == 20
    probe = breakers.begin("a", 30)
    assert not breakers.allows("a", 30)
    breakers.failed("a", probe, 30, cause="throttling")
    assert breakers.state == "open"
    breakers.abandoned("a", breakers.begin("a", 60))
    assert breakers.allows("a", 60)
    assert breakers.succeeded("a", breakers.begin("a", 60))
    assert breakers.wait_seconds("a", 60) == 0


def test_keys_are_forgotten_when_there_are_too_many():
    breakers = TargetBreakers(failures=1, cooldown_seconds=30)
    for number in range(2000):
        breakers.common.succeeded(breakers.common.begin(100.0 * number))
        if (passed := breakers.begin(f"{number}", 100.0 * number)) is not None:
            breakers.failed(f"{number}", passed, 100.0 * number, cause="", may_be_its_own=True)
    assert len(breakers._own) <= 1024


class OneSlowKey(RuleBasedStateMachine):
    """Key a is slow whenever it likes; b and c are answered, or leave."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.breakers = TargetBreakers(failures=2, cooldown_seconds=10.0)
        self.running = []

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds):
        self.now += seconds

    @rule(key=st.sampled_from(KEYS))
    def begin(self, key):
        allowed = self.breakers.allows(key, self.now)
        passed = self.breakers.begin(key, self.now)
        assert (passed is not None) == allowed
        if passed is not None:
            self.running.append((key, passed))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), leaves=st.booleans())
    def end(self, data, leaves):
        key, passed = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        if leaves:
            self.breakers.abandoned(key, passed)
        elif key == "a":
            self.breakers.failed(key, passed, self.now, cause="", may_be_its_own=True)
        else:
            self.breakers.succeeded(key, passed)

    @invariant()
    def nobody_else_has_to_wait(self):
        assert self.breakers.state == "closed"
        assert self.breakers.allows("b", self.now)

    @invariant()
    def it_may_try_again_after_a_while(self):
        if not any(key == "a" and passed.own is not None for key, passed in self.running):
            later = self.now + self.breakers.wait_seconds("a", self.now)
            assert self.breakers.allows("a", later + 1e-6)


TestOneSlowKey = OneSlowKey.TestCase


def test_an_answer_from_before_a_key_was_held_up_does_not_let_it_through_again():
    breakers = TargetBreakers(failures=3, cooldown_seconds=30)
    early = breakers.begin("slow", 0.0)
    for _ in range(3):
        slow(breakers, "slow")
    assert not breakers.allows("slow", 0.0)
    breakers.succeeded("slow", early)
    assert not breakers.allows("slow", 0.0)
