"""The linear-time matcher, with `re` as the oracle and `re`'s nightmares as load."""

from __future__ import annotations

import re
import time
import warnings

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from working import no_pause, outcome

from anthropic_bedrock_proxy.tools import regex
from anthropic_bedrock_proxy.tools.regex import Pattern, PatternError
from anthropic_bedrock_proxy.tools.work import Work, WorkError

PLENTY = 10**9


def work(steps=PLENTY):
    return Work(steps, no_pause)


def matches(pattern, text):
    return outcome(pattern.search(text))


LONG_S = "\u017f"  # for `re`, the same as s whatever the case

_atoms = st.sampled_from(
    [
        *("a", "b", "A", "_", ".", r"\d", r"\w", r"\W", "[ab]", "[^a]", "[]a]", "[a-c_]", r"\."),
        *(r"\x61", r"\u0061", r"\N{LATIN SMALL LETTER B}", r"\012", "{", "}", "]", "k", " "),
        *("ß", LONG_S),
    ]
)
_assertions = st.sampled_from(["^", "$", r"\b", r"\B", r"\A", r"\Z"])
_quantifiers = st.sampled_from(["*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{,2}", "{1,}"])


def _grown(inner):
    groups = st.sampled_from(["(", "(?:", "(?P<x>", "(?i:"])
    return st.one_of(
        st.builds("".join, st.lists(inner, max_size=3)),
        st.builds(lambda begin, inside: f"{begin}{inside})", groups, inner),
        st.builds(lambda a, b: f"(?:{a}|{b})", inner, inner),
        st.builds(lambda item, sign: f"(?:{item}){sign}", inner, _quantifiers),
        st.builds("{}{}".format, _atoms, _quantifiers),
    )


patterns = st.builds(
    "{}{}".format,
    st.sampled_from(["", "", "(?i)", "(?s)", "(?m)", "(?a)", "(?i)(?m)"]),
    st.recursive(_atoms | _assertions, _grown, max_leaves=8)
    | st.builds("{}|{}".format, _atoms, _atoms),
)
texts = st.text(f"abAB_. \nßsS{LONG_S}K7", max_size=10)


@settings(max_examples=400)
@given(patterns, st.lists(texts, min_size=1, max_size=4))
def test_matches_where_re_does(pattern, given_texts):
    try:
        oracle = re.compile(pattern, re.IGNORECASE)
    except re.error:
        assume(False)
    mine = Pattern(pattern, work())
    for text in given_texts:
        assert matches(mine, text) == (oracle.search(text) is not None), (pattern, text)


@settings(max_examples=300)
@given(st.text(r"ab\(){}[]|*+?^$.,:=!<#iP1-", max_size=12))
def test_what_re_refuses_is_refused_and_nothing_else_goes_wrong(pattern):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            oracle = re.compile(pattern, re.IGNORECASE)
    except re.error:
        oracle = None
    try:
        mine = Pattern(pattern, work())
    except PatternError:
        return
    assert oracle is not None
    for text in ("", "ab", "a,b(", "b1-"):
        assert matches(mine, text) == (oracle.search(text) is not None)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+b", "a" * 2000),
        ("(a|a)*b", "a" * 2000),
        ("(a|aa)+$b", "a" * 2000),
        ("(.*)(.*)(.*)(.*)(.*)(.*)b", "a" * 2000),
        (".*.*.*.*.*.*.*.*.*.*b", "a" * 2000),
        ("a?" * 60 + "a" * 60, "a" * 59),
        ("(a|a)" * 30 + "b", "a" * 2000),
        (r"(\w+\s?)+$!", "a " * 1000),
        (r"^(\w+)*\b!$", "a" * 2000),
        ("(a*)*" * 20 + "b", "a" * 2000),
        ("a.{99}b", "a" * 2000),
        ("(.*a){20}c", "ab" * 1000),
    ],
)
def test_what_backtracks_for_ever_ends_at_once(pattern, text):
    started = time.perf_counter()
    assert not matches(Pattern(pattern, work()), text)
    assert time.perf_counter() - started < 1


def test_a_budget_ends_what_takes_long():
    for pattern, text in (("(a|b)*c", "ab"), ("abc", "ab")):
        searched = Pattern(pattern, work(200 * len(pattern) + 300))
        matches(searched, text)
        with pytest.raises(WorkError):
            matches(searched, text * 5000)


@pytest.mark.parametrize(
    "pattern",
    [
        *("(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", r"(a)\1", "(?P<x>a)(?P=x)", "(?>a)", "(?#a)b"),
        *("(a)?(?(1)b)", "a*+", "a++", "a?+", "a{2}+", "(?x)a", "(?x: a)", "(?s:.)", r"\123"),
        *("(", ")", "*a", "a**", "[", "\\", "(?P<1>a)", "a{99999999999}", "a(?i)", "(?L)a"),
        *(r"[\u0000-\ud7ff]", "[\x01-\uffff]", r"[a-\U0010ffff]", "[一-龥][一-龥]"),
        *("a{501}", "(a{50}){50}", "(?:){999}", "[a]" * 11, "(" * 5000 + ")" * 5000),
    ],
)
def test_refused(pattern):
    with pytest.raises(PatternError) as refused:
        Pattern(pattern, work())
    assert str(refused.value)


def test_sets_of_another_script_are_no_matter():
    for pattern in (
        "[\u0430-\u044f\u0451]+",
        "[一-龥]",
        r"[\u4e00-\u9fa5]",
        r"[\x00-\xff-]",
        r"[\0-z]",
    ):
        oracle = re.compile(pattern, re.IGNORECASE)
        for text in ("\u0416\u0443\u043a", "龙", "z", "-"):
            assert matches(Pattern(pattern, work()), text) == bool(oracle.search(text))


def test_odd_sets_warn_nobody():
    assert matches(Pattern("([[a])", work()), "[")


def test_forgetting_changes_nothing(monkeypatch):
    monkeypatch.setattr(regex, "_MAX_REMEMBERED", 2)
    pattern = "(a|b).{3}(a|c)$"
    searched, oracle = Pattern(pattern, work()), re.compile(pattern)
    for text in ("abbbc", "abababab", "bcccb", "accca", "cab"):
        assert matches(searched, text * 3) == (oracle.search(text * 3) is not None)
