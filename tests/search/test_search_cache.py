"""The memory of results: whose they are, for how long, and how much."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.search.base import SearchHit, SearchLocation, SearchQuery
from anthropic_bedrock_proxy.search.cache import ResultCache

HIT = SearchHit("https://a.example/", "A", "text")
QUERY = SearchQuery("q")


def test_results_are_those_of_the_key_and_the_very_query():
    cache = ResultCache(60)
    cache.put("one", QUERY, [HIT], 0)
    assert cache.get("one", SearchQuery("q"), 59) == [HIT]
    assert cache.get("two", QUERY, 1) is None
    others = [
        SearchQuery("Q"),
        SearchQuery("q", max_results=6),
        SearchQuery("q", allowed_domains=("a.example",)),
        SearchQuery("q", blocked_domains=("a.example",)),
        SearchQuery("q", location=SearchLocation(country="CH")),
    ]
    assert all(cache.get("one", other, 1) is None for other in others)


def test_they_lapse_and_leave_nothing():
    cache = ResultCache(60)
    cache.put("one", QUERY, [HIT], 0)
    assert cache.size > 0
    assert cache.get("one", QUERY, 60) is None
    assert (cache.size, cache._room.keys()) == (0, set())


def test_all_that_is_kept_of_a_query_is_counted():
    cache, part = ResultCache(60), ("x" * 1000,)
    place = SearchLocation(*part * 4)
    cache.put("one", SearchQuery(*part, 5, part, part, place), [], 0)
    assert cache.size >= 4 * 7 * 1000


def test_an_empty_list_is_a_result():
    cache = ResultCache(60)
    cache.put("one", QUERY, [], 0)
    assert cache.get("one", QUERY, 1) == []


def test_no_seconds_are_no_memory():
    cache = ResultCache(0)
    cache.put("one", QUERY, [HIT], 0)
    assert (cache.get("one", QUERY, 0), cache.size) == (None, 0)


def test_the_list_that_is_kept_is_nobody_s_to_change():
    cache = ResultCache(60)
    cache.put("one", QUERY, [HIT], 0)
    cache.get("one", QUERY, 1).clear()
    assert cache.get("one", QUERY, 1) == [HIT]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.integers(0, 9), st.integers(0, 3000), st.integers(0, 9)
        )
    )
)
def test_the_memory_is_bounded_for_all_and_for_each(puts):
    cache, now = ResultCache(5, max_bytes=40_000), 0
    for key, query, size, later in puts:
        now += later
        hits = [SearchHit("https://a.example/", "A", "x" * size)]
        cache.put(key, SearchQuery(str(query)), hits, now)
        assert cache.size <= 40_000
        of_keys = Counter()
        for (name, _), kept in cache._kept.items():
            of_keys[name] += kept.size
        assert all(of_key <= 10_000 for of_key in of_keys.values())
        assert cache.size == of_keys.total()
