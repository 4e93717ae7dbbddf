from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.sandbox.runner.lines import (
    BadLineError,
    LineBuffer,
    decode_line,
    encode_line,
    is_too_deep,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
MESSAGES = st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=3), max_size=4)


@given(MESSAGES, st.data())
def test_how_bytes_come_makes_no_difference(messages, data):
    left = b"".join(map(encode_line, messages))
    buffer, got = LineBuffer(), []
    while left:
        size = data.draw(st.integers(1, len(left)))
        got += buffer.feed(left[:size])
        left = left[size:]
    assert got == messages


@pytest.mark.parametrize("data", [b"x" * 11, b"x" * 11 + b"\n", b"{}\n" + b"x" * 11])
def test_a_line_that_is_too_long_is_refused_before_it_ends(data):
    with pytest.raises(BadLineError):
        LineBuffer(10).feed(data)


def test_a_line_may_have_all_its_bytes():
    assert LineBuffer(10).feed(b'{"a":1234}\n') == [{"a": 1234}]


@pytest.mark.parametrize(
    "line", [b"", b"x", b"[]", b"null", b'{"a":NaN}', b'{"a":-Infinity}', b"\xff", b"[" * 100_000]
)
def test_what_is_no_json_object_is_refused(line):
    with pytest.raises(BadLineError):
        decode_line(line)


@pytest.mark.parametrize("value", [float("nan"), "\ud800", {1}])
def test_what_json_cannot_say_is_not_written(value):
    with pytest.raises(BadLineError):
        encode_line({"a": value})


def test_depth_is_counted_in_lists_and_dicts():
    value = {"a": 1}
    for _ in range(9):
        value = [value]
    assert not is_too_deep(value, 10)
    assert is_too_deep(value, 9)
    assert not is_too_deep(json.loads("[" * 100 + "]" * 100))
    assert is_too_deep(json.loads("[" * 101 + "]" * 101))
