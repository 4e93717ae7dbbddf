"""Guardrails, as far as a client can see them: headers or a field in, an action out.

No policy runs. A prompt that holds the word GUARDRAIL_BLOCK is stopped, any other passes, and the
answer says which. Sources: the service model (botocore) for patterns and shapes, the guardrail
documentation of AWS for the keys that InvokeModel adds to a body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .prompt import Guardrail
from .wire.fields import one_of
from .wire.refusal import invalid
from .wire.shapes import constraint

WORD = b"GUARDRAIL_BLOCK"
BLOCKED_TEXT = "Sorry, the guardrail of the simulator does not let this through."
_IDENTIFIER = re.compile(
    r"(|([a-z0-9]+)|(arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+))"
)
_VERSION = re.compile(r"(|([1-9][0-9]{0,7})|(DRAFT))")
_TRACES = ("ENABLED", "DISABLED", "ENABLED_FULL")


def from_headers(headers: Mapping[str, str], body: bytes) -> Guardrail | None:
    """Reads the guardrail of an InvokeModel request. Raises `Refusal`."""
    trace = headers.get("x-amzn-bedrock-trace")
    if trace is not None:
        one_of("trace", trace, _TRACES)
    return _guardrail(
        headers.get("x-amzn-bedrock-guardrailidentifier"),
        headers.get("x-amzn-bedrock-guardrailversion"),
        body,
        traced=(trace or "").startswith("ENABLED"),
    )


def from_config(config: dict[str, Any] | None, body: bytes) -> Guardrail | None:
    """Reads the guardrail of a Converse request's `guardrailConfig`. Raises `Refusal`."""
    if config is None:
        return None
    return _guardrail(
        config.get("guardrailIdentifier") or "",
        config.get("guardrailVersion"),
        body,
        traced=(config.get("trace") or "").startswith("enabled"),
    )


def _guardrail(
    identifier: str | None, version: str | None, body: bytes, *, traced: bool
) -> Guardrail | None:
    if identifier is None and version is None:
        return None
    for name, value, pattern in (
        ("guardrailIdentifier", identifier, _IDENTIFIER),
        ("guardrailVersion", version, _VERSION),
    ):
        if not value:
            raise invalid(f"The {name} is required when a guardrail is used.")
        if not pattern.fullmatch(value):
            rule = f"Member must satisfy regular expression pattern: {pattern.pattern}"
            raise constraint("", name, value, rule)
    return Guardrail(identifier=identifier or "", traced=traced, blocks=WORD in body)


def keys(guardrail: Guardrail | None) -> dict[str, Any]:
    """Returns the keys that InvokeModel adds to the body."""
    if guardrail is None:
        return {}
    added: dict[str, Any] = {
        "amazon-bedrock-guardrailAction": "INTERVENED" if guardrail.blocks else "NONE"
    }
    if guardrail.traced:
        added["amazon-bedrock-trace"] = {"guardrail": {"input": _assessment(guardrail)}}
    return added


def trace(guardrail: Guardrail | None) -> dict[str, Any]:
    """Returns the members that Converse adds to the answer or to `metadata`."""
    if guardrail is None or not guardrail.traced:
        return {}
    return {"trace": {"guardrail": {"inputAssessment": _assessment(guardrail)}}}


def _assessment(guardrail: Guardrail) -> dict[str, Any]:
    words = [{"match": WORD.decode(), "action": "BLOCKED", "detected": True}]
    found = words if guardrail.blocks else []
    return {guardrail.identifier: {"wordPolicy": {"customWords": found, "managedWordLists": []}}}
