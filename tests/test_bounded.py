from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.bounded import Bounded


@given(st.integers(1, 4), st.lists(st.integers(0, 6)))
def test_what_was_set_longest_ago_goes_first(most, keys):
    bounded = Bounded(most)
    for place, key in enumerate(keys):
        bounded[key] = place
        bounded.get(keys[0])  # a look changes nothing
    last = list(dict.fromkeys(reversed(keys)))[:most]
    assert list(bounded) == last[::-1]
    assert all(bounded[key] == len(keys) - 1 - keys[::-1].index(key) for key in last)
