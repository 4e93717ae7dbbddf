from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.telemetry.metrics.facts import KINDS, MODEL, UPSTREAM


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_numbers_stand_behind_each_other(kind):
    end = 0
    for number, buckets in kind.numbers.items():
        assert kind.place(number) == end
        end += 1 if buckets is None else len(buckets) + 2
        assert buckets is None or list(buckets) == sorted(set(buckets))
    assert kind.width == end


def test_the_example_of_the_module_is_true():
    assert (UPSTREAM.place("duration"), UPSTREAM.place("first_chunk"), UPSTREAM.width) == (
        0,
        16,
        32,
    )


def test_a_number_that_there_is_not_has_no_place():
    with pytest.raises(KeyError):
        MODEL.place("nothing")
