"""Recorded and generated streams, shared by the tests of this folder."""

from __future__ import annotations

from base64 import b64encode
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import strategies as st

from anthropic_bedrock_proxy.protocol.answer.events import Event, explode
from anthropic_bedrock_proxy.protocol.aws.eventstream import encode_frame

CHUNK_HEADERS = {
    ":event-type": "chunk",
    ":content-type": "application/json",
    ":message-type": "event",
}
encode = msgspec.json.encode
decode = msgspec.json.decode


def chunk_frame(data: bytes) -> bytes:
    """One Anthropic event as Bedrock frames it, padding and all."""
    payload = encode({"bytes": b64encode(data).decode(), "p": "abcdefgh"})
    return encode_frame(CHUNK_HEADERS, payload)


def exception_frame(kind: str, message: str) -> bytes:
    return encode_frame(
        {
            ":exception-type": kind,
            ":content-type": "application/json",
            ":message-type": "exception",
        },
        encode({"message": message}),
    )


MESSAGE: dict[str, Any] = {
    "id": "msg_bdrk_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5-20251001",
    "content": [
        {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"},
        {"type": "text", "text": "It is 18 °C \U0001f324 in\nParis."},
        {"type": "tool_use", "id": "toolu_01", "name": "get_weather", "input": {"city": "Paris"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 12,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 4,
        "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
        "output_tokens": 34,
    },
}


def bedrock_stream(events: list[Event]) -> bytes:
    """The events as Bedrock would send them: metrics on the last one."""
    *body, (_, last) = events
    metrics = {"inputTokenCount": 12, "outputTokenCount": 34, "invocationLatency": 5}
    stop = {**decode(last), "amazon-bedrock-invocationMetrics": metrics}
    return b"".join([*(chunk_frame(data) for _, data in body), chunk_frame(encode(stop))])


EVENTS = list(explode(MESSAGE))
STREAM = bedrock_stream(EVENTS)

_text = st.text(max_size=40)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_blocks = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, _text),
    st.builds(
        lambda text, quote: {
            "type": "text",
            "text": text,
            "citations": [{"type": "char_location", "cited_text": quote, "document_index": 0}],
        },
        _text,
        _text,
    ),
    st.builds(
        lambda text, signature: {"type": "thinking", "thinking": text, "signature": signature},
        _text,
        _text,
    ),
    st.builds(lambda data: {"type": "redacted_thinking", "data": data}, _text),
    st.builds(
        lambda name, data: {"type": "tool_use", "id": "toolu_1", "name": name, "input": data},
        _text,
        st.dictionaries(_text, _json, max_size=4),
    ),
    st.builds(
        lambda name: {
            "type": "tool_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": {
                "type": "tool_search_tool_search_result",
                "tool_references": [{"type": "tool_reference", "tool_name": name}],
            },
        },
        _text,
    ),
)
messages = st.builds(
    lambda content, stop, tokens, extra: {
        **MESSAGE,
        "content": content,
        "stop_reason": stop,
        "usage": {**MESSAGE["usage"], "output_tokens": tokens},
        **extra,
    },
    st.lists(_blocks, max_size=5),
    st.sampled_from(["end_turn", "max_tokens", "tool_use", "refusal"]),
    st.integers(0, 10_000),
    st.fixed_dictionaries(
        {},
        optional={
            "container": st.just({"id": "container_1", "expires_at": "2026-01-01T00:00:00Z"}),
            "context_management": st.just({"applied_edits": []}),
            "stop_details": st.just({"type": "refusal", "category": "cyber"}),
        },
    ),
)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut at the given places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places)]
