"""Answers that all dialects tell, and the message that a client gets of each, whole or streamed.

Expected values are Anthropic's words for what Bedrock said; where a dialect cannot say it, or says
it otherwise, the row has the reason.
Sources: Anthropic API, the message object (stop_reason, stop_details, usage); bedrock-runtime
service model (StopReason, TokenUsage, ServiceTier).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from wording import Said

TEXT: Final = ({"type": "text", "text": "It is 18 °C in\nParis."},)
CALL: Final = {
    "type": "tool_use",
    "id": "toolu_01",
    "name": "get_weather",
    "input": {"city": "Paris", "days": [1, 2.5, None]},
}
THOUGHT: Final = {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"}
BLOCKED: Final = ({"type": "text", "text": "Sorry, that is not for me."},)
NO_WORD: Final = "Converse has no such stop reason"
NO_SETTING: Final = "the endpoint offers no guardrail and no tier: refused, not left out in silence"


class AnswerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, and what a client is told of it."""

    name: str
    said: Said
    told: dict[str, Any]  # fields of the message, beside content and the usual usage
    usage: dict[str, Any] = {}  # counters other than the usual
    settings: dict[str, str] = {}
    not_on: dict[str, str] = {}  # dialect -> why it cannot say so
    refused_on: dict[str, str] = {}  # dialect -> why the proxy refuses the request there


def _stops(reason: str, **rest: Any) -> AnswerRow:
    given = {
        key: rest.pop(key) for key in ("content", "stop_sequence", "converse_reason") if key in rest
    }
    said = Said(stop_reason=reason, **given)
    told = {"stop_reason": reason, "stop_sequence": said.stop_sequence}
    return AnswerRow(name=f"stop reason {reason}", said=said, told=told, **rest)


STOPS: Final = (
    _stops("end_turn"),
    _stops("max_tokens"),
    _stops("stop_sequence", stop_sequence="STOP"),
    _stops("tool_use", content=(THOUGHT, *TEXT, CALL)),
    _stops("model_context_window_exceeded"),
    _stops("pause_turn", not_on={"converse": NO_WORD}),
    _stops("compaction", not_on={"converse": NO_WORD}),
)
_CYBER: Final = {"type": "refusal", "category": "cyber", "explanation": "Not this."}
REFUSALS: Final = (
    AnswerRow(
        name="a refusal of the model",
        said=Said(content=BLOCKED, stop_reason="refusal", stop_details=_CYBER),
        told={"stop_reason": "refusal", "stop_details": _CYBER},
        not_on={"converse": "its word is content_filtered, without details: see the next row"},
    ),
    AnswerRow(
        name="a refusal by Bedrock's filter",
        said=Said(content=BLOCKED, converse_reason="content_filtered"),
        told={
            "stop_reason": "refusal",
            "stop_details": {
                "type": "refusal",
                "category": None,
                "explanation": "The content filter of Amazon Bedrock stopped the answer.",
            },
        },
        not_on=dict.fromkeys(("invoke", "messages", "mantle"), "Claude says refusal itself"),
    ),
    AnswerRow(
        name="a guardrail intervenes",
        said=Said(content=BLOCKED, converse_reason="guardrail_intervened", intervened=True),
        told={
            "stop_reason": "refusal",
            "stop_details": {
                "type": "refusal",
                "category": None,
                "explanation": "An Amazon Bedrock guardrail intervened.",
            },
        },
        settings={"GUARDRAIL_IDENTIFIER": "gr1", "GUARDRAIL_VERSION": "1"},
        refused_on=dict.fromkeys(("messages", "mantle"), NO_SETTING),
    ),
    AnswerRow(
        name="a guardrail lets it pass",
        said=Said(),
        told={"stop_reason": "end_turn", "stop_details": None},
        settings={"GUARDRAIL_IDENTIFIER": "gr1", "GUARDRAIL_VERSION": "1"},
        refused_on=dict.fromkeys(("messages", "mantle"), NO_SETTING),
    ),
)


def _counts(name: str, said: Said, **counters: Any) -> AnswerRow:
    return AnswerRow(name=name, said=said, told={"stop_reason": "end_turn"}, usage=counters)


def _tier(tier: str, **counters: Any) -> AnswerRow:
    return AnswerRow(
        name=f"service tier {tier}",
        said=Said(tier=tier),
        told={"stop_reason": "end_turn"},
        usage=counters,
        settings={} if tier == "default" else {"DEFAULT_SERVICE_TIER": tier},
        refused_on={} if tier == "default" else dict.fromkeys(("messages", "mantle"), NO_SETTING),
    )


USAGE: Final = (
    _counts("usage of a read", Said(cache_read=900), cache_read_input_tokens=900),
    _counts(
        "usage of a write for 5 minutes",
        Said(cache_5m=70),
        cache_creation_input_tokens=70,
        cache_creation={"ephemeral_5m_input_tokens": 70, "ephemeral_1h_input_tokens": 0},
    ),
    _counts(
        "usage of a write for an hour",
        Said(cache_1h=80),
        cache_creation_input_tokens=80,
        cache_creation={"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 80},
    ),
    _counts(
        "usage of all kinds",
        Said(input_tokens=3, output_tokens=5, cache_read=7, cache_5m=11, cache_1h=13),
        input_tokens=3,
        output_tokens=5,
        cache_read_input_tokens=7,
        cache_creation_input_tokens=24,
        cache_creation={"ephemeral_5m_input_tokens": 11, "ephemeral_1h_input_tokens": 13},
    ),
)
TIERS: Final = (
    _tier("default"),
    _tier("priority", service_tier="priority"),
    _tier("flex", bedrock_service_tier="flex"),
    _tier("reserved", bedrock_service_tier="reserved"),
)
ROWS: Final = (*STOPS, *REFUSALS, *USAGE, *TIERS)
# Counters of the SDK that stand in no row -> why.
_AS_IT_COMES: Final = "Claude's own dialects pass it on as it comes; Converse has none"
OTHER_COUNTERS: Final = {
    "fallback_credit": _AS_IT_COMES,
    "inference_geo": _AS_IT_COMES,
    "iterations": _AS_IT_COMES,
    "output_tokens_details": _AS_IT_COMES,
    "server_tool_use": "counted by the proxy, whose tools they are: tests/turn/",
    "speed": _AS_IT_COMES,
}
