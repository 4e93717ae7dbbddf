"""Anthropic Messages -> InvokeModel body. Near pass-through: raw JSON in, raw JSON out.

Bedrock takes Anthropic's own body minus `model` and `stream`, plus `anthropic_version` and
`anthropic_beta`, and refuses every key it does not know. So what a client may send and Bedrock
does not take is edited here: left out where nothing is lost by it (and named in `dropped`), else
refused with its path. A field that neither side knows is forwarded: Bedrock names it.
Sources: AWS documentation of Claude on InvokeModel; the body that Claude Code itself sends to
Bedrock per model; public refusals ("Extra inputs are not permitted").
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from ..errors import InvalidRequestError
from .betas import BetaRules, split_header
from .capabilities import Generation
from .invoke_draft import Draft, decode, encode
from .invoke_messages import edit_messages, edit_system
from .invoke_tools import edit_tools
from .messages import MessagesRequest

_ANTHROPIC_VERSION: Final = Raw(b'"bedrock-2023-05-31"')  # the one that every Claude takes
_NATIVE: Final = frozenset(
    (
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    )
)
# Top-level fields that InvokeModel does not take. None: the answer is the same without.
# Text: refused unless null or empty, with this reason.
_UNSUPPORTED: Final[dict[str, str | None]] = {
    "billing_policy": None,  # whom Anthropic bills has no meaning on one's own AWS account
    "cache_control": None,  # automatic caching only saves money; explicit markers still work
    "diagnostics": None,  # cache-miss explanations; the answer just lacks them
    "service_tier": None,  # auto and standard_only both mean Bedrock's default tier
    "speed": None,  # Bedrock has one speed; `usage.speed` is absent from the answer
    "betas": "betas: send beta flags in the anthropic-beta header",
    "compaction": "compaction: not available on Amazon Bedrock; remove it",
    "container": "container: code execution is not available in this version; remove it",
    "fallbacks": "fallbacks: not available on Amazon Bedrock; remove it",
    "fallback_credit_token": "fallback_credit_token: not available on Amazon Bedrock; remove it",
    "inference_geo": (
        "inference_geo: choose the geography by the model's inference profile "
        "(for example us.anthropic...) instead"
    ),
    "mcp_servers": "mcp_servers: the MCP connector is not available on Amazon Bedrock; remove it",
    "thread": "thread: server-side threads are not available; send the whole history",
}
_AMAZON: Final = "amazon-bedrock-"
_EMPTY: Final = (b"null", b"[]")
_COMPACT: Final = "compact_"
_CLEAR_THINKING: Final = "clear_thinking_20251015"
_MISSHAPEN: Final = (
    msgspec.MsgspecError,
    TypeError,
    KeyError,
    AttributeError,
    ValueError,
    RecursionError,
)


class InvokeRequest(msgspec.Struct, frozen=True):
    """What goes to Bedrock, and the paths of what was left out on the way."""

    body: bytes
    dropped: tuple[str, ...] = ()


def to_invoke(
    request: MessagesRequest, flags: list[str], generation: Generation, rules: BetaRules
) -> InvokeRequest:
    """Converts a request; `flags` are the client's beta flags.

    Raises `InvalidRequestError` for what Bedrock cannot do, with the path.
    """
    try:
        return _convert(Draft(request, flags, generation, rules))
    except _MISSHAPEN as error:
        # Whatever the checks on the way did not foresee: the client's doing, with no path known.
        raise InvalidRequestError(
            "The request body cannot be converted: one of its fields has an unexpected form"
        ) from error


def _convert(draft: Draft) -> InvokeRequest:
    fields = draft.fields
    del fields["model"]
    fields.pop("stream", None)
    for name in draft.request.fields:
        if name not in _NATIVE:
            _edit_field(draft, name)
    _edit_thinking(draft)
    edit_messages(draft)
    edit_tools(draft)
    edit_system(draft)
    if "output_config" in fields:
        _edit_effort(draft)
    draft.settle_betas()
    fields["anthropic_version"] = _ANTHROPIC_VERSION
    return InvokeRequest(encode(fields), tuple(draft.dropped))


def _edit_field(draft: Draft, name: str) -> None:
    if name in _UNSUPPORTED:
        reason = _UNSUPPORTED[name]
        value = bytes(draft.fields.pop(name))
        if reason is None:
            draft.dropped.append(name)
        elif value not in _EMPTY:
            raise InvalidRequestError(reason)
    elif name == "context_management":
        _edit_context_management(draft)
    elif name == "anthropic_beta":
        # Clients of Bedrock send their flags here: the same rules as for the header.
        draft.flags += _flags(decode(draft.fields.pop(name)))
    elif name.startswith(_AMAZON):
        raise InvalidRequestError(f"{name[:80]}: not a field of the Messages API; remove it")
    elif name == "output_format":
        # Before anthropic 2.x the schema stood at the top level (beta structured-outputs).
        value = decode(draft.fields.pop(name))
        if value is not None:
            draft.merge_output_config("format", value, replace=False)


def _edit_context_management(draft: Draft) -> None:
    value = decode(draft.fields["context_management"])
    if not isinstance(value, dict | None):
        raise InvalidRequestError("context_management: Expected `object`")
    edits = (value or {}).get("edits")
    if not isinstance(edits, list | None):
        raise InvalidRequestError("context_management.edits: Expected `array`")
    if not edits or all(_keeps_everything(edit) for edit in edits):
        # Keeping all thinking is what happens anyway: the edit that Claude Code always sends.
        del draft.fields["context_management"]
        draft.dropped.append("context_management")
        return
    for index, edit in enumerate(edits):
        if not isinstance(edit, dict):
            raise InvalidRequestError(f"context_management.edits.{index}: Expected `object`")
        compacts = str(edit.get("type")).startswith(_COMPACT)
        if not draft.need("compaction" if compacts else "context_management"):
            raise InvalidRequestError(
                f"context_management.edits.{index}: not available for this model on Amazon "
                "Bedrock; remove it"
            )


def _flags(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(flag, str) for flag in value):
        raise InvalidRequestError("anthropic_beta: Expected an array of strings")
    return split_header(value)


def _edit_effort(draft: Draft) -> None:
    """Where effort is a beta, the client need not know."""
    if "effort_beta" in draft.generation.features:
        config = decode(draft.fields["output_config"])
        if isinstance(config, dict) and config.get("effort") is not None:
            draft.need("effort")


def _edit_thinking(draft: Draft) -> None:
    """Older models always show their thinking; Claude Code asks all of them to omit it."""
    raw = draft.fields.get("thinking")
    if raw is None or "thinking_display" in draft.generation.features:
        return
    settings = decode(raw)
    if isinstance(settings, dict) and "display" in settings:
        del settings["display"]
        draft.fields["thinking"] = Raw(encode(settings))
        draft.dropped.append("thinking.display")


def _keeps_everything(edit: Any) -> bool:
    return (
        isinstance(edit, dict) and edit.get("type") == _CLEAR_THINKING and edit.get("keep") == "all"
    )
