"""Streams of the Messages endpoints: server-sent events in, the same events out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import EVENTS, MESSAGE, decode, messages

from anthropic_bedrock_proxy.http.anthropic.encoder import ServerSentEvents
from anthropic_bedrock_proxy.protocol.answer.events import Grammar, explode, fold
from anthropic_bedrock_proxy.protocol.native.answer import EndpointStream

SSE = ServerSentEvents()

STREAM = SSE.events(EVENTS)


def read(data, *, size=None, end=True):
    """(events, the decoder)"""
    decoder = EndpointStream("asked-for")
    events = []
    step = size or max(1, len(data))
    for start in range(0, len(data), step):
        events += decoder.receive(data[start : start + step])
    if end:
        decoder.end()
    return events, decoder


def test_the_model_becomes_the_one_that_was_asked_for():
    events, decoder = read(STREAM)
    assert fold(events) == {**MESSAGE, "model": "asked-for"}
    assert (decoder.finished, decoder.failure, decoder.usage_estimated) == (True, None, False)
    assert [event for event in events if event[0] == b"content_block_delta"] == [
        event for event in EVENTS if event[0] == b"content_block_delta"
    ]


@given(messages, st.integers(1, 50))
def test_any_message_survives_any_split(message, size):
    events, decoder = read(SSE.events(explode(message)), size=size)
    assert fold(events) == {**message, "model": "asked-for"}
    assert decoder.failure is None


def test_a_cut_at_every_byte_gives_a_prefix_and_a_failure():
    whole, _ = read(STREAM)
    for length in range(len(STREAM) - 1):
        events, decoder = read(STREAM[:length])
        assert events == whole[: len(events)]
        assert decoder.failure is not None
        grammar = Grammar()
        for event in events:
            grammar.feed(event)


def test_pings_and_comments_do_no_harm():
    ping = b'event: ping\ndata: {"type":"ping"}\n\n'
    events, decoder = read(ping + b": hello\n\n" + STREAM.replace(b"\n\n", b"\n\n" + ping, 1))
    assert [name for name, _ in events[:2]] == [b"message_start", b"ping"]
    assert decoder.finished


def test_nothing_comes_after_message_stop():
    events, decoder = read(STREAM + STREAM)
    assert len(events) == len(EVENTS)
    assert decoder.failure is None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}',
         "overloaded_error"),
        (b'{"type":"error"}', "api_error"),
    ],
)  # fmt: skip
def test_an_error_event_is_a_refusal_after_the_events_before_it(data, code):
    begun = SSE.events(EVENTS[:3])
    events, decoder = read(begun + b"event: error\ndata: " + data + b"\n\n")
    assert len(events) == 3
    assert decoder.failure.code == code


@pytest.mark.parametrize(
    "data",
    [
        b"event: content_block_delta\ndata: {}\n\n",
        b"event: message_start\ndata: nonsense\n\n",
        b"event: message_start\ndata: {}\n\n",
        b"data: {}\n\n",
    ],
)
def test_what_is_no_stream_of_anthropic_s_breaks(data):
    events, decoder = read(data, end=False)
    assert events == []
    assert decoder.failure is not None


def test_amazon_s_keys_disappear():
    stop = b'{"type":"message_delta","delta":{},"usage":{},"amazon-bedrock-x":{"a":1}}'
    events, _ = read(SSE.events([EVENTS[0]]) + b"event: message_delta\ndata: " + stop + b"\n\n")
    assert decode(events[1][1]) == {"type": "message_delta", "delta": {}, "usage": {}}
