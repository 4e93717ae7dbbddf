"""Parts of hits and queries: ages, domains, cut texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.search.hits import (
    cut,
    host_names,
    is_usable,
    make_hit,
    page_age,
    plain,
    site_words,
    usable,
    whole_hosts,
)


@pytest.mark.parametrize(
    ("given_age", "told"),
    [
        ("2026-11-01T08:00:00Z", "November 1, 2026"),
        ("2026-11-01T08:00:00.000Z", "November 1, 2026"),
        ("2026-01-31", "January 31, 2026"),
        ("3 days ago", "3 days ago"),
        ("Thu, 13 Nov 2025 08:00:00 GMT", "Thu, 13 Nov 2025 08:00:00 GMT"),
        ("unknown", None),
        ("", None),
        (None, None),
        ("x" * 61, None),
    ],
)
def test_ages(given_age, told):
    assert page_age(given_age) == told


def test_hosts():
    domains = ("A.example", "a.example/x", "b.example:80", "-x.example", "münchen.example", "")
    assert host_names(domains, 10) == ("a.example", "xn--mnchen-3ya.example")
    assert host_names(domains, 1) == ("a.example",)
    assert whole_hosts(("a.example/x", "b.example", "c.example/"), 10) == ("b.example", "c.example")


@pytest.mark.parametrize(
    ("allowed", "blocked", "room", "terms"),
    [
        ((), (), 99, ""),
        (("a.example",), (), 99, " site:a.example"),
        (("a.example", "b.example/x/*/y"), (), 99, " (site:a.example OR site:b.example/x)"),
        (("a.example", 'x" OR y'), (), 99, ""),
        (("a.example",), (), 14, ""),
        (
            (),
            ("a.example", "b.example/x*", "c d", "e.example"),
            99,
            " -site:a.example -site:e.example",
        ),
        ((), ("long-name.example", "b.example"), 17, " -site:b.example"),
    ],
)
def test_domains_as_words(allowed, blocked, room, terms):
    assert site_words(allowed, blocked, room) == terms


@given(st.text(), st.integers(1, 50), st.none() | st.integers(1, 5))
def test_a_cut_query_is_a_beginning_of_it(text, characters, words):
    whole = " ".join(text.split())
    short = cut(text, characters, words=words)
    assert whole.startswith(short)
    assert len(short) <= characters
    assert words is None or len(short.split()) <= words
    assert short or not whole, "something of it is left"


@given(st.text())
def test_any_url_is_judged_and_any_text_is_made_a_hit(text):
    hit = make_hit(text, text, text, text)
    assert hit.url == (text if is_usable(text) else "")
    assert isinstance(plain(text), str)


def test_a_reference_of_thousands_of_digits_is_a_character():
    digits = "1" * 5000
    assert plain(f"a&#{digits};b &#65; &#{digits} &#x{digits};") == "a\ufffdb A \ufffd \ufffd"


def test_no_more_hits_are_made_than_wanted():
    made = []

    def hits():
        for number in range(1000):
            made.append(number)
            yield make_hit(f"https://a.example/{number // 2}", "a", "a", None)

    assert [hit.url[-2:] for hit in usable(hits(), 2)] == ["/0", "/1"]
    assert len(made) <= 4


def test_a_page_without_a_title_has_its_url_for_one():
    assert make_hit("https://a.example/", " ", None, None).title == "https://a.example/"
