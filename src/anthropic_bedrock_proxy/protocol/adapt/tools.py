"""Tools that come and go: deferred ones, referenced ones, and changes in mid-conversation.

A model without tool search sees a deferred tool from the moment on that the history refers to it;
a model without tool changes sees the tools that are left at the end. Both learn of it in words.
Source: Anthropic API, "Tool search tool" and "Mid-conversation tool changes".
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from ...errors import InvalidRequestError
from ..request.views import BlockView, MessageView
from .rewrite import Rewrite

TOOL_SEARCH: Final = "tool_search_"
_CHANGES: Final = frozenset(("tool_addition", "tool_removal"))


def adapt_tool_changes(rewrite: Rewrite) -> None:
    """Applies tool_addition and tool_removal blocks. Raises `InvalidRequestError`."""
    indexes = [i for i, message in enumerate(rewrite.messages) if _has(message, _CHANGES)]
    if not indexes:
        return
    if "tool_changes" in rewrite.features and rewrite.can("tool_changes"):
        for index in indexes:
            _refuse_mcp(rewrite, index)
        return
    offered = _tool_trees(rewrite)
    removed: dict[str, None] = {}
    for index in indexes:
        content = rewrite.message(index)["content"]
        for position, block in enumerate(content):
            if block["type"] in _CHANGES:
                path = f"messages.{index}.content.{position}"
                content[position] = {
                    **_change(block, path, offered, removed),
                    **{key: block[key] for key in ("cache_control",) if key in block},
                }
    left = [tree for name, tree in offered.items() if name not in removed]
    rewrite.set("tools", left or None)
    if not left and rewrite.object("tool_choice").get("type") in ("auto", "none"):
        rewrite.set("tool_choice", None)  # Bedrock takes none without tools


def _refuse_mcp(rewrite: Rewrite, index: int) -> None:
    """Refuses references to MCP servers: Bedrock has no MCP connector."""
    for position, block in enumerate(rewrite.message(index)["content"]):
        tool = block.get("tool")
        if isinstance(tool, dict) and str(tool.get("type")).startswith("mcp_"):
            raise _no_tool(f"messages.{index}.content.{position}")


def _no_tool(path: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{path}.tool: Expected a tool_reference with the name of a tool of this request"
    )


def _change(
    block: dict[str, Any], path: str, offered: dict[str, dict[str, Any]], removed: dict[str, None]
) -> dict[str, Any]:
    """Applies one tool_addition or tool_removal; returns a text block to put in its place."""
    tool = block.get("tool")
    definition = tool.get("definition") if isinstance(tool, dict) else None
    if block["type"] == "tool_addition" and isinstance(definition, dict):
        offered[str(definition.get("name"))] = definition
        name = definition.get("name")
    else:
        name = tool.get("name") or tool.get("tool_name") if isinstance(tool, dict) else None
    if not isinstance(name, str) or (isinstance(tool, dict) and "server_name" in tool):
        raise _no_tool(path)
    if name not in offered:
        raise _unresolved(path, name)
    if block["type"] == "tool_removal":
        removed[name] = None
        return {"type": "text", "text": f"The tool {name} is no longer available."}
    removed.pop(name, None)
    offered[name].pop("defer_loading", None)
    return {"type": "text", "text": f"The tool {name} is now available."}


def adapt_deferred_tools(rewrite: Rewrite) -> None:
    """Loads the tools that the history refers to, leaves out the others that are deferred.

    Raises `InvalidRequestError`.
    """
    if "tool_search" in rewrite.features and rewrite.can("defer_loading"):
        return
    tools = rewrite.tools
    referring = {i for i, message in enumerate(rewrite.messages) if _refers(message)}
    for index, tool in enumerate(tools):
        if (tool.type or "").startswith(TOOL_SEARCH):
            raise InvalidRequestError(
                f"tools.{index}: {tool.type} is not available on this model; remove it"
            )
    if not referring and not any(tool.defer_loading for tool in tools):
        return
    offered = _tool_trees(rewrite)
    if offered and all(tree.get("defer_loading") for tree in offered.values()):
        raise InvalidRequestError(
            "tools: At least one tool must have defer_loading=false. All tools cannot be deferred."
        )
    # In the order of the history, which only grows: so the tools keep theirs from turn to turn.
    loaded: dict[str, None] = {}
    for index, message in enumerate(rewrite.messages):
        if index not in referring:
            loaded.update(_called(message))
            continue
        blocks = rewrite.message(index)["content"]
        for position, block in enumerate(blocks):
            if block["type"] == "tool_result" and isinstance(block.get("content"), list):
                path = f"messages.{index}.content.{position}.content"
                block["content"] = [
                    _load(inner, f"{path}.{i}", offered, loaded)
                    for i, inner in enumerate(block["content"])
                ]
    _settle(rewrite, offered, loaded)


def _settle(rewrite: Rewrite, offered: dict[str, dict[str, Any]], loaded: dict[str, None]) -> None:
    """Writes `tools`: loaded ones last, in order of loading, so that the cached prefix stays."""
    first = [tree for tree in offered.values() if not tree.pop("defer_loading", None)]
    kept = {id(tree) for tree in first}
    late = [offered[name] for name in loaded if name in offered and id(offered[name]) not in kept]
    gone = len(offered) - len(first) - len(late)
    if gone:
        rewrite.dropped.append(f"tools: {gone} deferred")
    rewrite.set("tools", first + late)


def _load(
    block: dict[str, Any],
    path: str,
    offered: dict[str, dict[str, Any]],
    loaded: dict[str, None],
) -> dict[str, Any]:
    if block.get("type") != "tool_reference":
        return block
    name = block.get("tool_name")
    if not isinstance(name, str):
        raise InvalidRequestError(f"{path}.tool_name: Field required")
    if name not in offered:
        raise _unresolved(path, name)
    loaded[name] = None
    return {"type": "text", "text": f"The tool {name} is now available."}


def _unresolved(path: str, name: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{path}: Tool reference '{name[:128]}' not found in available tools",
        error_code="tool_reference_unresolved",
    )


def _tool_trees(rewrite: Rewrite) -> dict[str, dict[str, Any]]:
    """Returns the tools by name; those without one (toolsets) by their index."""
    trees = rewrite.field("tools") or []
    return {str(tree.get("name") or f"tools.{i}"): tree for i, tree in enumerate(trees)}


def _called(message: MessageView) -> dict[str, None]:
    """Returns the names of tools called in a message: Bedrock wants every one of them defined."""
    if isinstance(message.content, str):
        return {}
    return {
        block.name: None
        for block in message.content
        if block.type == "tool_use" and isinstance(block.name, str)
    }


def _has(message: MessageView, kinds: frozenset[str]) -> bool:
    return not isinstance(message.content, str) and any(b.type in kinds for b in message.content)


def _refers(message: MessageView) -> bool:
    if message.role != "user" or isinstance(message.content, str):
        return False
    return any(_holds_reference(block) for block in message.content)


def _holds_reference(block: BlockView) -> bool:
    content = block.content
    return (
        content is not UNSET
        and isinstance(content, list)
        and any(inner.type == "tool_reference" for inner in content)
    )
