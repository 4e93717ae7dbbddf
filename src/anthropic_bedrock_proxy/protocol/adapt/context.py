"""Context management for models that lack it: old tool results and old thinking are cleared.

Deterministic, from the request alone, so the same history is cleared the same way in the next
turn. Tokens are estimates; what was done is told in `context_management.applied_edits`.
Source: Anthropic API, "Context editing" (trigger, keep, clear_at_least, exclude_tools).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from ...errors import InvalidRequestError
from ..raw import encode
from ..tokens import estimate_input
from .rewrite import Rewrite

_COMPACT: Final = "compact_"
_THINKING: Final = "clear_thinking_20251015"
_TOOL_USES: Final = "clear_tool_uses_20250919"
_THOUGHTS: Final = frozenset(("thinking", "redacted_thinking"))
_DEFAULT_TRIGGER: Final = {"type": "input_tokens", "value": 100_000}
_DEFAULT_KEEP: Final = 3
_DEFAULT_THINKING_TURNS: Final = 1
_MAX_EDITS: Final = 3  # so many kinds there are; each walks through the whole conversation
_ALL: Final = ("all", {"type": "all"})
_CLEARED: Final = "[This tool result was cleared to save context.]"


def adapt_context(rewrite: Rewrite) -> None:
    """Applies `context_management` unless the model does it. Raises `InvalidRequestError`."""
    if "context_management" not in rewrite.fields:
        return
    edits = rewrite.object("context_management").get("edits")
    if not isinstance(edits, list | None):
        raise InvalidRequestError("context_management.edits: Expected `array`")
    if edits and len(edits) > _MAX_EDITS:
        raise InvalidRequestError(f"context_management.edits: at most {_MAX_EDITS} are allowed")
    pending = []
    for index, edit in enumerate(edits or []):
        if not isinstance(edit, dict):
            raise InvalidRequestError(f"context_management.edits.{index}: Expected `object`")
        if not _keeps_everything(edit):
            pending.append((f"context_management.edits.{index}", edit))
    if pending and all(_is_native(rewrite, edit) for _, edit in pending):
        return
    applied_edits: list[dict[str, Any]] = []
    cleared: set[str] = set()  # ids of the calls whose results are gone
    for path, edit in pending:
        applied = _apply(rewrite, path, edit, cleared)
        if applied is not None:
            applied_edits.append({"type": edit["type"], **applied})
    rewrite.added["context_management"] = {"applied_edits": applied_edits}
    # Keeping all thinking is what happens anyway: the edit that Claude Code always sends.
    rewrite.set("context_management", None)
    rewrite.dropped.append("context_management")


def _keeps_everything(edit: dict[str, Any]) -> bool:
    return edit.get("type") == _THINKING and edit.get("keep") in _ALL


def _is_native(rewrite: Rewrite, edit: dict[str, Any]) -> bool:
    compacts = str(edit.get("type")).startswith(_COMPACT)
    return rewrite.can("compaction" if compacts else "context_management")


def _apply(
    rewrite: Rewrite, path: str, edit: dict[str, Any], cleared: set[str]
) -> dict[str, Any] | None:
    kind = edit.get("type")
    if kind == _THINKING:
        return _clear_thinking(rewrite, _count(edit.get("keep"), path, _DEFAULT_THINKING_TURNS))
    if kind == _TOOL_USES:
        return _clear_tool_uses(rewrite, path, edit, cleared)
    raise InvalidRequestError(f"{path}: not available for this model on Amazon Bedrock; remove it")


def _count(value: Any, path: str, default: int) -> int:
    """Reads the number of a {"type", "value"} setting, or a bare number."""
    if isinstance(value, dict):
        value = value.get("value")
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidRequestError(f"{path}: Expected a number of 0 or more")
    return value


def _clear_thinking(rewrite: Rewrite, keep: int) -> dict[str, Any] | None:
    turns = [
        index
        for index, message in enumerate(rewrite.messages)
        if message.role == "assistant"
        and not isinstance(message.content, str)
        and any(block.type in _THOUGHTS for block in message.content)
    ]
    # The newest assistant turn keeps its thinking: a tool loop needs it.
    old = turns[: len(turns) - max(keep, 1)]
    cleared, turns_cleared = 0, 0
    for index in old:
        tree = rewrite.message(index)
        rest = [block for block in tree["content"] if block["type"] not in _THOUGHTS]
        if rest:
            gone = [block for block in tree["content"] if block["type"] in _THOUGHTS]
            cleared += estimate_input(encode(gone))
            turns_cleared += 1
            tree["content"] = rest
    if not turns_cleared:
        return None
    return {"cleared_thinking_turns": turns_cleared, "cleared_input_tokens": cleared}


def _clear_tool_uses(
    rewrite: Rewrite, path: str, edit: dict[str, Any], cleared: set[str]
) -> dict[str, Any] | None:
    trigger = edit.get("trigger") or _DEFAULT_TRIGGER
    limit = _count(trigger, f"{path}.trigger", 0)
    keep = _count(edit.get("keep"), f"{path}.keep", _DEFAULT_KEEP)
    at_least = _count(edit.get("clear_at_least"), f"{path}.clear_at_least", 0)
    excluded, inputs = _names(edit, path)
    uses = list(_tool_uses(rewrite, excluded))
    if isinstance(trigger, dict) and trigger.get("type") == "tool_uses":
        over = len(uses) > limit
    else:
        over = estimate_input(bytes(rewrite.request.fields["messages"])) > limit
    older = uses[: max(0, len(uses) - keep)]
    old = {block_id: place for block_id, place in older if block_id not in cleared}
    if not over or not old:
        return None
    results = [
        (index, position) for index, position, block_id in _tool_results(rewrite) if block_id in old
    ]
    sizes = [
        estimate_input(encode(rewrite.message(i)["content"][p].get("content"))) for i, p in results
    ]
    if sum(sizes) < at_least:
        return None
    for index, position in results:
        rewrite.message(index)["content"][position]["content"] = _CLEARED
    for index in {index for index, _ in old.values()} if inputs else ():
        for block in rewrite.message(index)["content"]:
            if block.get("id") in old and (inputs is True or block.get("name") in inputs):
                block["input"] = {}
    cleared.update(old)
    return {"cleared_tool_uses": len(old), "cleared_input_tokens": sum(sizes)}


def _names(
    edit: dict[str, Any], path: str
) -> tuple[frozenset[str], frozenset[str] | Literal[True]]:
    """Reads (tools whose results stay, tools whose inputs are cleared too; True: all tools)."""
    excluded = edit.get("exclude_tools")
    if not isinstance(excluded, list | None):
        raise InvalidRequestError(f"{path}.exclude_tools: Expected `array`")
    inputs = edit.get("clear_tool_inputs")
    if not isinstance(inputs, bool | list | None):
        raise InvalidRequestError(f"{path}.clear_tool_inputs: Expected `bool` or `array`")
    return _strings(excluded), True if inputs is True else _strings(inputs or None)


def _strings(values: list[Any] | None) -> frozenset[str]:
    """Collects the texts among `values` in a set, because each block is looked up in it."""
    return frozenset(value for value in values or () if isinstance(value, str))


def _tool_uses(rewrite: Rewrite, excluded: frozenset[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yields (id, place) of the calls whose results may be cleared, oldest first."""
    for index, message in enumerate(rewrite.messages):
        if message.role == "assistant" and not isinstance(message.content, str):
            for position, block in enumerate(message.content):
                if block.type == "tool_use" and block.name not in excluded:
                    yield str(block.id), (index, position)


def _tool_results(rewrite: Rewrite) -> Iterator[tuple[int, int, str]]:
    for index, message in enumerate(rewrite.messages):
        if message.role == "user" and not isinstance(message.content, str):
            for position, block in enumerate(message.content):
                if block.type == "tool_result":
                    yield index, position, str(block.tool_use_id)
