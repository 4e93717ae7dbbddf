"""Edits of `tools` for Bedrock's native dialects: hints that its schema does not have.

Toolsets are refused: Bedrock has none of them. A hint that the model does not take
(`defer_loading`, `input_examples`) is left out, because that changes cost, not meaning.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, Raw

from ...errors import InvalidRequestError
from ..request.views import ToolView
from .draft import NativeDraft, decode, decode_raws, encode

_TOOLSETS: Final = ("browser_toolset_", "computer_toolset_")
_TOOL_SEARCH: Final = "tool_search_"
_HINTS: Final = ("defer_loading", "input_examples")


def edit_tools(draft: NativeDraft) -> None:
    """Brings `tools` into Bedrock's form. Raises `InvalidRequestError` with the path."""
    tools = draft.request.view.tools
    if not tools:
        return
    edits = [index for index, tool in enumerate(tools) if _needs_edit(draft, tool, index)]
    if not edits:
        return
    raws = decode_raws(draft.fields["tools"])
    for index in edits:
        tree = decode(raws[index])
        _edit(draft, tree, index)
        raws[index] = Raw(encode(tree))
    draft.set("tools", raws)


def _needs_edit(draft: NativeDraft, tool: ToolView, index: int) -> bool:
    kind = tool.type or ""
    if kind.startswith(_TOOLSETS):
        raise InvalidRequestError(
            f"tools.{index}: {kind} is not available on Amazon Bedrock; remove it"
        )
    if tool.allowed_callers and "direct" not in tool.allowed_callers:
        raise _only_for_code(index)
    return (
        kind == "custom"
        or kind.startswith(_TOOL_SEARCH)
        or tool.allowed_callers is not UNSET
        or tool.defer_loading is not UNSET
        or tool.eager_input_streaming is not UNSET
        or tool.input_examples is not UNSET
        or (tool.cache_control is not UNSET and draft.marks(tool.cache_control))
    )


def _edit(draft: NativeDraft, tree: dict[str, Any], index: int) -> None:
    draft.mark(tree, f"tools.{index}")
    if tree.get("type") == "custom":
        del tree["type"]
    tree.pop("allowed_callers", None)
    if tree.pop("eager_input_streaming", None):
        draft.dropped.append(f"tools.{index}.eager_input_streaming")
    for name in _HINTS:
        if not tree.get(name):
            tree.pop(name, None)
        elif not draft.need(name):
            draft.dropped.append(f"tools.{index}.{name}")
            del tree[name]
    if str(tree.get("type", "")).startswith(_TOOL_SEARCH):  # only where the model searches itself
        draft.need("defer_loading")


def _only_for_code(index: int) -> InvalidRequestError:
    return InvalidRequestError(
        f"tools.{index}.allowed_callers: no tool of this request can call it; add a "
        'code_execution_20260120 tool, or "direct"'
    )
