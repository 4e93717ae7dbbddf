"""Rows: system messages inside the conversation, and the tool changes that they bring."""

from __future__ import annotations

from typing import Any

from rows import EPHEMERAL, GONE, HELLO, POINT, TOOL, Row


def _system(title: str, cells: str, *, key: str = "", after: Any = (), **rest: Any) -> Row:
    """A system message behind the first user message, or one key of it."""
    message = {"role": "system", "content": "Be brief", **rest.pop("more", {})}
    at = ".".join(filter(None, ("messages.1", key)))
    request = {**rest.pop("request", {}), "messages": [HELLO, message, *after]}
    return Row(group="system messages", name=title, at=at, cells=cells, request=request, **rest)


def _change(title: str, kind: str, tool: dict[str, Any], cells: str, **rest: Any) -> Row:
    marker = rest.pop("marker", {})
    block = {"type": kind, "tool": tool, **marker}
    given = rest.pop("request", {"tools": [{**TOOL}, {**TOOL, "name": "clock"}]})
    if marker:
        key = "content.0.cache_control"
    else:
        key = "content.0"
        rest["without"] = given
    return _system(title, cells, key=key, more={"content": [block]}, request=given, **rest)


_REMINDER = "<system-reminder>\nBe brief\n</system-reminder>"
_AS_USER = {"messages.1": {"role": "user", "content": [{"type": "text", "text": _REMINDER}]}}
_BESIDE = {"messages.0.content.1": {"text": _REMINDER}}
_BLOCKS = {"content": [{"type": "text", "text": "Be brief"}]}
_SAID = {"messages.1": {"role": "system", "content": [{"text": "Be brief"}]}}
_LATER = ({"role": "assistant", "content": "Hi"}, HELLO)
_REFERENCE = {"type": "tool_reference", "name": "weather"}
_NOW = "The tool weather is now available."
_NO_LONGER = "The tool weather is no longer available."


def _told(words: str) -> dict[str, Any]:
    return {"type": "text", "text": f"<system-reminder>\n{words}\n</system-reminder>"}


SYSTEM = (
    _system("text", "ENNN MEE", native=_AS_USER, converse=_BESIDE, only={"converse": _SAID}),
    _system(
        "blocks",
        "ENNN MEE",
        more=_BLOCKS,
        native=_AS_USER,
        converse=_BESIDE,
        only={"converse": _SAID},
    ),
    _system(
        "output_config.effort",
        "DMMM MDD",
        key="output_config",
        more={"output_config": {"effort": "low"}},
        native={"output_config": {"effort": "low"}, "messages.1.output_config": GONE},
        converse={"outputConfig.effort": "low"},
    ),
    _system("clear_at: never", "DDDD DDD", key="clear_at", more={"clear_at": "never"}),
    _system(
        "clear_at: next_user_message, before one came",
        "DDDD DDD",
        key="clear_at",
        more={"clear_at": "next_user_message"},
    ),
    _system(
        "clear_at: next_user_message, after one came",
        "EEEE EEE",
        key="clear_at",
        more={"clear_at": "next_user_message"},
        after=_LATER,
        native={"messages.1": {"role": "assistant", "content": "Hi"}},
        converse={"messages.1": {"role": "assistant", "content": [{"text": "Hi"}]}},
    ),
    _change(
        "tool_addition of a tool_reference",
        "tool_addition",
        _REFERENCE,
        "ENNN EEE",
        native={"messages.1.content.0": _told(_NOW)},
        converse={"messages.0.content.1.text": _told(_NOW)["text"]},
        only={"converse": {"messages.1.content.0.text": _NOW}},
    ),
    _change(
        "tool_addition with cache_control",
        "tool_addition",
        _REFERENCE,
        "NNNN MMD",
        marker={"cache_control": EPHEMERAL},
        converse={"messages.0.content.2": POINT},
        only={"converse": {"messages.1.content.1": POINT}},
    ),
    _change(
        "tool_removal with cache_control",
        "tool_removal",
        _REFERENCE,
        "NNNN MMD",
        marker={"cache_control": EPHEMERAL},
        converse={"messages.0.content.2": POINT},
        only={"converse": {"messages.1.content.1": POINT}},
    ),
    _change(
        "tool_removal of a tool_reference",
        "tool_removal",
        _REFERENCE,
        "ENNN EEE",
        native={"messages.1.content.0": _told(_NO_LONGER), "tools.1": GONE},
        converse={
            "messages.0.content.1.text": _told(_NO_LONGER)["text"],
            "toolConfig.tools.1": GONE,
        },
        only={"converse": {"messages.1.content.0.text": _NO_LONGER, "toolConfig.tools.1": GONE}},
    ),
    _change(
        "tool_addition of a tool_definition",
        "tool_addition",
        {"type": "tool_definition", "definition": TOOL},
        "ENNN EEE",
        request={"tools": [{**TOOL, "name": "clock"}]},
        native={"messages.1.content.0": _told(_NOW), "tools.1.name": "weather"},
        converse={"toolConfig.tools.1.toolSpec.name": "weather"},
    ),
    _change(
        "tool_removal of an mcp_tool_reference",
        "tool_removal",
        {"type": "mcp_tool_reference", "server_name": "m", "name": "t"},
        "RRRR RRR",
    ),
    _change(
        "tool_removal of an mcp_toolset_reference",
        "tool_removal",
        {"type": "mcp_toolset_reference", "server_name": "m"},
        "RRRR RRR",
    ),
)
