"""Top-level fields for Bedrock's native dialects: InvokeModel and the Messages endpoints.

Bedrock refuses every key it does not know. So what a client may send and Bedrock does not take is
edited here: left out where nothing is lost by it (and named in `dropped`), else refused with its
path. A field that neither side knows is forwarded: Bedrock names it.
Sources: AWS documentation of Claude on InvokeModel; the body that Claude Code itself sends to
Bedrock per model; public refusals ("Extra inputs are not permitted").
"""

from __future__ import annotations

from typing import Final

from ...errors import InvalidRequestError
from .draft import NativeDraft, decode
from .messages import edit_messages, edit_system
from .tools import edit_tools

# Fields that have a form of their own on every dialect.
CONVERTED: Final = frozenset(
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
# Those and the fields that native dialects take as they are; adapt has removed what one lacks.
_NATIVE: Final = CONVERTED | {"cache_control", "context_management", "safeguards"}
# Top-level fields that Bedrock does not take. None: the answer is the same without.
# Text: refused unless null or empty, with this reason.
UNSUPPORTED: Final[dict[str, str | None]] = {
    "billing_policy": None,  # whom Anthropic bills has no meaning on one's own AWS account
    "diagnostics": None,  # cache-miss explanations; the answer just lacks them
    "service_tier": None,  # auto and standard_only both mean Bedrock's default tier
    "tags": None,  # for a gateway that bills by them; Bedrock refuses them
    "speed": None,  # Bedrock has one speed; `usage.speed` is absent from the answer
    "betas": "betas: send beta flags in the anthropic-beta header",
    "compaction": "compaction: not available on Amazon Bedrock; remove it",
    "container": "container: only for requests with a code execution tool; remove it",
    "fallbacks": "fallbacks: not available on Amazon Bedrock; remove it",
    "fallback_credit_token": "fallback_credit_token: not available on Amazon Bedrock; remove it",
    "thread": "thread: server-side threads are not available; send the whole history",
}
# For programs: the SDKs' tool runners send the whole history once they have seen this one.
_CODES: Final = {"thread": "thread_unsupported_request"}
_COMPACT: Final = "compact_"
_AMAZON: Final = "amazon-bedrock-"
_EMPTY: Final = (b"null", b"[]")


def edit_request(draft: NativeDraft) -> None:
    """Brings everything but model, stream and flags into Bedrock's form.

    Raises `InvalidRequestError` with the path.
    """
    if draft.stays:
        edit_system(draft)
        return
    for name in draft.request.fields:
        if name not in _NATIVE:
            _edit_field(draft, name)
    edit_tools(draft)
    edit_system(draft)
    edit_messages(draft)
    if "cache_control" in draft.fields:
        _edit_cache_control(draft)
    if "context_management" in draft.fields:
        _flag_context_management(draft)
    if "safeguards" in draft.fields:
        draft.need("safeguards")
    if "output_config" in draft.fields:
        _check_output_config(draft)


def unsupported(name: str, reason: str) -> InvalidRequestError:
    """Makes the refusal of a field that Bedrock does not take."""
    code = _CODES.get(name)
    return InvalidRequestError(reason, error_code=code, unsupported=(name,) if code else ())


def _edit_field(draft: NativeDraft, name: str) -> None:
    if name in UNSUPPORTED:
        reason = UNSUPPORTED[name]
        value = bytes(draft.fields.pop(name))
        if reason is None:
            draft.dropped.append(name)
        elif value not in _EMPTY:
            raise unsupported(name, reason)
    elif name.startswith(_AMAZON):
        raise InvalidRequestError(f"{name[:80]}: not a field of the Messages API; remove it")


def _edit_cache_control(draft: NativeDraft) -> None:
    raw = draft.fields.pop("cache_control")
    if not draft.marks(raw):
        draft.fields["cache_control"] = raw
        return
    holder = {"cache_control": decode(raw)}
    draft.mark(holder, "")
    if holder:
        draft.set("cache_control", holder["cache_control"])


def _flag_context_management(draft: NativeDraft) -> None:
    """Asks for the flags of context edits that the model applies itself; it takes them all here."""
    for edit in decode(draft.fields["context_management"])["edits"]:
        compacts = str(edit.get("type")).startswith(_COMPACT)
        draft.need("compaction" if compacts else "context_management")


def _check_output_config(draft: NativeDraft) -> None:
    config = decode(draft.fields["output_config"])
    if not isinstance(config, dict):
        return
    features = draft.capabilities.features
    if config.get("effort") is not None and "effort_beta" in features:
        draft.need("effort")  # the client need not send the flag
    if config.get("format") is not None and "structured_output" not in features:
        raise InvalidRequestError(
            "output_config.format: structured output is not available for this model on this "
            "endpoint; use a tool with the schema instead"
        )
