"""Validation of `tools` and `tool_choice` in an InvokeModel body.

Bedrock knows custom tools, the client tools of Anthropic's schema (bash, text editor, memory,
computer with its flag) and, with the flag, tool search. Every other server tool is an unknown
tag. `defer_loading`, `input_examples`, `strict` and `eager_input_streaming` depend on flag or
generation; `allowed_callers` is never accepted.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..models.model import Model
from ..wire.fields import matching, need, only, tag, typed
from ..wire.patterns import TOOL_NAME
from ..wire.refusal import invalid
from .scope import Scope, check_cache_control

Tools = dict[str, dict[str, Any]]

# type -> (the name it must have, extra fields)
_CLIENT_TOOLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "bash_20250124": ("bash", ()),
    "text_editor_20250124": ("str_replace_editor", ()),
    "text_editor_20250429": ("str_replace_based_edit_tool", ()),
    "text_editor_20250728": ("str_replace_based_edit_tool", ("max_characters",)),
    "memory_20250818": ("memory", ()),
}
_COMPUTER = ("display_width_px", "display_height_px", "display_number")
_COMPUTER_TOOLS = {
    "computer_20250124": ("computer-use-2025-01-24", _COMPUTER),
    "computer_20251124": ("computer-use-2025-11-24", (*_COMPUTER, "enable_zoom")),
}
_SEARCH_TOOLS = {
    "tool_search_tool_regex": "tool_search_tool_regex",
    "tool_search_tool_regex_20251119": "tool_search_tool_regex",
    "tool_search_tool_bm25": "tool_search_tool_bm25",
    "tool_search_tool_bm25_20251119": "tool_search_tool_bm25",
}


def _expected(scope: Scope) -> dict[str, tuple[str, tuple[str, ...]]]:
    known: dict[str, tuple[str, tuple[str, ...]]] = {"custom": ("", ()), **_CLIENT_TOOLS}
    for kind, (beta, fields) in _COMPUTER_TOOLS.items():
        if beta in scope.betas:
            known[kind] = ("computer", fields)
    if scope.searches:
        known.update({kind: (name, ()) for kind, name in _SEARCH_TOOLS.items()})
    return known


def check_tools(scope: Scope, value: Any) -> Tools:
    """Checks tools; returns name -> input schema (empty for those without). Raises `Refusal`."""
    tools: Tools = {}
    expected = _expected(scope)
    deferred = 0
    for index, tool in enumerate(typed("tools", value, list)):
        path = f"tools.{index}"
        kind = typed(path, tool, dict).get("type") or "custom"
        if kind != "custom":
            tag(path, tool, expected)
        where = f"{path}.{kind}"
        name = need(where, tool, "name", str)
        if kind == "custom":
            _check_custom(scope, where, tool, name)
        else:
            _check_client_tool(scope, where, tool, expected[kind])
        later = tool.get("defer_loading") is True
        if later and tool.get("cache_control") is not None:
            raise invalid(
                f"Tool '{name}' cannot have both defer_loading=true and cache_control set. Tools "
                "with defer_loading cannot use prompt caching."
            )
        if tool.get("cache_control") is not None:
            check_cache_control(scope, f"{where}.cache_control", tool["cache_control"])
        deferred += later
        # A tool that is loaded later is no part of the prompt yet.
        scope.prompt.characters += 0 if later else len(msgspec.json.encode(tool))
        if name in tools:
            raise invalid("tools: Tool names must be unique.")
        tools[name] = tool.get("input_schema") or {}
    if tools and deferred == len(tools):
        raise invalid(
            "At least one tool must have defer_loading=false. All tools cannot be deferred."
        )
    return tools


def _options(scope: Scope) -> list[str]:
    model: Model = scope.model
    options = ["type", "name", "cache_control"]
    if scope.searches:
        options.append("defer_loading")
    if "tool-examples-2025-10-29" in scope.betas:
        options.append("input_examples")
    if model.generation >= (4, 5):
        options.append("strict")
    return options


def _check_custom(scope: Scope, path: str, tool: dict[str, Any], name: str) -> None:
    allowed = [*_options(scope), "description", "input_schema"]
    if scope.model.generation >= (4, 6):
        allowed.append("eager_input_streaming")
    only(path, tool, allowed)
    matching(f"{path}.name", name, TOOL_NAME)
    if tool.get("description") is not None:
        typed(f"{path}.description", tool["description"], str)
    schema = need(path, tool, "input_schema", dict)
    if schema.get("type") != "object":
        if "type" not in schema:
            raise invalid(f"{path}.input_schema.type: Field required")
        raise invalid(f"{path}.input_schema.type: Input should be 'object'")
    for union in ("oneOf", "allOf", "anyOf"):
        if union in schema:
            raise invalid(
                f"{path}.input_schema: input_schema does not support oneOf, allOf, or anyOf at "
                "the top level"
            )


def _check_client_tool(
    scope: Scope, path: str, tool: dict[str, Any], expected: tuple[str, tuple[str, ...]]
) -> None:
    name, fields = expected
    only(path, tool, [*_options(scope), *fields])
    if tool["name"] != name:
        raise invalid(f"{path}.name: Input should be '{name}'")
    for field in ("display_width_px", "display_height_px"):
        if field in fields:
            need(path, tool, field, int)


def check_tool_choice(
    model: Model, value: Any, tools: Tools, *, thinking: bool
) -> tuple[str, dict[str, Any]] | None:
    """Checks tool_choice; returns the forced tool with its schema, None if the model may choose.

    Raises `Refusal`.
    """
    choice = typed("tool_choice", value, dict)
    kind = tag("tool_choice", choice, ("any", "auto", "none", "tool"))
    fields = ["type"]
    if kind != "none":
        fields.append("disable_parallel_tool_use")
    if kind == "tool":
        fields.append("name")
    only(f"tool_choice.{kind}", choice, fields)
    if not tools:
        raise invalid("tool_choice may only be specified while providing tools.")
    if kind in ("auto", "none"):
        return None
    if not model.can.forced_tools:
        raise invalid(
            f"tool_choice: '{kind}' is not supported for this model. Use 'auto' or 'none'."
        )
    if thinking:
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    name = need("tool_choice.tool", choice, "name", str) if kind == "tool" else next(iter(tools))
    if name not in tools:
        raise invalid(f"Tool '{name}' not found in provided tools")
    return name, tools[name]
