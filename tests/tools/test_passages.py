"""Passages: their bounds, their indexes, and what a citation of one is."""

from __future__ import annotations

import itertools
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.tools.passages import (
    MAX_CITED,
    Passages,
    source_index,
    split_passages,
)


def pieces(text, **more):
    return [text[start:end] for start, end in split_passages(text, **more)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n ", []),
        ("One.", ["One."]),
        (" One. Two! Three? ", ["One. Two! Three?"]),
        ("a" * 200, ["a" * 200]),
        ("One.\n\nTwo.", ["One.\n\nTwo."]),
    ],
)
def test_short_texts_are_one_passage(text, expected):
    assert pieces(text) == expected


def test_sentences_stay_whole():
    first, second, long = "First one here.", "Second one!", "A very long one. " + "x" * 40
    text = f"{first} {second} {long}"
    assert pieces(text, most=30) == ["First one here. Second one!", "A very long one.", "x" * 40]
    assert pieces("3.14 is out. See a.b, e.g. c", most=12) == [
        "3.14 is out.",
        "See a.b, e.g.",
        "c",
    ]
    assert pieces("\u4e00\u3002\u4e8c\u3002", most=2) == ["\u4e00\u3002", "\u4e8c\u3002"]


@given(st.text("ab .!\n\u3002", max_size=400))
def test_passages_are_all_of_the_text_in_order(text):
    spans = split_passages(text)
    covered = 0
    for start, end in spans:
        assert not text[covered:start].strip()
        assert text[start:end].strip() == text[start:end] != ""
        covered = end
    assert not text[covered:].strip()
    for (start, end), (_, after) in itertools.pairwise(spans):
        assert after - start > MAX_CITED or end - start > MAX_CITED


def test_indexes_are_made_of_what_they_name():
    one = source_index("https://a.example", "text")
    assert one == source_index("https://a.example", "text")
    assert one != source_index("https://a.example", "text2")
    assert one != source_index("https://a.exampletext", "")
    assert len(one) == 5
    assert one.isalnum()
    assert one == one.lower()
    assert source_index("\ud800")


def test_a_passage_is_cited_as_it_was_noted_first():
    passages = Passages()
    passages.add("a-1", lambda: {"n": 1})
    passages.add("a-1", lambda: {"n": 2})
    assert passages.cite("a-1") == {"n": 1}
    assert passages.cite("a-2") is None


def test_sources_are_numbered_as_they_come():
    passages = Passages()
    assert [passages.number(source) for source in ("b", "a", "b")] == [0, 1, 0]
    assert [passages.source(number) for number in (0, 1, 2, -1)] == ["b", "a", None, None]
    assert passages.source("0") is None
    assert passages.source(10**400) is None
    assert passages.source([]) is None


def test_a_source_of_thousands_is_found_at_once():
    passages, most = Passages(), 30_000
    for number in range(most):
        passages.number(str(number))
    began = process_time()
    assert {passages.source(most - 1) for _ in range(most)} == {str(most - 1)}
    assert process_time() - began < 3, "every source is looked at for every citation"
