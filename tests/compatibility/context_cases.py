"""Rows: thinking, caching and context management."""

from __future__ import annotations

from typing import Any

from rows import EPHEMERAL, GONE, HELLO, HOUR, HOUR_POINT, POINT, TOOL, Row, field, loop

_ADAPTIVE = {"type": "adaptive"}
_BUDGET = {"type": "enabled", "budget_tokens": 3071}
_NATIVELY = "additionalModelRequestFields.thinking"
_DISPLAY = "thinking-display-updates-2026-08-18"
_BINDING = "thinking-binding-controls-2026-08-01"
_MARKED = [{"type": "text", "text": "Hello", "cache_control": EPHEMERAL}]
_MARKED_HOUR = [{"type": "text", "text": "Hello", "cache_control": HOUR}]
_CLEARED = "[This tool result was cleared to save context.]"
SIGNED = {"type": "thinking", "thinking": "Hm", "signature": "c2lnbmVk"}


def _thinking(title: str, value: dict[str, Any], cells: str, **rest: Any) -> Row:
    return field("thinking", value, cells, title=f"thinking: {title}", **rest)


def _display(kind: dict[str, Any], display: str, cells: str, **rest: Any) -> Row:
    title = f"{kind['type']}, display {display}"
    return _thinking(title, {**kind, "display": display}, cells, at="thinking.display", **rest)


_ENABLED = {"type": "enabled", "budget_tokens": 2048}
_BOUND = {"prefix_mismatch_behavior": "drop_block"}
THINKING = (
    _thinking(
        "enabled",
        _ENABLED,
        "NMMM MDD",
        native={"thinking": _ADAPTIVE},
        converse={_NATIVELY: _ADAPTIVE},
    ),
    _thinking("adaptive", _ADAPTIVE, "MNNN NDD", native={"thinking": _BUDGET}),
    _thinking(
        "disabled",
        {"type": "disabled"},
        "NNMM NDD",
        native={"thinking": {"type": "between_tools"}},
    ),
    _thinking(
        "between_tools",
        {"type": "between_tools"},
        "MMNN MDD",
        native={"thinking": {"type": "disabled"}},
        converse={_NATIVELY: {"type": "disabled"}},
    ),
    _display(_ADAPTIVE, "omitted", "DNNN NDD", named="thinking"),
    _display(_ADAPTIVE, "summarized", "DNNN NDD", named="thinking"),
    _display(
        _ADAPTIVE,
        "updates",
        "DNNN MDD",
        named="thinking",
        flags=(_DISPLAY,),
        converse={f"{_NATIVELY}.display": "summarized"},
    ),
    _display(_ENABLED, "omitted", "DNNN NDD", named="thinking"),
    _thinking(
        "adaptive, block_binding",
        {**_ADAPTIVE, "block_binding": _BOUND},
        "DNNN DDD",
        at="thinking.block_binding",
        named="thinking",
        flags=(_BINDING,),
    ),
    _thinking(
        "enabled, block_binding",
        {**_ENABLED, "block_binding": _BOUND},
        "DDDD DDD",
        at="thinking.block_binding",
        named="thinking",
        flags=(_BINDING,),
    ),
)

CACHING = (
    field(
        "cache_control",
        EPHEMERAL,
        "EENN EED",
        title="cache_control (automatic)",
        native={"messages.0.content": _MARKED, "cache_control": GONE},
        converse={"messages.0.content.1": POINT},
    ),
    field(
        "cache_control",
        HOUR,
        "EENN EED",
        title="cache_control (automatic), ttl 1h",
        native={"messages.0.content": _MARKED_HOUR},
        converse={"messages.0.content.1": HOUR_POINT},
        only={"nova": {"messages.0.content.1": POINT}},
    ),
    field(
        "system",
        [{"type": "text", "text": "a", "cache_control": EPHEMERAL}],
        "NNNN MMD",
        title="system: cache_control",
        at="system.0.cache_control",
        converse={"system.1": POINT},
    ),
    field(
        "system",
        [{"type": "text", "text": "a", "cache_control": HOUR}],
        "NNNN MDD",
        title="system: cache_control, ttl 1h",
        at="system.0.cache_control.ttl",
        converse={"system.1": HOUR_POINT},
        named="system.0.cache_control",
    ),
)


def _uses(count: int) -> list[dict[str, Any]]:
    turns = []
    for number in range(count):
        call = {"type": "tool_use", "id": f"toolu_{number}", "name": "weather", "input": {"a": 1}}
        answer = {"type": "tool_result", "tool_use_id": call["id"], "content": "Sunny"}
        turns += loop(call, answer)[1:]
    return [HELLO, *turns]


def _edit(title: str, edit: dict[str, Any], cells: str, **rest: Any) -> Row:
    rest.setdefault("request", {"messages": _uses(2), "tools": [TOOL]})
    return field(
        "context_management", {"edits": [edit]}, cells, title=f"context_management: {title}", **rest
    )


_CLEAR = {
    "type": "clear_tool_uses_20250919",
    "trigger": {"type": "tool_uses", "value": 1},
    "keep": {"type": "tool_uses", "value": 1},
    "exclude_tools": ["clock"],
    "clear_tool_inputs": True,
}
_AT_LEAST = {
    **_CLEAR,
    "trigger": {"type": "input_tokens", "value": 1},
    "clear_at_least": {"type": "input_tokens", "value": 1},
}
_SUNNY_GONE = {
    "messages.2.content.0.toolResult.content": [{"text": _CLEARED}],
    "messages.1.content.0.toolUse.input": {},
    "messages.4.content.0.toolResult.content": [{"text": "Sunny"}],
}
_THOUGHTS = [
    HELLO,
    {"role": "assistant", "content": [SIGNED, {"type": "text", "text": "a"}]},
    HELLO,
    {"role": "assistant", "content": [SIGNED, {"type": "text", "text": "b"}]},
    HELLO,
]
_THINKS = {"messages": _THOUGHTS}
_COMPACT = {
    "type": "compact_20260112",
    "trigger": {"type": "input_tokens", "value": 50000},
    "instructions": "Short",
    "pause_after_compaction": True,
}
_FIRST_EDIT = "context_management.edits.0"
_KEPT = {"messages.1.content.0": {"text": "a"}, "messages.1.content.1": GONE}
CONTEXT = (
    _edit("clear_tool_uses_20250919", _CLEAR, "NNNN EEE", converse=_SUNNY_GONE),
    _edit("clear_tool_uses_20250919, clear_at_least", _AT_LEAST, "NNNN EEE", converse=_SUNNY_GONE),
    _edit(
        "clear_thinking_20251015, keep all",
        {"type": "clear_thinking_20251015", "keep": "all"},
        "DDDD DDD",
        request=_THINKS,
    ),
    _edit(
        "clear_thinking_20251015, keep {type: all}",
        {"type": "clear_thinking_20251015", "keep": {"type": "all"}},
        "DDDD DDD",
        request=_THINKS,
    ),
    _edit(
        "clear_thinking_20251015, keep the last turn",
        {"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 1}},
        "NNNN EDD",
        request=_THINKS,
        converse=_KEPT,
    ),
    _edit("compact_20260112", _COMPACT, "RNNN RRR", says=_FIRST_EDIT),
)
