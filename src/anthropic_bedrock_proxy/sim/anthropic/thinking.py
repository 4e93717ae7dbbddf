"""Thinking and effort settings that a model takes.

Up to 4.5 only `enabled` with a budget, 4.6 both kinds, from 4.7 only `adaptive`; Fable and
Mythos 5 cannot switch it off; `between_tools` exists from 5.5. Source: the Anthropic API
reference (thinking and effort tables); the two dialects share these rules.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..models.model import Model
from ..wire.fields import need, one_of, only, tag, typed
from ..wire.refusal import extra, invalid
from .betas import Generation

_MIN_BUDGET = 1024
_FIRST_THINKING: Generation = (3, 7)
_ADAPTIVE_ONLY: Generation = (4, 7)
_ADAPTIVE: Generation = (4, 6)
_BETWEEN_TOOLS: Generation = (5, 5)


def check(model: Model, body: dict[str, Any], betas: Collection[str]) -> str:
    """Checks the `thinking` of a body with `max_tokens`; returns `off`, `shown` or `omitted`."""
    settings = body.get("thinking")
    if settings is None:
        return "omitted" if model.always_thinks else "off"
    typed("thinking", settings, dict)
    if model.generation < _FIRST_THINKING:
        raise extra("thinking")
    kind = tag("thinking", settings, _kinds(model))
    path = f"thinking.{kind}"
    if kind in ("disabled", "between_tools"):
        only(path, settings, ("type",))
        if kind == "disabled" and not model.takes_disabled:
            raise invalid('"thinking.type.disabled" is not supported for this model.')
        return "off"
    if kind == "enabled":
        _check_enabled(model, settings, body, betas)
    else:
        _check_adaptive(model, settings, betas)
    if model.generation < (4, 7) and body.get("temperature") not in (None, 1):
        raise invalid("`temperature` may only be set to 1 when thinking is enabled.")
    default = "omitted" if model.generation >= _ADAPTIVE_ONLY else "summarized"
    return "omitted" if settings.get("display", default) == "omitted" else "shown"


def _kinds(model: Model) -> list[str]:
    kinds = ["adaptive", "disabled", "enabled"]
    return [*kinds, "between_tools"] if model.generation >= _BETWEEN_TOOLS else kinds


def _check_enabled(
    model: Model, settings: dict[str, Any], body: dict[str, Any], betas: Collection[str]
) -> None:
    if model.generation >= _ADAPTIVE_ONLY:
        raise invalid(
            '"thinking.type.enabled" is not supported for this model. Use '
            '"thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
        )
    path = "thinking.enabled"
    allowed = ("type", "budget_tokens", "display")
    only(path, settings, allowed if model.generation >= _ADAPTIVE else allowed[:2])
    budget = need(path, settings, "budget_tokens", int)
    if budget < _MIN_BUDGET:
        raise invalid(
            f"{path}.budget_tokens: Input should be greater than or equal to {_MIN_BUDGET}"
        )
    interleaved = "interleaved-thinking-2025-05-14" in betas and bool(body.get("tools"))
    if budget >= body.get("max_tokens", 0) and not interleaved:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    _check_display(path, settings, betas)


def _check_adaptive(model: Model, settings: dict[str, Any], betas: Collection[str]) -> None:
    if model.generation < _ADAPTIVE:
        raise invalid("adaptive thinking is not supported on this model")
    allowed = ["type", "display"]
    if "thinking-binding-controls-2026-08-01" in betas:
        allowed.append("block_binding")
    only("thinking.adaptive", settings, allowed)
    _check_display("thinking.adaptive", settings, betas)


def _check_display(path: str, settings: dict[str, Any], betas: Collection[str]) -> None:
    if settings.get("display") is None:
        return
    values = ["omitted", "summarized"]
    if "thinking-display-updates-2026-08-18" in betas:
        values.append("updates")
    one_of(f"{path}.display", settings["display"], values)


def check_effort(
    model: Model, effort: Any, betas: Collection[str], *, thinking_off: bool = False
) -> None:
    """Refuses an effort that the model lacks. Opus 4.5 wants the beta flag as well."""
    levels = model.effort_levels
    if not levels:
        raise invalid("This model does not support the effort parameter.")
    if model.generation < _ADAPTIVE and "effort-2025-11-24" not in betas:
        raise extra("output_config.effort")
    if effort in ("xhigh", "max") and effort not in levels:
        raise invalid(
            f"This model does not support effort level '{effort}'. Supported levels: "
            f"{', '.join(levels)}."
        )
    one_of("output_config.effort", effort, levels)
    if thinking_off and effort in ("xhigh", "max") and model.generation >= (5, 0):
        raise invalid(f"effort '{effort}' requires thinking, which is disabled in this request.")
