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

from ...protocol.aws.eventstream import encode_frame
from .. import guardrail
from ..anthropic.stream import padding, pieces
from ..prompt import Prompt
from ..replies import Counted, SimulatedAnswer

_REASONS = {"refusal": "content_filtered", "pause_turn": "end_turn"}


def message(answer: SimulatedAnswer, prompt: Prompt, latency_ms: int = 1) -> dict[str, Any]:
    """Renders the body of Converse."""
    blocks = [_block(block) for block in filter(_exists, answer.content)]
    document: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": blocks}},
        "stopReason": _REASONS.get(answer.stop_reason, answer.stop_reason),
        "usage": _usage(answer.usage),
        "metrics": {"latencyMs": latency_ms},
    }
    if extra := _additional(answer, prompt.response_paths):
        document["additionalModelResponseFields"] = extra
    return {**document, **_around(prompt)}


def events(answer: SimulatedAnswer, prompt: Prompt, latency_ms: int = 1) -> list[dict[str, Any]]:
    """Renders the events of ConverseStream: objects with one key, the event's name."""
    stream: list[dict[str, Any]] = [{"messageStart": {"role": "assistant"}}]
    for index, block in enumerate(filter(_exists, answer.content)):
        if block.get("type") == "tool_use":
            start = {"toolUse": {"toolUseId": block["id"], "name": block["name"]}}
            stream.append({"contentBlockStart": {"start": start, "contentBlockIndex": index}})
        stream += [
            {"contentBlockDelta": {"delta": delta, "contentBlockIndex": index}}
            for delta in _deltas(block, answer.chunk_chars)
        ]
        stream.append({"contentBlockStop": {"contentBlockIndex": index}})
    stop: dict[str, Any] = {"stopReason": _REASONS.get(answer.stop_reason, answer.stop_reason)}
    if extra := _additional(answer, prompt.response_paths):
        stop["additionalModelResponseFields"] = extra
    stream.append({"messageStop": stop})
    metadata = {"usage": _usage(answer.usage), "metrics": {"latencyMs": latency_ms}}
    stream.append({"metadata": {**metadata, **_around(prompt)}})
    return stream


def _around(prompt: Prompt) -> dict[str, Any]:
    """Returns the members of an answer that the request asked for: guardrail trace, tier."""
    added = guardrail.trace(prompt.guardrail)
    if prompt.service_tier is not None:
        added["serviceTier"] = {"type": prompt.service_tier}
    return added


def _exists(block: dict[str, Any]) -> bool:
    """Tells whether a block has a Converse form: blocks of server tools have none.

    A script may hold those for other dialects.
    """
    return block.get("type") in ("text", "thinking", "redacted_thinking", "tool_use")


def frame(event: dict[str, Any]) -> bytes:
    """Encodes one event, which has one key, its name, as one frame."""
    name, payload = next(iter(event.items()))
    headers = {
        ":event-type": name,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return encode_frame(headers, msgspec.json.encode({**payload, "p": padding()}))


def _additional(answer: SimulatedAnswer, paths: list[str]) -> dict[str, Any]:
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


def _block(block: dict[str, Any]) -> dict[str, Any]:
    match block["type"]:
        case "text":
            return {"text": block["text"]}
        case "thinking":
            reasoning = {"text": block.get("thinking", "")}
            if "signature" in block:
                reasoning["signature"] = block["signature"]
            return {"reasoningContent": {"reasoningText": reasoning}}
        case "redacted_thinking":
            return {"reasoningContent": {"redactedContent": _blob(block["data"])}}
    return {"toolUse": {"toolUseId": block["id"], "name": block["name"], "input": block["input"]}}


def _deltas(block: dict[str, Any], size: int | None) -> list[dict[str, Any]]:
    match block["type"]:
        case "text":
            return [{"text": piece} for piece in pieces(block["text"], size)]
        case "thinking":
            texts = [
                {"reasoningContent": {"text": piece}}
                for piece in pieces(block.get("thinking", ""), size)
            ]
            if "signature" in block:
                texts.append({"reasoningContent": {"signature": block["signature"]}})
            return texts
        case "redacted_thinking":
            return [{"reasoningContent": {"redactedContent": _blob(block["data"])}}]
    text = msgspec.json.encode(block["input"]).decode()
    return [{"toolUse": {"input": piece}} for piece in pieces(text, size or 16)]


def _blob(data: str) -> str:
    """Returns base64 unchanged; codes anything else, because the wire wants base64."""
    try:
        a2b_base64(data, strict_mode=True)
    except (Base64Error, ValueError):
        return b2a_base64(data.encode(), newline=False).decode()
    return data
