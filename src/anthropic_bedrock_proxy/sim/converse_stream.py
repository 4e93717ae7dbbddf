"""An answer as a Converse body, as ConverseStream events, and as frames.

`contentBlockStart` exists for tool calls only: text and reasoning blocks begin with their first
delta. `metadata` with the usage follows `messageStop`. Every payload carries the padding `p`.
Sources: the service model (botocore) for the shapes, captures in public issue reports for order
and padding.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from typing import Any

import msgspec

from ..protocol.eventstream import encode_frame
from .invoke_stream import padding, pieces
from .replies import Answer, Counted

_REASONS = {"refusal": "content_filtered", "pause_turn": "end_turn"}


def message(answer: Answer, paths: list[str], latency_ms: int = 1) -> dict[str, Any]:
    """The body of Converse. `paths` are the additional response fields asked for."""
    blocks = [converted for block in answer.content if (converted := _block(block)) is not None]
    document: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": blocks}},
        "stopReason": _REASONS.get(answer.stop_reason, answer.stop_reason),
        "usage": _usage(answer.usage),
        "metrics": {"latencyMs": latency_ms},
    }
    if extra := _additional(answer, paths):
        document["additionalModelResponseFields"] = extra
    return document


def events(answer: Answer, paths: list[str], latency_ms: int = 1) -> list[dict[str, Any]]:
    """The stream of ConverseStream: objects with one key, the event's name."""
    stream: list[dict[str, Any]] = [{"messageStart": {"role": "assistant"}}]
    for index, block in enumerate(answer.content):
        if block.get("type") == "tool_use":
            start = {"toolUse": {"toolUseId": block["id"], "name": block["name"]}}
            stream.append({"contentBlockStart": {"start": start, "contentBlockIndex": index}})
        stream += [
            {"contentBlockDelta": {"delta": delta, "contentBlockIndex": index}}
            for delta in _deltas(block, answer.chunk_chars)
        ]
        stream.append({"contentBlockStop": {"contentBlockIndex": index}})
    stop: dict[str, Any] = {"stopReason": _REASONS.get(answer.stop_reason, answer.stop_reason)}
    if extra := _additional(answer, paths):
        stop["additionalModelResponseFields"] = extra
    stream.append({"messageStop": stop})
    stream.append(
        {"metadata": {"usage": _usage(answer.usage), "metrics": {"latencyMs": latency_ms}}}
    )
    return stream


def frame(event: dict[str, Any]) -> bytes:
    """One event in one frame. The event has one key, its name."""
    name, payload = next(iter(event.items()))
    headers = {
        ":event-type": name,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return encode_frame(headers, msgspec.json.encode({**payload, "p": padding()}))


def _additional(answer: Answer, paths: list[str]) -> dict[str, Any]:
    known = {"/stop_sequence": ("stop_sequence", answer.stop_sequence)}
    return dict(known[path] for path in paths if path in known)


def _usage(usage: Counted) -> dict[str, Any]:
    document: dict[str, Any] = {
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.input_tokens
        + usage.output_tokens
        + usage.cache_read
        + usage.cache_write,
        "cacheReadInputTokens": usage.cache_read,
        "cacheWriteInputTokens": usage.cache_write,
    }
    details = [
        {"ttl": ttl, "inputTokens": count}
        for ttl, count in (("5m", usage.cache_5m), ("1h", usage.cache_1h))
        if count
    ]
    if details:
        document["cacheDetails"] = details
    return document


def _block(block: dict[str, Any]) -> dict[str, Any] | None:
    match block.get("type"):
        case "text":
            return {"text": block["text"]}
        case "thinking":
            reasoning = {"text": block.get("thinking", ""), "signature": block["signature"]}
            return {"reasoningContent": {"reasoningText": reasoning}}
        case "redacted_thinking":
            return {"reasoningContent": {"redactedContent": _blob(block["data"])}}
        case "tool_use":
            call = {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}
            return {"toolUse": call}
    return None


def _deltas(block: dict[str, Any], size: int | None) -> list[dict[str, Any]]:
    match block.get("type"):
        case "text":
            return [{"text": piece} for piece in pieces(block["text"], size)]
        case "thinking":
            texts = [
                {"reasoningContent": {"text": piece}}
                for piece in pieces(block.get("thinking", ""), size)
            ]
            return [*texts, {"reasoningContent": {"signature": block["signature"]}}]
        case "redacted_thinking":
            return [{"reasoningContent": {"redactedContent": _blob(block["data"])}}]
        case "tool_use":
            text = msgspec.json.encode(block["input"]).decode()
            return [{"toolUse": {"input": piece}} for piece in pieces(text, size or 16)]
    return []


def _blob(data: str) -> str:
    """Base64 as it is; anything else is coded, because the wire wants base64."""
    try:
        a2b_base64(data, strict_mode=True)
    except (Base64Error, ValueError):
        return b2a_base64(data.encode(), newline=False).decode()
    return data
