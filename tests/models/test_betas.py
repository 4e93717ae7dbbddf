from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.models.betas import BetaRules, choose_betas, split_header

ACCEPTED = frozenset(("a", "b"))
flags = st.lists(st.sampled_from(["a", "b", "c", "old", "bad"]), max_size=8)


def test_headers_repeat_and_have_spaces():
    assert split_header(["a, b", "c,,a ", ""]) == ["a", "b", "c"]


def test_mapping_passthrough_and_blocklist():
    rules = BetaRules(
        mapping={"old": ["a", "c"]}, passthrough=frozenset("c"), blocklist=frozenset("b")
    )
    assert choose_betas(["old", "b", "x"], ACCEPTED, rules) == (["a", "c"], ["b", "x"])


@given(flags)
def test_only_accepted_flags_are_sent_each_once(given_):
    send, dropped = choose_betas(given_, ACCEPTED, BetaRules(mapping={"old": ["b"]}))
    assert set(send) <= ACCEPTED
    assert len(send) == len(set(send))
    assert set(given_) - {"a", "b", "old"} == set(dropped)
