"""`thinking` and `output_config` in the form that each family takes.

A Claude gets Anthropic's own settings; Nova and the open-weight models know levels of effort, to
which budgets are mapped as the predecessor of this proxy did. Models without reasoning are asked
without it.
Source: Anthropic API, thinking and effort; Amazon Nova, extended thinking; bedrock-runtime service
model (OutputConfig).
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec import Raw, Struct

from ....errors import InvalidRequestError
from .draft import ConverseDraft
from .reading import read, shown, tree_decoder

_HIGH_BUDGET: Final = 10_000  # tokens: more is high effort
_MEDIUM_BUDGET: Final = 1_000  # fewer is low effort
_LEVELS: Final = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_FORMAT_NAME: Final = "response"
# What Nova refuses beside the highest effort: there the model alone decides.
_NOVA_REFUSES: Final = (
    ("temperature", "temperature"),
    ("topP", "top_p"),
    ("maxTokens", "max_tokens"),
)


class _Thinking(Struct, gc=False):
    type: str
    budget_tokens: int | None = None


class _Format(Struct, tag_field="type", tag="json_schema", gc=False):
    schema: Raw
    name: str | None = None
    description: str | None = None


_thinking = msgspec.json.Decoder(_Thinking | None)
_members = msgspec.json.Decoder(dict[str, Raw] | None)
_effort = msgspec.json.Decoder(Literal["low", "medium", "high", "xhigh", "max"] | None)
_format = msgspec.json.Decoder(_Format | None)


def convert_thinking(draft: ConverseDraft) -> None:
    """Converts `thinking` and `output_config`, after the sampling settings.

    Raises `InvalidRequestError` with the path.
    """
    raw = draft.request.fields.get("thinking")
    settings = None if raw is None else read(raw, _thinking, "thinking")
    effort = _convert_output_config(draft)
    if raw is not None and settings is not None and draft.claude:
        _think_natively(draft, raw)
        settings = None
    level = _level(draft, settings, effort)
    if level is None:
        return
    if "reasoning_effort" in draft.features:
        draft.additional["reasoning_effort"] = level
    else:
        _reason_as_nova(draft, level)


def _convert_output_config(draft: ConverseDraft) -> str | None:
    """Converts `output_config`; returns an effort that the model can take only as a level."""
    raw = draft.request.fields.get("output_config")
    members = None if raw is None else read(raw, _members, "output_config")
    effort = None
    for name, value in (members or {}).items():
        path = f"output_config.{shown(name)}"
        if name == "effort":
            effort = read(value, _effort, path)
        elif name == "format":
            _convert_format(draft, read(value, _format, path), path)
        elif bytes(value) != b"null":
            draft.dropped.append(path)
            draft.warnings.append(f"{path}: not available on Bedrock's Converse; left out")
    if effort is None or not (
        "effort" in draft.features or ("effort_beta" in draft.features and draft.need("effort"))
    ):
        return effort
    draft.body.setdefault("outputConfig", {})["effort"] = effort
    return None


def _convert_format(draft: ConverseDraft, wanted: _Format | None, path: str) -> None:
    if wanted is None:
        return
    if "structured_output" not in draft.features:
        raise InvalidRequestError(
            f"{path}: structured output is not available for this model; use a tool with the "
            "schema instead"
        )
    if not bytes(wanted.schema).startswith(b"{"):
        raise InvalidRequestError(f"{path}.schema: Expected `object`")
    schema = {"schema": bytes(wanted.schema).decode(), "name": wanted.name or _FORMAT_NAME}
    if wanted.description:
        schema["description"] = wanted.description
    draft.body.setdefault("outputConfig", {})["textFormat"] = {
        "type": "json_schema",
        "structure": {"jsonSchema": schema},
    }


def _think_natively(draft: ConverseDraft, raw: Raw) -> None:
    """Passes `thinking` on: adapt has made it a kind that this Claude has."""
    draft.additional["thinking"] = read(raw, tree_decoder, "thinking")


def _level(draft: ConverseDraft, settings: _Thinking | None, effort: str | None) -> str | None:
    """Returns the level of effort for a model that has levels; None: its own default."""
    thinks = settings is not None and settings.type != "disabled"
    by_levels = "reasoning_effort" in draft.features
    if not by_levels and not (thinks and "reasoning_nova" in draft.features):
        if settings is not None:
            draft.dropped.append("thinking")
        if effort is not None:
            draft.dropped.append("output_config.effort")
        return None
    if settings is not None and settings.type == "enabled":
        if effort is not None:
            draft.dropped.append("output_config.effort")  # the budget says it more exactly
        return _level_of(settings.budget_tokens)
    if settings is not None and not thinks:
        draft.dropped.append("thinking")
    if effort is not None:
        return _LEVELS[effort]
    return "medium" if thinks else None


def _level_of(budget: int | None) -> str:
    if budget is None:
        return "medium"
    if budget > _HIGH_BUDGET:
        return "high"
    return "low" if budget < _MEDIUM_BUDGET else "medium"


def _reason_as_nova(draft: ConverseDraft, level: str) -> None:
    draft.additional["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": level}
    if level != "high":
        return
    config: dict[str, Any] = draft.body.get("inferenceConfig", {})
    for member, name in _NOVA_REFUSES:
        if config.pop(member, None) is not None:
            draft.dropped.append(name)
    if draft.additional.pop("inferenceConfig", None) is not None:
        draft.dropped.append("top_k")
    if not config:
        draft.body.pop("inferenceConfig", None)
