"""The four dialects of Bedrock, as it writes them: one answer or failure, the bytes of each.

Nothing here is made by the product but the frames around events, whose coding has tests of its own.
Sources: bedrock-runtime service model (ConverseResponse, ConverseStreamOutput, ResponseStream,
errors); Anthropic API, the message object, "Streaming messages", "Errors".
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

import msgspec
from streams import CHUNK_HEADERS, encode, exception_frame

from anthropic_bedrock_proxy.protocol.aws.eventstream import encode_frame

DIALECTS: Final = ("invoke", "messages", "mantle", "converse")
FRAMED: Final = ("invoke", "converse")
_FRAMES: Final = "application/vnd.amazon.eventstream"
_SSE: Final = "text/event-stream; charset=utf-8"
_GUARDRAIL: Final = "amazon-bedrock-guardrailAction"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of a model, in Anthropic's words, and what only Bedrock knows of it."""

    content: tuple[dict[str, Any], ...] = ({"type": "text", "text": "It is 18 °C in\nParis."},)
    stop_reason: str = "end_turn"
    converse_reason: str = ""  # where Converse has another word
    stop_sequence: str | None = None
    stop_details: dict[str, Any] | None = None
    input_tokens: int = 12
    output_tokens: int = 34
    cache_read: int = 0
    cache_5m: int = 0
    cache_1h: int = 0
    tier: str | None = None  # as Bedrock names it
    intervened: bool = False  # a guardrail did
    safeguard_results: list[dict[str, Any]] | None = None  # Claude's own dialects alone


USUAL: Final = Said()


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One failure, (status, name, message): as AWS tells it, and in Anthropic's envelope."""

    aws: tuple[int, str, str]
    anthropic: tuple[int, str, str]
    original_status: int | None = None  # of the model, where AWS wraps its error
    retry_after: int | None = None


# A whole answer, and a stream of it.


def whole(dialect: str, said: Said) -> bytes:
    """The HTTP answer to a request that is not streamed."""
    if dialect == "converse":
        return http(200, "application/json", encode(_converse_message(said)))
    message = _message(said)
    if dialect == "invoke" and said.intervened:
        message[_GUARDRAIL] = "INTERVENED"
    return http(200, "application/json", encode(message), _tier(dialect, said))


def stream(dialect: str, said: Said) -> bytes:
    """The HTTP answer to a streamed request."""
    return http_stream(dialect, pieces(dialect, said), said)


def http_stream(dialect: str, parts: list[bytes], said: Said = USUAL, *, end: bool = True) -> bytes:
    """The head of a stream, and these parts of it; without `end`, the connection breaks there."""
    kind = _FRAMES if dialect in FRAMED else _SSE
    head = "".join(f"{name}: {value}\r\n" for name, value in _tier(dialect, said).items())
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return (
        (
            f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n{head}\r\n"
        ).encode()
        + body
        + b"0\r\n\r\n" * end
    )


def pieces(dialect: str, said: Said) -> list[bytes]:
    """The events of an answer as they stand in the body."""
    if dialect == "converse":
        return _converse_pieces(said)
    events = _events(said)
    if dialect != "invoke":
        return [_sse(event) for event in events]
    events[-1]["amazon-bedrock-invocationMetrics"] = {
        "inputTokenCount": said.input_tokens,
        "outputTokenCount": said.output_tokens,
    }
    if said.intervened:
        events[-1][_GUARDRAIL] = "INTERVENED"
    return [_chunk(event) for event in events]


# Failures, before a stream and inside one.


def refusal(dialect: str, failure: Failure, *, enveloped: bool = False) -> bytes:
    """The HTTP answer that refuses; `enveloped`: InvokeModel as newer models answer it."""
    extra = {} if failure.retry_after is None else {"retry-after": str(failure.retry_after)}
    if dialect in FRAMED and not enveloped:
        status, name, message = failure.aws
        body: dict[str, Any] = {"message": message}
        if failure.original_status is not None:
            body["originalStatusCode"] = failure.original_status
        return http(status, "application/json", encode(body), {"x-amzn-errortype": name} | extra)
    status, name, message = failure.anthropic
    return http(status, "application/json", encode(_envelope(name, message)), extra)


def broken(dialect: str, failure: Failure) -> bytes:
    """The same failure as an event of a stream, which ends there."""
    if dialect not in FRAMED:
        _, name, message = failure.anthropic
        return _sse(_envelope(name, message))
    _, name, message = failure.aws
    return exception_frame(name[:1].lower() + name[1:], message)


def http(status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """One HTTP answer."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return (
        f"HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        f"x-amzn-requestid: aws-1\r\n{lines}\r\n"
    ).encode() + body


def _envelope(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def _tier(dialect: str, said: Said) -> dict[str, str]:
    if dialect != "invoke" or said.tier is None:
        return {}
    return {"x-amzn-bedrock-service-tier": said.tier}


# Anthropic's JSON.


def _usage(said: Said) -> dict[str, Any]:
    return {
        "input_tokens": said.input_tokens,
        "cache_creation_input_tokens": said.cache_5m + said.cache_1h,
        "cache_read_input_tokens": said.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": said.cache_5m,
            "ephemeral_1h_input_tokens": said.cache_1h,
        },
    }


def _message(said: Said) -> dict[str, Any]:
    return {
        "model": "claude-opus-4-8",
        "id": "msg_bdrk_01",
        "type": "message",
        "role": "assistant",
        "content": list(said.content),
        **_ending(said),
        "usage": {**_usage(said), "output_tokens": said.output_tokens},
    }


def _ending(said: Said) -> dict[str, Any]:
    told = {"stop_reason": said.stop_reason, "stop_sequence": said.stop_sequence}
    more = {"stop_details": said.stop_details, "safeguard_results": said.safeguard_results}
    return told | {name: value for name, value in more.items() if value is not None}


def _events(said: Said) -> list[dict[str, Any]]:
    start = _message(said) | {"content": [], "stop_reason": None, "stop_sequence": None}
    for name in ("stop_details", "safeguard_results"):
        start.pop(name, None)
    start["usage"] = start["usage"] | {"output_tokens": 1}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(said.content):
        if block["type"] == "tool_use":
            first, delta = block | {"input": {}}, encode(block["input"]).decode()
            deltas = [{"type": "input_json_delta", "partial_json": delta}]
        elif block["type"] == "thinking":
            first = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        else:
            first = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": block["text"]}]
        events.append({"type": "content_block_start", "index": index, "content_block": first})
        events += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        events.append({"type": "content_block_stop", "index": index})
    usage = {"output_tokens": said.output_tokens}
    return [
        *events,
        {"type": "message_delta", "delta": _ending(said), "usage": usage},
        {"type": "message_stop"},
    ]


def _sse(event: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), encode(event))


def _chunk(event: dict[str, Any]) -> bytes:
    payload = {"bytes": b64encode(encode(event)).decode(), "p": "abcd"}
    return encode_frame(CHUNK_HEADERS, encode(payload))


# Converse.


def _converse_end(said: Said) -> dict[str, Any]:
    stop: dict[str, Any] = {"stopReason": said.converse_reason or said.stop_reason}
    if said.stop_sequence is not None:
        stop["additionalModelResponseFields"] = {"stop_sequence": said.stop_sequence}
    return stop


def _converse_metadata(said: Said) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "inputTokens": said.input_tokens,
        "outputTokens": said.output_tokens,
        "totalTokens": said.input_tokens + said.output_tokens,
    }
    if said.cache_read:
        usage["cacheReadInputTokens"] = said.cache_read
    if said.cache_5m or said.cache_1h:
        usage["cacheWriteInputTokens"] = said.cache_5m + said.cache_1h
        usage["cacheDetails"] = [
            {"ttl": ttl, "inputTokens": count}
            for ttl, count in (("5m", said.cache_5m), ("1h", said.cache_1h))
            if count
        ]
    tier = {} if said.tier is None else {"serviceTier": {"type": said.tier}}
    return {"usage": usage, "metrics": {"latencyMs": 5}, **tier}


def _converse_message(said: Said) -> dict[str, Any]:
    content = []
    for block in said.content:
        if block["type"] == "tool_use":
            call = {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}
            content.append({"toolUse": call})
        elif block["type"] == "thinking":
            thought = {"text": block["thinking"], "signature": block["signature"]}
            content.append({"reasoningContent": {"reasoningText": thought}})
        else:
            content.append({"text": block["text"]})
    message = {"role": "assistant", "content": content}
    return {"output": {"message": message}, **_converse_end(said), **_converse_metadata(said)}


def _converse_pieces(said: Said) -> list[bytes]:
    parts = [_event("messageStart", {"role": "assistant"})]
    for index, block in enumerate(said.content):
        at = {"contentBlockIndex": index}
        if block["type"] == "tool_use":
            call = {"toolUse": {"toolUseId": block["id"], "name": block["name"]}}
            parts.append(_event("contentBlockStart", at | {"start": call}))
            deltas: list[dict[str, Any]] = [{"toolUse": {"input": encode(block["input"]).decode()}}]
        elif block["type"] == "thinking":
            deltas = [
                {"reasoningContent": {"text": block["thinking"]}},
                {"reasoningContent": {"signature": block["signature"]}},
            ]
        else:
            deltas = [{"text": block["text"]}]
        parts += [_event("contentBlockDelta", at | {"delta": delta}) for delta in deltas]
        parts.append(_event("contentBlockStop", at))
    parts.append(_event("messageStop", _converse_end(said)))
    return [*parts, _event("metadata", _converse_metadata(said))]


def _event(name: str, payload: dict[str, Any]) -> bytes:
    return encode_frame({**CHUNK_HEADERS, ":event-type": name}, encode(payload))
