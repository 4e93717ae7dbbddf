"""Thinking and effort in the kind that the model has.

Kinds differ by generation: a budget (`enabled`) up to 4.6, `adaptive` from 4.6 on, always on for
Fable and Mythos. A client that names a newer model which the operator maps to an older one, as
Claude Code does, must not fail on it: the nearest kind is chosen and the client is warned.
Source: Anthropic API, "Extended thinking" and "Effort".
"""

from __future__ import annotations

import re
from typing import Any, Final

from ...errors import InvalidRequestError
from .choice import FORCED
from .limits import EMPTY
from .rewrite import Rewrite

_LEVELS: Final = ("low", "medium", "high", "xhigh", "max")
_LEAST_BUDGET: Final = 1024
_BUDGETS: Final = {"low": 2048, "medium": 8192, "high": 16384, "xhigh": 24576, "max": 31999}
_THOUGHTS: Final = ("thinking", "redacted_thinking")
_OFF: Final = {"disabled": "between_tools", "between_tools": "disabled"}  # neither thinks
# A thought of another maker's model, as Converse's answers tell it.
_UNSIGNED: Final = re.compile(rb'"signature"\s*+:\s*+""')


def adapt_thinking(rewrite: Rewrite) -> None:
    """Chooses thinking and effort of a kind that this Claude has; other models have their own.

    Raises `InvalidRequestError`.
    """
    if "claude" not in rewrite.features:
        return
    effort = _adapt_effort(rewrite)
    raw = rewrite.fields.get("thinking")
    if raw is None:
        return
    settings: dict[str, Any] | None = rewrite.object("thinking")
    kind = rewrite.object("thinking").get("type")
    if settings and f"thinking_{kind}" not in rewrite.features:
        settings = _nearest(rewrite, kind, settings, effort)
    elif kind == "enabled" and _loop_without_thinking(rewrite):
        rewrite.warnings.append("thinking: the turn began without; left out until it is over")
        settings = None
    if settings and "display" in settings and "thinking_display" not in rewrite.features:
        settings = {key: value for key, value in settings.items() if key != "display"}
        rewrite.dropped.append("thinking.display")
    settings = _within_answer(rewrite, _without_betas(rewrite, settings))
    if settings != rewrite.object("thinking"):
        rewrite.set("thinking", settings or None)


def _within_answer(rewrite: Rewrite, settings: dict[str, Any] | None) -> dict[str, Any] | None:
    """Lowers a budget that no longer fits the answer since its max_tokens was lowered."""
    budget, most = (settings or {}).get("budget_tokens"), rewrite.max_tokens
    asked = rewrite.request.view.max_tokens
    if (
        settings is None
        or most is None
        or not isinstance(budget, int)
        or not isinstance(asked, int)
        or not most <= budget < asked
    ):
        return settings
    return {**settings, "budget_tokens": most - 1}


def _without_betas(rewrite: Rewrite, settings: dict[str, Any] | None) -> dict[str, Any] | None:
    """Leaves out the settings of thinking whose beta flag the model does not take."""
    if not settings:
        return settings
    if settings.get("display") == "updates" and not rewrite.can("thinking_updates"):
        rewrite.warnings.append("thinking.display: updates became summarized")
        settings = {**settings, "display": "summarized"}
    if "block_binding" in settings and not rewrite.can("thinking_binding"):
        rewrite.dropped.append("thinking.block_binding")
        settings = {key: value for key, value in settings.items() if key != "block_binding"}
    return settings


def _nearest(
    rewrite: Rewrite, kind: Any, settings: dict[str, Any], effort: str
) -> dict[str, Any] | None:
    """Returns settings of the nearest kind that the model has; None: its own default."""
    off = _OFF.get(str(kind))
    if off is not None and f"thinking_{off}" in rewrite.features:
        rewrite.warnings.append(f"thinking: {kind} became {off}, which this model has instead")
        return {"type": off}
    if off is not None:
        if "thinking_adaptive" in rewrite.features:
            rewrite.warnings.append("thinking: this model always thinks")
        return None  # without adaptive it never thinks
    if kind not in ("enabled", "adaptive"):
        return settings  # Bedrock names it
    if "thinking_adaptive" in rewrite.features:
        rewrite.warnings.append(f"thinking: {kind} became adaptive, which this model has instead")
        return {k: v for k, v in settings.items() if k == "display"} | {"type": "adaptive"}
    budget = _budget(rewrite, effort)
    if "thinking_enabled" not in rewrite.features or budget is None:
        rewrite.warnings.append(f"thinking: {kind} is not available for this request; left out")
        return None
    rewrite.warnings.append(f"thinking: {kind} became enabled with a budget of {budget} tokens")
    return {"type": "enabled", "budget_tokens": budget}


def _budget(rewrite: Rewrite, effort: str) -> int | None:
    """Returns the tokens to think with; None where a budget would make the request invalid."""
    most = _BUDGETS["max"] if rewrite.max_tokens is None else rewrite.max_tokens - 1
    forced = rewrite.object("tool_choice").get("type") in FORCED
    if most < _LEAST_BUDGET or forced or _loop_without_thinking(rewrite):
        return None
    return max(_LEAST_BUDGET, min(_BUDGETS[effort], most * 3 // 4))


def _loop_without_thinking(rewrite: Rewrite) -> bool:
    """Tells whether a tool loop is running whose assistant turn does not begin with its thinking.

    Bedrock refuses a thinking budget for such a history.
    """
    messages = rewrite.messages
    for index in range(len(messages) - 1, -1, -1):
        content = messages[index].content
        if messages[index].role == "assistant":
            return (
                isinstance(content, str)
                or not content
                or content[0].type not in _THOUGHTS
                or _UNSIGNED.search(rewrite.raw(index)) is not None
            )
        results = not isinstance(content, str) and any(b.type == "tool_result" for b in content)
        if messages[index].role == "user" and not results:
            return False
    return False


def drop_unsigned(rewrite: Rewrite) -> None:
    """Takes out thoughts without a signature, which a Claude refuses: another model had them."""
    if "claude" not in rewrite.features or not _UNSIGNED.search(rewrite.fields["messages"]):
        return
    for index, message in enumerate(rewrite.messages):
        if message.role == "assistant" and _UNSIGNED.search(rewrite.raw(index)):
            content = rewrite.message(index)["content"]
            gone = [position for position, block in enumerate(content) if _is_unsigned(block)]
            rewrite.dropped += [f"messages.{index}.content.{position}" for position in gone]
            for position in reversed(gone):
                del content[position]
            if not content:
                content.append({"type": "text", "text": EMPTY})


def _is_unsigned(block: dict[str, Any]) -> bool:
    return block["type"] == "thinking" and block.get("signature") == ""


def _adapt_effort(rewrite: Rewrite) -> str:
    """Clamps the effort to what the model has; returns the one that was asked for."""
    if "output_config" not in rewrite.fields:
        return "high"
    config = rewrite.object("output_config")
    effort = config.get("effort")
    if effort is None:
        return "high"
    if not isinstance(effort, str) or effort not in _LEVELS:
        raise InvalidRequestError(f"output_config.effort: must be one of {', '.join(_LEVELS)}")
    if not rewrite.features & {"effort", "effort_beta"}:
        rewrite.dropped.append("output_config.effort")
        rest = {key: value for key, value in config.items() if key != "effort"}
        rewrite.set("output_config", rest or None)
        return effort
    most = "max" if "effort_max" in rewrite.features else "high"
    level = effort
    if level == "xhigh" and "effort_xhigh" not in rewrite.features:
        level = "high"
    if level == "max" and most != "max":
        level = "high"
    if level != effort:
        rewrite.warnings.append(f"output_config.effort: {effort} became {level}")
        rewrite.set("output_config", {**config, "effort": level})
    return effort
