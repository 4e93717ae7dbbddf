"""The arithmetic is exact: whatever the limit and the requests, not a token too many."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.limits import gcra

limits = st.one_of(st.integers(1, 10), st.integers(1, 10**8))
windows = st.one_of(st.integers(1, 100), st.integers(1, 3_600_000_000))
costs = st.one_of(st.integers(0, 10), st.integers(0, 10**8))
pauses = st.one_of(st.just(0), st.integers(0, 100), st.integers(0, 100_000_000))


@st.composite
def buckets(draw):
    """A limit, a window, and a level that need not be one it can reach."""
    limit, window = draw(limits), draw(windows)
    return limit, window, draw(st.integers(0, 3 * limit * window))


def take(level, cost, limit, window):
    """(admitted, level after it)."""
    amount = gcra.charged(cost, limit)
    if gcra.wait(level, amount, limit, window):
        return False, level
    return True, gcra.moved(level, amount, limit, window)


@given(limits, windows, st.lists(st.tuples(pauses, costs), max_size=40))
def test_no_window_admits_more_than_the_limit_and_the_refill(limit, window, requests):
    now, level, admitted = 0, 0, []
    for pause, cost in requests:
        now += pause
        allowed, level = take(gcra.drained(level, pause, limit), cost, limit, window)
        if allowed:
            admitted.append((now, gcra.charged(cost, limit)))
    for first, (start, _) in enumerate(admitted):
        total = 0
        for end, amount in admitted[first:]:
            total += amount
            assert total * window <= limit * window + (end - start) * limit


@given(limits, windows)
def test_a_full_bucket_admits_the_limit_exactly(limit, window):
    count = min(limit, 50)
    level = gcra.moved(0, limit - count, limit, window)
    for left in reversed(range(count)):
        allowed, level = take(level, 1, limit, window)
        assert allowed
        assert gcra.remaining(level, limit, window) == left
    assert take(level, 1, limit, window) == (False, level)
    assert gcra.reset(level, limit, window) == window


@given(buckets(), costs)
def test_the_wait_is_exact(bucket, cost):
    limit, window, level = bucket
    amount = gcra.charged(cost, limit)
    wait = gcra.wait(level, amount, limit, window)
    assume(wait)
    assert gcra.wait(gcra.drained(level, wait, limit), amount, limit, window) == 0
    assert gcra.wait(gcra.drained(level, wait - 1, limit), amount, limit, window) == 1


@given(buckets())
def test_the_reset_is_exact(bucket):
    limit, window, level = bucket
    reset = gcra.reset(level, limit, window)
    assert gcra.drained(level, reset, limit) == 0
    if level:
        assert gcra.drained(level, reset - 1, limit) > 0


@given(buckets(), costs, pauses)
def test_giving_back_what_was_taken_restores(bucket, cost, pause):
    limit, window, level = bucket
    allowed, after = take(level, cost, limit, window)
    assume(allowed)
    untouched = gcra.drained(level, pause, limit)
    amount = gcra.charged(cost, limit)
    assert gcra.moved(gcra.drained(after, pause, limit), -amount, limit, window) == untouched


@given(buckets(), costs, costs, pauses)
def test_more_is_never_easier_and_later_is_never_harder(bucket, cost, more, pause):
    limit, window, level = bucket
    small, large = gcra.charged(cost, limit), gcra.charged(cost + more, limit)
    assert gcra.wait(level, small, limit, window) <= gcra.wait(level, large, limit, window)
    later = gcra.drained(level, pause, limit)
    assert later <= level
    assert gcra.remaining(later, limit, window) >= gcra.remaining(level, limit, window)
    assert gcra.wait(later, small, limit, window) == max(
        0, gcra.wait(level, small, limit, window) - pause
    )
    assert gcra.moved(level, small, limit, window) <= gcra.moved(level, large, limit, window)


@given(buckets(), st.integers(-(10**9), 10**12))
def test_levels_stay_within_bounds(bucket, change):
    limit, window, level = bucket
    after = gcra.moved(level, change, limit, window)
    assert 0 <= after <= gcra.HIGHEST
    assert gcra.reset(after, limit, window) <= max(
        gcra.reset(level, limit, window), window + gcra.DEBT_US
    )


def test_a_cost_beyond_the_limit_passes_when_the_bucket_is_full():
    assert gcra.charged(5000, 1000) == 1000
    allowed, level = take(0, 5000, 1000, 60)
    assert allowed
    assert level == 1000 * 60
    assert gcra.wait(1, gcra.charged(5000, 1000), 1000, 60) == 1


def test_debt_is_paid_before_anything_is_admitted():
    level = gcra.moved(10 * 60, 20, 10, 60)
    assert gcra.remaining(level, 10, 60) == 0
    assert gcra.wait(level, 0, 10, 60) == 120
    assert gcra.wait(level, 1, 10, 60) == 126


def test_a_clock_that_steps_back_changes_nothing():
    assert gcra.drained(500, -(10**12), 10) == 500


def test_numbers_that_no_bucket_has_are_those_of_a_full_one():
    assert gcra.drained(-5, 0, 10) == 0
    assert gcra.charged(-5, 10) == 0


def test_without_a_limit_nothing_passes():
    for limit in (0, -3):
        assert gcra.wait(0, gcra.charged(0, limit), limit, 60) == 60
        assert gcra.moved(0, 100, limit, 60) == 0
        assert gcra.remaining(0, limit, 60) == 0
        assert gcra.reset(0, limit, 60) == 60
