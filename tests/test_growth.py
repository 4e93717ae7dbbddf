"""What a body costs grows with its size and no faster, whatever a client puts into it.

A ratio of two times, so the machine does not matter; the numbers themselves are a benchmark's
(`python -m bench.pure`: half a second at most for 4 MB). Eight times the size must not cost much
more than eight times as much; what is quadratic costs 64 times as much. A step that is so cheap
that even then 4 MB would be within the limit needs no ratio.
"""

from __future__ import annotations

import gc
from contextlib import suppress
from time import process_time

import pytest
from bench.hostile import FULL_BYTES, KINDS
from bench.pure import IN_SLICES, LIMIT_SECONDS, answer_steps, steps

from anthropic_bedrock_proxy.errors import ProxyError

LARGE, SMALL = FULL_BYTES // 4, FULL_BYTES // 32
CHEAP_SECONDS = LIMIT_SECONDS / 4**2
MOST = 24  # times the small one, which caches make up to twice as cheap as it should be


def seconds(step, rounds):
    times = []
    for _ in range(rounds):
        began = process_time()
        with suppress(ProxyError):  # refusing may not cost more either
            step()
        times.append(process_time() - began)
    return min(times)


def grows_too_fast(name, small, large):
    """Asked again before it is believed: the machine may have been busy."""
    if name == IN_SLICES:  # its work is counted: tests/tools/test_work.py
        return False
    return all(
        (took := seconds(large, 1)) > CHEAP_SECONDS and took > MOST * seconds(small, 5)
        for _ in range(5)
    )


@pytest.fixture(autouse=True)
def without_collector():
    """Its pauses belong to whoever runs when they come."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_of_any_kind_costs_what_its_size_says(kind):
    made = KINDS[kind](SMALL), KINDS[kind](LARGE)
    small = dict(steps(made[0]))
    large = dict(steps(made[1]))
    assert [*small] == [*large]
    assert not [name for name in small if grows_too_fast(name, small[name], large[name])]


def test_an_answer_in_the_smallest_pieces_costs_what_its_size_says():
    small, large = dict(answer_steps(SMALL)), dict(answer_steps(LARGE))
    assert not [name for name in small if grows_too_fast(name, small[name], large[name])]


def test_what_is_quadratic_is_found():
    def work(size):
        known = [f"no{number}" for number in range(size // 20)]
        return lambda: [name for name in map(str, range(size // 20)) if name in known]

    assert grows_too_fast("", work(SMALL // 8), work(LARGE // 8))
    assert not grows_too_fast("", lambda: sum(range(SMALL)), lambda: sum(range(LARGE)))
