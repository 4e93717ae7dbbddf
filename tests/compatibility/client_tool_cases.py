"""Rows: tools whose schema Anthropic defines and the client runs."""

from __future__ import annotations

from typing import Any

from rows import (
    EPHEMERAL,
    GONE,
    NATIVE,
    NATIVE_TOOL,
    TOOL_SPEC,
    Row,
    tool,
)


def _client(kind: str, name: str, cells: str, *, told: str = "", **rest: Any) -> Row:
    """A tool whose schema Anthropic defines and the client runs."""
    tree = {"type": kind, "name": name, **rest.pop("more", {})}
    converse = {NATIVE_TOOL: tree}
    others = {f"{TOOL_SPEC}.name": name}
    if told:
        others[f"{TOOL_SPEC}.inputSchema.json.properties.{told}"] = rest.pop(
            "schema", {"type": "string"}
        )
    return tool(kind, tree, cells, converse=converse, only={"nova": others, "qwen": others}, **rest)


_SCREEN = {"display_width_px": 800, "display_height_px": 600, "display_number": 1}
_EDITOR, _OLD_EDITOR = "str_replace_based_edit_tool", "str_replace_editor"
_COMPUTER = {**_SCREEN, "enable_zoom": True}
_ALL = {
    "cache_control": EPHEMERAL,
    "strict": True,
    "defer_loading": False,
    "allowed_callers": ["direct"],
    "input_examples": [{}],
}
_OLD: Any = {
    "by_bedrock": (*NATIVE, "converse"),
    "says": {"converse": "The model returned the following errors: tools.0"},
}
CLIENT = (
    _client("bash_20250124", "bash", "NNNN NEE", told="command"),
    _client("bash_20241022", "bash", "RRRR REE", told="command", more=_ALL, **_OLD),
    _client("text_editor_20250728", _EDITOR, "NNNN NEE", told="path", more={"max_characters": 100}),
    _client("text_editor_20250429", _EDITOR, "NNNN NEE", told="path"),
    _client("text_editor_20250124", _OLD_EDITOR, "NNNN NEE", told="path"),
    _client("text_editor_20241022", _OLD_EDITOR, "RRRR REE", told="path", more=_ALL, **_OLD),
    _client("memory_20250818", "memory", "NNNN NEE", told="path"),
    _client(
        "computer_20251124",
        "computer",
        "NNNN NRR",
        more=_COMPUTER,
        flags=("computer-use-2025-11-24",),
    ),
    _client(
        "computer_20250124",
        "computer",
        "NNNN NRR",
        more=_SCREEN,
        flags=("computer-use-2025-01-24",),
    ),
    _client("computer_20241022", "computer", "RRRR RRR", more=_SCREEN | _ALL, **_OLD),
)
_ALONE = {f"{TOOL_SPEC}.name": "clock", "toolConfig.tools.1": GONE}


def _property(kind: str, name: str, key: str, value: Any, cells: str, **rest: Any) -> Row:
    """A property of a client tool; only Claude models have a computer tool."""
    more = {"computer_20251124": _COMPUTER, "computer_20250124": _SCREEN}.get(kind, {})
    if more and key != "defer_loading":
        cells, rest["says"] = f"{cells[:-2]}RR", dict.fromkeys(("nova", "qwen"), "tools.0")
    flags = (f"computer-use-{_FLAGS[kind]}",) if more else ()
    tree = {"type": kind, "name": name, **more, key: value}
    return tool(f"{kind}: {key}", tree, cells, key=key, flags=flags, **rest)


_FLAGS = {"computer_20251124": "2025-11-24", "computer_20250124": "2025-01-24"}
_KINDS = (
    ("bash_20250124", "bash"),
    ("text_editor_20250728", _EDITOR),
    ("text_editor_20250429", _EDITOR),
    ("text_editor_20250124", _OLD_EDITOR),
    ("memory_20250818", "memory"),
    ("computer_20251124", "computer"),
    ("computer_20250124", "computer"),
)
PROPERTIES = tuple(
    row
    for kind in _KINDS
    for row in (
        _property(*kind, "cache_control", EPHEMERAL, "NNNN NDD"),
        _property(*kind, "strict", True, "NNNN NDM", converse={f"{TOOL_SPEC}.strict": True}),
        _property(*kind, "defer_loading", True, "NNNN EEE", converse=_ALONE),
        _property(
            *kind,
            "allowed_callers",
            ["direct"],
            "MMMM MMM",
            native={"tools.0.allowed_callers": GONE, "tools.0.type": kind[0]},
            converse={f"{NATIVE_TOOL}.allowed_callers": GONE},
            same="there is no other caller",
        ),
        _property(
            *kind,
            "input_examples",
            [{"command": "ls"}],
            "NNNN DEE",
            converse={"toolConfig.tools.1.toolSpec.name": "clock"},
        ),
    )
)
