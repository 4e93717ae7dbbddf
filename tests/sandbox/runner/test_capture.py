from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.sandbox.runner.capture import Capture


def test_what_is_too_much_is_left_out_between_the_first_and_the_last():
    capture = Capture(8)
    capture.feed(b"0123456789abc")
    assert capture.take() == "012345\n[… 5 characters left out …]\nbc"


@given(st.text(max_size=60), st.integers(0, 40), st.data())
def test_how_bytes_come_makes_no_difference(text, limit, data):
    capture = Capture(limit)
    left = text.encode()
    while left:
        size = data.draw(st.integers(1, len(left)))
        capture.feed(left[:size])
        left = left[size:]
    taken = capture.take()
    if len(text) <= limit:
        assert taken == text
    else:
        last = limit // 4
        first = limit - last
        marker = f"\n[… {len(text) - limit} characters left out …]\n"
        assert taken == text[:first] + marker + text[len(text) - last :]
    assert capture.take() == ""


def test_what_is_no_utf8_is_replaced_also_at_the_end():
    capture = Capture(99)
    capture.feed(b"a\xffb\xc3")
    assert capture.take() == "a\ufffdb\ufffd"
    capture.feed(b"\xa9")
    assert capture.take() == "\ufffd"


def test_a_line_that_is_added_begins_a_line():
    capture = Capture(99)
    capture.add_line("one\n")
    capture.add_line("two")
    capture.feed(b"!\xc3")
    capture.add_line("three")
    capture.add_line("")
    assert capture.take() == "one\ntwo!\ufffd\nthree"


def test_memory_does_not_grow_with_what_is_left_out():
    capture = Capture(1000)
    tracemalloc.start()
    for _ in range(1600):
        capture.feed(b"x" * 65536)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000
