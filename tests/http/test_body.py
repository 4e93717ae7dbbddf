"""Compressed request bodies."""

from __future__ import annotations

import gzip
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.errors import InvalidRequestError, RequestTooLargeError
from anthropic_bedrock_proxy.http import body as body_module
from anthropic_bedrock_proxy.http.body import _decode

LIMIT = 1 << 20


def raw_deflate(data):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def refusal(body, encoding=b"gzip", limit=LIMIT):
    with pytest.raises(InvalidRequestError) as refused:
        _decode(body, encoding, limit)
    return refused.value.error_code


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.integers(0, 3))
def test_every_member_is_read(parts, padding):
    body = b"".join(map(gzip.compress, parts)) + b"\0" * padding
    assert _decode(body, b"gzip", LIMIT) == b"".join(parts)


def test_members_across_pieces():
    parts = [bytes([n]) * 100_000 + zlib.crc32(bytes([n])).to_bytes(4, "big") for n in range(5)]
    body = bytearray(b"".join(gzip.compress(part, compresslevel=0) for part in parts))
    assert len(body) > 5 * body_module._PIECE
    assert _decode(body, b"x-gzip", LIMIT) == b"".join(parts)


@pytest.mark.parametrize("pack", [zlib.compress, raw_deflate, gzip.compress])
def test_deflate_with_and_without_its_frame(pack):
    data = b"{}" * 100_000
    assert _decode(pack(data), b"deflate", LIMIT) == data


def test_the_limit_holds_for_all_members_together():
    member = gzip.compress(b"a" * 600)
    assert len(_decode(member, b"gzip", 600)) == 600
    assert len(_decode(member * 2, b"gzip", 1200)) == 1200
    for body, encoding in (
        (member * 2, b"gzip"),
        (zlib.compress(b"a" * 1200), b"deflate"),
        (raw_deflate(b"a" * 1200), b"deflate"),
    ):
        with pytest.raises(RequestTooLargeError):
            _decode(body, encoding, 1199)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"", b"gzip"),
        (b"plain", b"gzip"),
        (gzip.compress(b"a", mtime=0)[:-1], b"gzip"),
        (gzip.compress(b"a", mtime=0) * 2 + b"\x1f\x8b", b"gzip"),
        (gzip.compress(b"a", mtime=0) + b"more", b"gzip"),
        (zlib.compress(b"a"), b"gzip"),
        (b"", b"deflate"),
        (b"plain", b"deflate"),
        (zlib.compress(b"a") + b"more", b"deflate"),
        (raw_deflate(b"a" * 99)[:-1], b"deflate"),
    ],
)
def test_what_is_not_whole_is_refused(body, encoding):
    assert refusal(body, encoding) == "request_body_encoding_invalid"


def test_unknown_encodings():
    assert refusal(b"", b"br") == "request_body_encoding_unsupported"


def test_a_body_of_empty_members_costs_no_time():
    began = time.perf_counter()
    refusal(gzip.compress(b"") * 200_000)
    assert time.perf_counter() - began < 1
