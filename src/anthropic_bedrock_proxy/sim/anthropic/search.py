"""Tool search, natively: the blocks it leaves in a conversation and what they may refer to.

The model searches by a server tool whose result stands in the same assistant message, or the
client answers a tool call with references; both name tools of this request, which are then
loaded. Source: the Anthropic API reference on tool search; Bedrock wants its flag for all of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec

from ..wire.fields import matching, need, one_of, only, tag, typed
from ..wire.patterns import SERVER_ID
from ..wire.refusal import invalid
from .scope import Scope

_NAMES = ("tool_search_tool_regex", "tool_search_tool_bm25")
_FOUND = "tool_search_tool_search_result"
_FAILED = "tool_search_tool_result_error"
Blocks = Iterable[tuple[str, dict[str, Any]]]


def check_search(scope: Scope, path: str, block: dict[str, Any]) -> None:
    """Checks a `server_tool_use` block; the only server tool is the search."""
    one_of(f"{path}.name", block.get("name"), _NAMES)
    matching(f"{path}.id", need(path, block, "id", str), SERVER_ID)
    scope.prompt.characters += len(msgspec.json.encode(need(path, block, "input", dict)))


def check_search_result(scope: Scope, path: str, block: dict[str, Any]) -> None:
    """Checks a `tool_search_tool_result` block."""
    matching(f"{path}.tool_use_id", need(path, block, "tool_use_id", str), SERVER_ID)
    content = need(path, block, "content", dict)
    where = f"{path}.content"
    if tag(where, content, (_FOUND, _FAILED)) == _FAILED:
        only(f"{where}.{_FAILED}", content, ("type", "error_code", "error_message"))
        need(f"{where}.{_FAILED}", content, "error_code", str)
        return
    where = f"{where}.{_FOUND}"
    only(where, content, ("type", "tool_references"))
    for index, reference in enumerate(need(where, content, "tool_references", list)):
        spot = f"{where}.tool_references.{index}"
        tag(spot, typed(spot, reference, dict), ("tool_reference",))
        only(spot, reference, ("type", "tool_name", "cache_control"))
        scope.prompt.characters += len(need(spot, reference, "tool_name", str))


def check_searches(index: int, blocks: Blocks) -> None:
    """Checks that each search of an assistant turn has its result after it, and the reverse."""
    asked: dict[str, str] = {}
    for kind, block in blocks:
        if kind == "server_tool_use":
            asked[block["id"]] = block["name"]
        elif kind == "tool_search_tool_result" and asked.pop(block["tool_use_id"], None) is None:
            raise invalid(
                f"messages.{index}: unexpected `tool_use_id` found in `tool_search_tool_result` "
                f"blocks: {block['tool_use_id']}. Each `tool_search_tool_result` block must have "
                "a corresponding `server_tool_use` block before it."
            )
    for identifier, name in asked.items():
        raise invalid(
            f"messages.{index}: `{name}` tool use with id `{identifier}` was found without a "
            "corresponding `tool_search_tool_result` block"
        )


def check_references(blocks: Blocks, tools: Collection[str]) -> None:
    """Checks that every reference names a tool of the request."""
    for name in _references(blocks):
        if name not in tools:
            raise invalid(f"Tool reference '{name}' not found in available tools")


def _references(blocks: Blocks) -> Iterator[str]:
    for kind, block in blocks:
        parts: Any = block.get("content") or []
        if kind == "tool_search_tool_result":
            parts = parts.get("tool_references") or []
        elif kind != "tool_result" or isinstance(parts, str):
            continue
        for part in parts:
            if part["type"] == "tool_reference":
                yield part["tool_name"]
