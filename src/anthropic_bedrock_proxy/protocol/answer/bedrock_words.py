"""Refusals and tiers, which only Bedrock knows of an answer, in Anthropic's words.

The same on every dialect, so that no client can tell them apart by it.
Sources: Bedrock service model (StopReason, ServiceTier); Anthropic API, the message object.
"""

from __future__ import annotations

from typing import Any, Final

GUARDRAIL: Final = "An Amazon Bedrock guardrail intervened."
CONTENT_FILTER: Final = "The content filter of Amazon Bedrock stopped the answer."
DEFAULT_TIER: Final = "default"
_PRIORITY: Final = "priority"  # Anthropic's word too


def refusal_ending(explanation: str) -> dict[str, Any]:
    """Returns the end of an answer that Bedrock stopped: Claude's own way to refuse."""
    details = {"type": "refusal", "category": None, "explanation": explanation}
    return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}


def tier_usage(served: object) -> dict[str, str]:
    """Returns the fields of `usage` that tell the tier which served an answer.

    Anthropic has no words for flex and reserved, which cost something else all the same.
    """
    tier = "priority" if served == _PRIORITY else "standard"
    if not isinstance(served, str) or served in {DEFAULT_TIER, _PRIORITY}:
        return {"service_tier": tier}
    return {"service_tier": tier, "bedrock_service_tier": served}
