from __future__ import annotations

from anthropic._streaming import SSEDecoder as SDKDecoder
from hypothesis import given
from hypothesis import strategies as st
from streams import EVENTS, messages, split

from anthropic_bedrock_proxy.http.anthropic.encoder import ServerSentEvents
from anthropic_bedrock_proxy.protocol.answer.events import PING, explode
from anthropic_bedrock_proxy.protocol.native.sse import SSEDecoder

encode = ServerSentEvents().events


def decoded(chunks):
    decoder = SSEDecoder()
    return [event for chunk in chunks for event in decoder.receive(chunk)]


@given(messages, st.lists(st.integers(0)))
def test_decoding_undoes_encoding_for_any_split(message, cuts):
    events = list(explode(message))
    assert decoded(split(encode(events), cuts)) == events


def test_one_byte_at_a_time():
    data = encode([*EVENTS, PING])
    assert decoded([data[i : i + 1] for i in range(len(data))]) == [*EVENTS, PING]


@given(messages)
def test_the_official_sdk_reads_what_we_encode(message):
    events = list(explode(message))
    read = SDKDecoder().iter_bytes(iter([encode(events)]))
    assert [(e.event.encode(), e.data.encode()) for e in read] == events


def test_every_line_end_comments_and_split_data_of_the_standard():
    text = b": hello\r\nevent: a\r\ndata: 1\r\rdata:2\ndata: 3\nid: 7\n\nevent: lost\n\n"
    expected = [(b"a", b"1"), (b"message", b"2\n3")]
    assert decoded([text]) == expected
    assert decoded([text[i : i + 1] for i in range(len(text))]) == expected
