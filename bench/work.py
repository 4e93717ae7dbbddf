"""The work that is measured: one request, its answer, its stream. Every subject gets these bytes.

The shapes are what Bedrock sends: the dated model id (so the proxy has to write the client's own
name into the answer), `cache_creation` inside `usage`, base64 payloads with padding of changing
length, invocation metrics in the last frame. Sizes are fixed, because the targets name them.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

import msgspec

from anthropic_bedrock_proxy.protocol.aws.eventstream import encode_frame

MODEL: Final = "claude-sonnet-4-5"
DATED_MODEL: Final = "claude-sonnet-4-5-20250929"
BEDROCK_MODEL: Final = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
REQUEST_BYTES: Final = 2048
ANSWER_BYTES: Final = 1024
INPUT_TOKENS: Final = 512
OUTPUT_TOKENS: Final = 200  # of a whole answer; a stream's are its deltas
FIXED_EVENTS: Final = 5  # of a stream beside its deltas: two before, three after
REQUEST_ID: Final = "6f0f2f5c-5b0e-4c62-8f0e-2a4b6c8d0e1f"

_HEADERS: Final = {
    ":event-type": "chunk",
    ":content-type": "application/json",
    ":message-type": "event",
}
_PADDING: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_PADDING_LENGTHS: Final = (3, 27, 14, 41, 8, 60, 19, 33)
_PROSE: Final = "The quick brown fox jumps over the lazy dog. "


def request_body(*, stream: bool, model: str = MODEL) -> bytes:
    """A conversation of three messages with a system prompt and a tool, REQUEST_BYTES long."""
    body = _request_document(model, "")
    if stream:
        body["stream"] = True
    missing = REQUEST_BYTES - len(msgspec.json.encode(body))
    body["messages"][0]["content"] = _prose(missing)
    return msgspec.json.encode(body)


def _request_document(model: str, prompt: str) -> dict[str, Any]:
    return {
        "model": model,
        "max_tokens": 1024,
        "system": "You are a careful assistant. Answer briefly and say when you do not know.",
        "messages": [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": [{"type": "text", "text": "Which one do you mean?"}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "The second. Quote the line that decides it."},
                    {
                        "type": "text",
                        "text": "Then stop.",
                        "cache_control": {"type": "ephemeral"},
                    },
                ],
            },
        ],
        "tools": [
            {
                "name": "read_file",
                "description": "Reads a file of the workspace and returns its text.",
                "input_schema": {
                    "type": "object",
                    "properties": {"path": {"type": "string"}},
                    "required": ["path"],
                },
            }
        ],
    }


def invoke_body() -> bytes:
    """The same request as Bedrock takes it: for a subject that does not translate."""
    document = _request_document("", _prose(REQUEST_BYTES))
    del document["model"]
    document["anthropic_version"] = "bedrock-2023-05-31"
    excess = len(msgspec.json.encode(document)) - REQUEST_BYTES
    document["messages"][0]["content"] = _prose(REQUEST_BYTES - excess)
    return msgspec.json.encode(document)


def answer_body() -> bytes:
    """A whole answer, ANSWER_BYTES long."""
    document: dict[str, Any] = {
        "model": DATED_MODEL,
        "id": "msg_bdrk_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": ""}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": _usage(OUTPUT_TOKENS),
    }
    missing = ANSWER_BYTES - len(msgspec.json.encode(document))
    document["content"][0]["text"] = _prose(missing)
    return msgspec.json.encode(document)


def frames(deltas: int) -> list[bytes]:
    """The event-stream frames of one streamed answer, one event each."""
    start: dict[str, Any] = {
        "model": DATED_MODEL,
        "id": "msg_bdrk_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(1),
    }
    words = _PROSE.split()
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "text", "text": ""},
        },
    ]
    events += [
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": f" {words[i % 9]} {words[(i + 1) % 9]}"},
        }
        for i in range(deltas)
    ]
    events += [
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": deltas},
        },
        {
            "type": "message_stop",
            "amazon-bedrock-invocationMetrics": {
                "inputTokenCount": INPUT_TOKENS,
                "outputTokenCount": deltas,
                "invocationLatency": 1234,
                "firstByteLatency": 321,
            },
        },
    ]
    return [_frame(event, position) for position, event in enumerate(events)]


def _frame(event: dict[str, Any], position: int) -> bytes:
    length = _PADDING_LENGTHS[position % len(_PADDING_LENGTHS)]
    payload = {
        "bytes": b64encode(msgspec.json.encode(event)).decode(),
        "p": _PADDING[:length],
    }
    return encode_frame(_HEADERS, msgspec.json.encode(payload))


def _usage(output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": INPUT_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
    }


def _prose(length: int) -> str:
    return (_PROSE * (length // len(_PROSE) + 1))[:length]
