"""Tools that Anthropic runs, and nobody here: left out where they are only offered.

Clients offer them with every request, needed or not (Cline web search), and go on without. What
the proxy runs itself has become custom tools before. A choice that forces such a tool, or a history
that has called it, cannot go on without it and is refused.
"""

from __future__ import annotations

from typing import Any, Final

from ...errors import InvalidRequestError
from ..request.side_search import asks_to_search
from ..request.views import ToolView
from .choice import FORCED
from .rewrite import Rewrite

_CODE: Final = "code_execution_"
_SEARCH: Final = "web_search_"
_UNAVAILABLE: Final = ("advisor_", _CODE, "mcp_toolset", "web_fetch_", _SEARCH)
_CODE_CALLS: Final = ("bash_code_execution", "code_execution", "text_editor_code_execution")
_EMPTY: Final = (b"null", b"[]")


def adapt_server_tools(rewrite: Rewrite) -> None:
    """Leaves out what is not available, with a warning. Raises `InvalidRequestError`."""
    if (servers := rewrite.fields.get("mcp_servers")) is not None:
        rewrite.set("mcp_servers", None)
        if bytes(servers) not in _EMPTY:
            rewrite.warnings.append("mcp_servers: there is no MCP connector here; left out")
    tools = rewrite.tools
    gone = {i for i, tool in enumerate(tools) if (tool.type or "").startswith(_UNAVAILABLE)}
    if not gone:
        return
    kinds = [str(tools[index].type) for index in sorted(gone)]
    names = {tools[index].name for index in gone}
    if any(kind.startswith(_CODE) for kind in kinds):
        gone |= {index for index, tool in enumerate(tools) if _is_for_code(tool)}
        names.update(_CODE_CALLS)
    _check_calls(rewrite, names)
    left = _without(rewrite.field("tools"), gone)
    _check_search(rewrite, kinds, left)
    _check_choice(rewrite, {tools[index].name for index in gone}, left)
    rewrite.set("tools", left or None)
    if not left:
        rewrite.set("tool_choice", None)  # Bedrock takes none without tools
    for index in sorted(gone):
        tool = tools[index]
        rewrite.warnings.append(f"tools: {tool.type or tool.name} is not available; left out")


def _check_search(rewrite: Rewrite, kinds: list[str], left: list[Any]) -> None:
    """Raises `InvalidRequestError` for a search that would be answered from memory."""
    if not left and kinds[0].startswith(_SEARCH) and asks_to_search(rewrite.fields["messages"]):
        raise InvalidRequestError(
            "tools.0: nobody searches the web for this proxy, and this request asks for nothing "
            "else; tell the operator (/health/web-search says why), or deny the tool WebSearch"
        )


def _is_for_code(tool: ToolView) -> bool:
    return bool(tool.allowed_callers) and "direct" not in (tool.allowed_callers or ())


def _check_calls(rewrite: Rewrite, names: set[str]) -> None:
    for index, message in enumerate(rewrite.messages):
        if isinstance(message.content, str):
            continue
        for position, block in enumerate(message.content):
            if block.type == "server_tool_use" and block.name in names:
                raise InvalidRequestError(
                    f"messages.{index}.content.{position}: {block.name} is not available here; "
                    "remove the tool, and its calls and results from the history"
                )


def _check_choice(rewrite: Rewrite, gone: set[str], left: list[Any]) -> None:
    choice = rewrite.object("tool_choice")
    kind, name = choice.get("type"), choice.get("name")
    if kind == "tool" and name in gone:
        raise InvalidRequestError(
            f"tool_choice.name: {name} is not available here; choose another tool"
        )
    if kind in FORCED and not left:
        raise InvalidRequestError("tool_choice: no tool of this request is available here")


def _without(trees: list[dict[str, Any]], gone: set[int]) -> list[dict[str, Any]]:
    """Returns the other tools; a breakpoint moves to the tool before."""
    left: list[dict[str, Any]] = []
    for index, tree in enumerate(trees):
        if index not in gone:
            left.append(tree)
        elif left and "cache_control" in tree:
            left[-1].setdefault("cache_control", tree["cache_control"])
    return left
