"""Frames against botocore, the oracle: same frames, same refusals, whatever the chunks."""

from __future__ import annotations

import struct
from binascii import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st
from streams import STREAM, chunk_frame, split

from anthropic_bedrock_proxy.protocol.aws.eventstream import (
    MAX_PAYLOAD_BYTES,
    FrameDecoder,
    FrameError,
    decode_headers,
    encode_frame,
)

_names = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=20)
_headers = st.dictionaries(_names, st.text(max_size=50), max_size=5)


def frames_of(chunks: list[bytes]) -> list[tuple[dict[str, object], bytes]]:
    decoder = FrameDecoder()
    return [(f.headers, f.payload) for chunk in chunks for f in decoder.receive(chunk)]


def oracle(data: bytes) -> list[tuple[dict[str, object], bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


@given(st.lists(st.tuples(_headers, st.binary(max_size=300)), max_size=4), st.lists(st.integers(0)))
def test_agrees_with_botocore_for_any_frames_and_any_split(frames, cuts):
    data = b"".join(encode_frame(headers, payload) for headers, payload in frames)
    assert oracle(data) == frames
    assert frames_of(split(data, cuts)) == frames


def test_one_byte_at_a_time():
    assert frames_of([STREAM[i : i + 1] for i in range(len(STREAM))]) == oracle(STREAM)


def test_every_header_type_as_botocore_reads_it():
    values = [
        b"\x00",
        b"\x01",
        b"\x02\xff",
        b"\x03\x80\x00",
        b"\x04\x00\x01\x00\x00",
        b"\x05" + b"\x01" * 8,
        b"\x06\x00\x03abc",
        b"\x07\x00\x02\xc3\xa9",
        b"\x08" + b"\x00" * 7 + b"\x09",
    ]
    block = b"".join(bytes((1,)) + bytes((97 + i,)) + value for i, value in enumerate(values))
    prelude = struct.pack(">II", 16 + len(block), len(block))
    head = prelude + struct.pack(">I", crc32(prelude)) + block
    data = head + struct.pack(">I", crc32(head))
    assert frames_of([data]) == oracle(data)


def test_uuid_header_is_read():
    assert str(decode_headers(b"\x01u\x09" + bytes(range(16)))["u"]).startswith("00010203")


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"\x05ab", id="name cut"),
        pytest.param(b"\x01a", id="no type"),
        pytest.param(b"\x01a\x04\x00", id="integer cut"),
        pytest.param(b"\x01a\x07\x00\x09ab", id="string cut"),
        pytest.param(b"\x01a\x09\x00", id="uuid cut"),
        pytest.param(b"\x01a\x0a", id="unknown type"),
        pytest.param(b"\x01\xff\x00", id="name not utf-8"),
    ],
)
def test_malformed_headers_are_refused(block):
    with pytest.raises(FrameError):
        decode_headers(block)


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_anywhere_is_noticed(bit):
    frame = chunk_frame(b'{"type":"ping"}')
    for position in range(len(frame)):
        broken = bytearray(frame)
        broken[position] ^= 1 << bit
        with pytest.raises(FrameError):
            FrameDecoder().receive(bytes(broken))


def test_good_frames_before_a_broken_one_are_delivered_and_it_stays_broken():
    good, bad = chunk_frame(b"{}"), bytearray(chunk_frame(b"{}"))
    bad[-1] ^= 1
    decoder = FrameDecoder()
    assert len(decoder.receive(good + bytes(bad))) == 1
    assert decoder.broken is not None
    assert not decoder.at_boundary
    with pytest.raises(FrameError):
        decoder.receive(good)


@pytest.mark.parametrize(
    ("total", "headers"),
    [(MAX_PAYLOAD_BYTES + 1, 0), (200_000, 130 * 1024), (20, 10)],
    ids=["payload", "headers", "shorter than its headers"],
)
def test_impossible_lengths_are_refused_at_once(total, headers):
    prelude = struct.pack(">II", total, headers)
    with pytest.raises(FrameError):
        FrameDecoder().receive(prelude + struct.pack(">I", crc32(prelude)))


def test_at_boundary_tells_a_clean_end_from_a_cut():
    decoder = FrameDecoder()
    assert decoder.at_boundary
    decoder.receive(STREAM[:-1])
    assert not decoder.at_boundary
    decoder.receive(STREAM[-1:])
    assert decoder.at_boundary
