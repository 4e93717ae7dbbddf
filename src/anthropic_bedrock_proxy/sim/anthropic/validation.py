"""Validation of an Anthropic body for Claude: the top level and the rules per generation.

Any key that the dialect does not know is refused, which is the commonest way a forwarded
first-party request fails on Bedrock. Blocks are in `blocks.py`, tools in `tools.py`,
rules about the order of turns in `turns.py`.
Sources: AWS on the Claude body; the Anthropic API reference for thinking, effort, sampling and
version differences; public issue reports for the wording.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..models.model import Model
from ..prompt import Prompt
from ..wire.fields import bounded, need, only, tag, typed
from ..wire.refusal import extra, invalid
from . import thinking
from .betas import DANGEROUS_TOOL_USE, LONG_CONTEXT, TOKEN_COUNTING
from .blocks import check_system
from .dialect import INVOKE, Dialect
from .scope import Scope, check_cache_control
from .tools import check_tool_choice, check_tools
from .turns import check_messages

CLASSIC_VERSION = "bedrock-2023-05-31"
NEW_VERSION = "2026-10-21"
MALFORMED = "Malformed input request, please reformat your input and try again."
TOO_LONG = "Input is too long for requested model."

_MAX_STOP_SEQUENCES = 8191


def decode_body(data: bytes) -> dict[str, Any]:
    """Decodes the JSON object of a request body. Raises `Refusal`."""
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(MALFORMED) from error
    if not isinstance(body, dict):
        raise invalid(MALFORMED)
    return body


def validate(model: Model, data: bytes) -> Prompt:
    """Checks an InvokeModel body; returns its prompt. Raises `Refusal` in Bedrock's words."""
    if not model.is_claude:
        raise invalid(MALFORMED)
    body = decode_body(data)
    version = need("", body, "anthropic_version", str)
    if version != CLASSIC_VERSION and (version != NEW_VERSION or model.generation < (4, 7)):
        raise invalid("anthropic_version: Invalid API version")
    flags = body.get("anthropic_beta")
    betas = [] if flags is None else typed("anthropic_beta", flags, list)
    return check_body(model, body, INVOKE, betas=betas, new_version=version == NEW_VERSION)


def check_body(
    model: Model, body: dict[str, Any], dialect: Dialect, *, betas: list[Any], new_version: bool
) -> Prompt:
    """Checks a body whose version and flags are known; returns its prompt. Raises `Refusal`."""
    scope = Scope(
        model=model,
        dialect=dialect,
        betas=_accepted(model, dialect, betas),
        new_version=new_version,
        prompt=Prompt(model=model),
    )
    _check_top(scope, body)
    prompt = scope.prompt
    if dialect.counts:
        body = {**body, "max_tokens": model.max_output_tokens}
    prompt.max_tokens = check_max_tokens(model, body)
    _check_sampling(scope, body)
    if (metadata := body.get("metadata")) is not None:
        only("metadata", typed("metadata", metadata, dict), ("user_id",))
    if (stops := body.get("stop_sequences")) is not None:
        prompt.stop_sequences = check_stop_sequences("stop_sequences", stops)
    # Tools come first in the prompt, then system, then messages: so does cache_control.
    tools = check_tools(scope, body["tools"]) if body.get("tools") is not None else {}
    check_system(scope, body.get("system"))
    prompt.thinking = thinking.check(scope.model, body, scope.betas)
    if (choice := body.get("tool_choice")) is not None:
        thinks = prompt.thinking != "off"
        prompt.forced_tool = check_tool_choice(model, choice, tools, thinking=thinks)
    if (config := body.get("output_config")) is not None:
        _check_output_config(scope, config, body)
    if (marker := body.get("cache_control")) is not None:
        check_cache_control(scope, "cache_control", marker)
    check_messages(scope, need("", body, "messages", list), tools, manual=_is_manual(body))
    _check_length(scope)
    return prompt


def _is_manual(body: dict[str, Any]) -> bool:
    settings = body.get("thinking")
    return isinstance(settings, dict) and settings.get("type") == "enabled"


def _accepted(model: Model, dialect: Dialect, flags: list[Any]) -> frozenset[str]:
    for flag in flags:
        known = isinstance(flag, str) and (
            model.accepts_beta(flag, dialect.betas) or (dialect.counts and flag == TOKEN_COUNTING)
        )
        if not known:
            raise invalid("invalid beta flag")
    return frozenset(flags)


def _check_top(scope: Scope, body: dict[str, Any]) -> None:
    for key in body:
        if key in scope.dialect.fields:
            continue
        allowed = (
            (key == "output_config" and scope.model.generation >= (4, 5))
            or (key == "cache_control" and scope.model.generation >= scope.dialect.auto_caching)
            or (key == "safeguards" and DANGEROUS_TOOL_USE in scope.betas)
            or (
                key == "context_management"
                and not scope.betas.isdisjoint(
                    ("context-management-2025-06-27", "compact-2026-01-12")
                )
            )
        )
        if not allowed:
            raise extra(key)
    if scope.new_version:
        for key in ("temperature", "top_p", "top_k"):
            if key in body:
                raise extra(key)
    if body.get("safeguards") is not None:
        scope.prompt.safeguards = _check_safeguards(body["safeguards"])
    if body.get("context_management") is not None:
        _check_context_management(scope, body["context_management"])


def check_max_tokens(model: Model, body: dict[str, Any]) -> int:
    """Returns `max_tokens`. Raises `Refusal` above the model's output limit."""
    limit: int = need("", body, "max_tokens", int)
    if limit < 1:
        raise invalid("max_tokens: Input should be greater than or equal to 1")
    if limit > model.max_output_tokens:
        raise invalid(
            f"max_tokens: {limit} > {model.max_output_tokens}, which is the maximum allowed number "
            f"of output tokens for {model.name}"
        )
    return limit


def _check_sampling(scope: Scope, body: dict[str, Any]) -> None:
    temperature, top_p, top_k = (body.get(key) for key in ("temperature", "top_p", "top_k"))
    for key, value in (("temperature", temperature), ("top_p", top_p)):
        if value is not None:
            bounded(key, typed(key, value, float), 0, 1)
    if top_k is not None:
        bounded("top_k", typed("top_k", top_k, int), 0, 500)
    if scope.model.generation >= (4, 7):
        # The default value of 1 is let through with the classic version.
        for key, value in (("temperature", temperature), ("top_p", top_p), ("top_k", top_k)):
            if value is not None and (key == "top_k" or value != 1):
                raise invalid(f"`{key}` is deprecated for this model.")
    elif temperature is not None and top_p is not None and scope.model.generation >= (4, 1):
        raise invalid(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only "
            "one."
        )


def check_stop_sequences(path: str, value: Any) -> list[str]:
    """Returns the stop sequences. Raises `Refusal` for a blank one."""
    stops: list[str] = typed(path, value, list)
    if len(stops) > _MAX_STOP_SEQUENCES:
        raise invalid(f"{path}: List should have at most {_MAX_STOP_SEQUENCES} items")
    for index, stop in enumerate(stops):
        if not typed(f"{path}.{index}", stop, str).strip():
            raise invalid(f"{path}: each stop sequence must contain non-whitespace")
    return stops


def _check_output_config(scope: Scope, value: Any, body: dict[str, Any]) -> None:
    config = typed("output_config", value, dict)
    only("output_config", config, ("effort", "format"))
    if (effort := config.get("effort")) is not None:
        off = isinstance(body.get("thinking"), dict) and body["thinking"].get("type") == "disabled"
        thinking.check_effort(scope.model, effort, scope.betas, thinking_off=off)
    if (form := config.get("format")) is not None:
        if not scope.dialect.formats:
            raise extra("output_config.format")
        tag("output_config.format", typed("output_config.format", form, dict), ("json_schema",))
        only("output_config.format", form, ("type", "schema"))
        scope.prompt.json_schema = need("output_config.format", form, "schema", dict)


def _check_safeguards(value: Any) -> bool:
    checks = typed("safeguards", value, list)
    for index, check in enumerate(checks):
        path = f"safeguards.{index}"
        tag(path, typed(path, check, dict), ("dangerous_tool_use",))
    return bool(checks)


_EDITS = {
    "clear_tool_uses_20250919": "context-management-2025-06-27",
    "clear_thinking_20251015": "context-management-2025-06-27",
    "compact_20260112": "compact-2026-01-12",
}


def _check_context_management(scope: Scope, value: Any) -> None:
    management = typed("context_management", value, dict)
    only("context_management", management, ("edits",))
    allowed = [kind for kind, beta in _EDITS.items() if beta in scope.betas]
    for index, edit in enumerate(management.get("edits") or []):
        path = f"context_management.edits.{index}"
        tag(path, typed(path, edit, dict), allowed)
    scope.prompt.edits_context = True


def _check_length(scope: Scope) -> None:
    room = scope.model.context_tokens
    if LONG_CONTEXT in scope.betas:
        room = 1_000_000
    if scope.prompt.input_tokens > room:
        raise invalid(TOO_LONG)
