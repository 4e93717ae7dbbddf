"""An answer as an Anthropic message and its stream events, and those as frames or as SSE.

The event sequence is exactly Anthropic's, without `ping`, which Bedrock never sends. From
InvokeModel each event travels base64-coded in the payload of one frame beside the padding `p`,
and the last one carries `amazon-bedrock-invocationMetrics`; the Messages endpoints send
server-sent events. Sources: the Anthropic API reference on streaming, the
service model (botocore) for the frames; the padding and the metrics are known from captures.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from itertools import cycle
from typing import Any

import msgspec

from ...protocol.aws.eventstream import encode_frame
from .. import guardrail
from ..prompt import Prompt
from ..replies import Counted, SimulatedAnswer
from ..wire.ids import new_id

_encode = msgspec.json.encode
_WORDS = re.compile(r"\s*\S+|\s+")
# Anthropic has no word for a guardrail: the action is a key of its own.
_REASONS = {"guardrail_intervened": "end_turn"}
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_lengths = cycle((3, 27, 14, 41, 8, 60, 19, 33))
_HEADERS = {
    ":event-type": "chunk",
    ":content-type": "application/json",
    ":message-type": "event",
}


def padding() -> str:
    """A prefix of the alphabet, of a length that changes from frame to frame."""
    return _PADDING[: next(_lengths)]


def usage_document(usage: Counted, output_tokens: int) -> dict[str, Any]:
    """Makes the `usage` of `message_start` or of a whole message."""
    return {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_5m,
            "ephemeral_1h_input_tokens": usage.cache_1h,
        },
        "output_tokens": output_tokens,
    }


def message(answer: SimulatedAnswer, prompt: Prompt) -> dict[str, Any]:
    """Renders the body of InvokeModel and of a Messages answer."""
    document: dict[str, Any] = {
        "model": prompt.model.name,
        "id": new_id("msg_bdrk_"),
        "type": "message",
        "role": "assistant",
        "content": answer.content,
        "stop_reason": _REASONS.get(answer.stop_reason, answer.stop_reason),
        "stop_sequence": answer.stop_sequence,
        "usage": usage_document(answer.usage, answer.usage.output_tokens),
    }
    if answer.stop_details is not None:
        document["stop_details"] = answer.stop_details
    if prompt.safeguards:
        document["safeguard_results"] = _checked(answer)
    if prompt.edits_context:
        document["context_management"] = {"applied_edits": []}
    return {**document, **guardrail.keys(prompt.guardrail)}


def events(answer: SimulatedAnswer, prompt: Prompt) -> list[dict[str, Any]]:
    """Renders Anthropic's stream events, in order."""
    usage = answer.usage
    start: dict[str, Any] = {
        "model": prompt.model.name,
        "id": new_id("msg_bdrk_"),
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage_document(usage, min(usage.output_tokens, 1)),
    }
    stream: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(answer.content):
        first, deltas = _block(block, answer.chunk_chars)
        stream.append({"type": "content_block_start", "index": index, "content_block": first})
        stream += [
            {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
        ]
        stream.append({"type": "content_block_stop", "index": index})
    ending: dict[str, Any] = {
        "stop_reason": _REASONS.get(answer.stop_reason, answer.stop_reason),
        "stop_sequence": answer.stop_sequence,
    }
    if answer.stop_details is not None:
        ending["stop_details"] = answer.stop_details
    if prompt.safeguards:
        ending["safeguard_results"] = _checked(answer)
    last: dict[str, Any] = {
        "type": "message_delta",
        "delta": ending,
        "usage": {"output_tokens": usage.output_tokens},
    }
    if prompt.edits_context:
        last["context_management"] = {"applied_edits": []}
    return [*stream, last, {"type": "message_stop"}]


def _checked(answer: SimulatedAnswer) -> list[dict[str, Any]]:
    """Finds every tool call harmless."""
    passed = {"type": "evaluated", "outcome": "not_flagged"}
    uses = {block["id"]: passed for block in answer.content if block.get("type") == "tool_use"}
    status = {"type": "available", "tool_uses": uses}
    return [{"type": "dangerous_tool_use", "status": status}]


def with_metrics(
    stream: list[dict[str, Any]], answer: SimulatedAnswer, prompt: Prompt, latency_ms: int = 1
) -> list[dict[str, Any]]:
    """Adds the billed tokens to the last event, as InvokeModelWithResponseStream does."""
    usage = answer.usage
    metrics = {
        "inputTokenCount": usage.input_tokens,
        "outputTokenCount": usage.output_tokens,
        "invocationLatency": latency_ms,
        "firstByteLatency": latency_ms,
        "cacheReadInputTokenCount": usage.cache_read,
        "cacheWriteInputTokenCount": usage.cache_write,
    }
    added = {**guardrail.keys(prompt.guardrail), "amazon-bedrock-invocationMetrics": metrics}
    last = {**stream[-1], **added}
    return [*stream[:-1], last]


def pieces(text: str, size: int | None) -> list[str]:
    """Cuts `text` into words, or into pieces of `size` characters."""
    if size is None:
        return _WORDS.findall(text)
    return [text[start : start + size] for start in range(0, len(text), size)]


def _block(block: dict[str, Any], size: int | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    kind = block.get("type")
    if kind == "text":
        first = {**block, "text": ""}
        citations = first.pop("citations", None)
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"], size)]
        if citations:
            first["citations"] = []
            deltas += [{"type": "citations_delta", "citation": item} for item in citations]
        return first, deltas
    if kind == "thinking":
        deltas = [
            {"type": "thinking_delta", "thinking": piece}
            for piece in pieces(block.get("thinking", ""), size)
        ]
        deltas.append({"type": "signature_delta", "signature": block.get("signature", "")})
        return {**block, "thinking": "", "signature": ""}, deltas
    if kind in ("tool_use", "server_tool_use"):
        text = _encode(block.get("input", {})).decode()
        parts = ["", *pieces(text, size or 16)]
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        return {**block, "input": {}}, deltas
    return block, []


def frame(event: dict[str, Any]) -> bytes:
    """Encodes one Anthropic event as one frame."""
    coded = b2a_base64(_encode(event), newline=False).decode()
    return encode_frame(_HEADERS, _encode({"bytes": coded, "p": padding()}))


def server_sent(event: dict[str, Any]) -> bytes:
    """Encodes one Anthropic event as the Messages endpoints send it."""
    name = str(event.get("type", "message")).encode()
    return b"event: %b\ndata: %b\n\n" % (name, _encode(event))
