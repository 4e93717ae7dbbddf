"""Ends of Converse answers in Anthropic's terms: the stop reason and the usage.

`inputTokens` excludes cache tokens on both sides, so the counts are only renamed.
Sources: Bedrock service model (StopReason, TokenUsage); Anthropic API, the message object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

from ....aws_errors import UpstreamRefusal
from ...answer.bedrock_words import CONTENT_FILTER, GUARDRAIL, refusal_ending, tier_usage
from .shapes import Stop

_SAME: Final = frozenset(
    {"end_turn", "tool_use", "max_tokens", "stop_sequence", "model_context_window_exceeded"}
)
_REFUSED: Final = {
    "guardrail_intervened": GUARDRAIL,
    "content_filtered": CONTENT_FILTER,
}
_MALFORMED: Final = frozenset({"malformed_model_output", "malformed_tool_use"})


def ending(
    stop: Stop, stop_sequences: Sequence[str], *, has_content: bool, calls_tool: bool
) -> dict[str, Any]:
    """`stop_reason`, `stop_sequence` and, after a refusal, `stop_details`.

    `stop_sequences` are the request's, `calls_tool` whether the content has a call for the client.
    Raises `UpstreamRefusal` if the model's output was malformed and nothing of it is left.
    """
    reason = stop.stop_reason
    if reason in _REFUSED:
        return refusal_ending(_REFUSED[reason])
    if reason in _MALFORMED:
        if not has_content:
            raise UpstreamRefusal("ModelErrorException", "The model's output was malformed.")
        # Not tool_use: a call in malformed output is not meant to be run.
        return {"stop_reason": "end_turn", "stop_sequence": None}
    if reason not in _SAME:
        reason = "end_turn"
    if reason == "end_turn" and calls_tool:
        reason = "tool_use"  # some models forget to say so, and clients run tools on this word
    matched = _matched(stop, stop_sequences) if reason == "stop_sequence" else None
    return {"stop_reason": reason, "stop_sequence": matched}


def _matched(stop: Stop, stop_sequences: Sequence[str]) -> str | None:
    """Returns the stop sequence that the model stopped at; None if AWS does not tell."""
    fields = stop.additional_model_response_fields
    matched = fields.get("stop_sequence") if isinstance(fields, dict) else None
    if isinstance(matched, str):
        return matched
    return stop_sequences[0] if len(stop_sequences) == 1 else None


def tells_usage(tree: Mapping[str, Any]) -> bool:
    """Tells whether a Converse answer or a `metadata` event has both counts of tokens."""
    usage = tree.get("usage")
    return isinstance(usage, dict) and all(
        _is_count(usage.get(name)) for name in ("inputTokens", "outputTokens")
    )


def usage_of(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Anthropic's usage from a Converse answer or a `metadata` event; what is unreadable is 0."""
    usage = tree.get("usage")
    counts: dict[str, Any] = usage if isinstance(usage, dict) else {}
    written = _count(counts, "cacheWriteInputTokens")
    details = counts.get("cacheDetails")
    long_lived = sum(
        _count(detail, "inputTokens")
        for detail in (details if isinstance(details, list) else ())
        if isinstance(detail, dict) and detail.get("ttl") == "1h"
    )
    tier = tree.get("serviceTier")
    served = tier.get("type") if isinstance(tier, dict) else None
    return {
        "input_tokens": _count(counts, "inputTokens"),
        "cache_creation_input_tokens": max(written, long_lived),
        "cache_read_input_tokens": _count(counts, "cacheReadInputTokens"),
        "cache_creation": {
            # Without details every write has the default time to live.
            "ephemeral_5m_input_tokens": max(0, written - long_lived),
            "ephemeral_1h_input_tokens": long_lived,
        },
        "output_tokens": _count(counts, "outputTokens"),
        **tier_usage(served),
    }


def _count(counts: Mapping[str, Any], name: str) -> int:
    value = counts.get(name)
    return value if _is_count(value) else 0


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
