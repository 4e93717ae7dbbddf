"""A body in chunks: its data and its end, the same however it is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.chunked import ChunkedReader
from anthropic_bedrock_proxy.http.server.errors import ProtocolError

BOUNDS = ConnectionBounds(framing_bytes=100)


def read(data, cuts=()):
    """The data, what was left over and whether the body ended; or the refusal."""
    reader, body = ChunkedReader(BOUNDS), b""
    edges = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(edges):
        try:
            pieces, taken = reader.receive(data[start:end])
        except ProtocolError as error:
            return error.status, str(error)
        body += b"".join(pieces)
        if reader.done:
            return body, data[start + taken :], True
        assert taken == end - start
    return body, b"", False


def one_by_one(data):
    return read(data, range(1, len(data)))


def encode(chunks, extension=b"", trailers=b""):
    """The chunks on the wire."""
    lines = [b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks if chunk]
    return b"".join(lines) + b"0%b\r\n%b\r\n" % (extension, trailers)


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.sampled_from([b"", b" ", b";a", b';a="b\t\xff"']),
    st.sampled_from([b"", b"A: b\r\n", b"A:\r\nB: \xff\t\r\n"]),
    st.binary(max_size=10),
    st.data(),
)
def test_data_comes_back_and_what_follows_is_left(chunks, extension, trailers, rest, draw):
    data = encode(chunks, extension, trailers) + rest
    cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=6))
    assert read(data, cuts) == (b"".join(chunks), rest, True)
    assert one_by_one(data) == (b"".join(chunks), rest, True)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"g\r\n",
        b"0x1\r\n",
        b" 1\r\n",
        b"1\n",
        b"1\ra\r\n",
        b"1;\x00\r\n",
        b"1;\r\r\n",
        b"1234567890123456\r\n",
        b"1\r\nab",
        b"1\r\na\n",
        b"1\r\na\rb",
        b"0\r\n\n",
        b"0\r\nA: b\n",
        b"0\r\nA\r\n",
        b"0\r\nA : b\r\n",
        b"0\r\n folded\r\n",
        b"0\r\nA: \x01\r\n",
    ],
)
def test_what_is_no_chunk_is_refused_however_it_is_cut(data):
    assert read(data)[0] == 400
    assert one_by_one(data) == read(data)


@pytest.mark.parametrize(
    "data",
    [
        b"1;" + b"a" * 200 + b"\r\n",
        b"1;" + b"a" * 200,
        b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nb\r\n" * 10,
        b"0\r\nA: " + b"b" * 200 + b"\r\n",
        b"0\r\nA: " + b"b" * 200,
        b"0\r\nA: " + b"b" * 200 + b"\n",
        b"0\r\n" + b"A: b\r\n" * 20,
    ],
)
def test_framing_over_its_bound_is_refused_however_it_is_cut(data):
    assert read(data)[0] == 431
    assert one_by_one(data) == read(data)


def test_framing_within_its_bound_is_taken():
    many = [b"a"] * 1000
    assert read(encode(many)) == (b"a" * 1000, b"", True)
    assert read(b"0\r\nA: " + b"b" * 93 + b"\r\n\r\n")[2] is True
    assert read(b"0\r\nA: " + b"b" * 96 + b"\r\n\r\n")[0] == 431


_PIECES = st.sampled_from(
    [
        b"0",
        b"1",
        b"a",
        b"5;x",
        b"\r\n",
        b"\r",
        b"\n",
        b"A: b",
        b" ",
        b";",
        b"\0",
        b"hello",
        b"x" * 60,
    ]
)


@given(st.lists(_PIECES, max_size=12).map(b"".join), st.data())
def test_any_cut_of_any_bytes_gives_the_same(data, draw):
    cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=5))
    assert read(data, cuts) == read(data) == one_by_one(data)
