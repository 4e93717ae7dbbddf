"""Edits of `messages` and `system` for InvokeModel.

The views tell which messages need one; only those are decoded, edited and encoded again, so a long
history costs a scan. Blocks that Bedrock cannot take are refused with their path: dropping one
would change what the model sees.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, Raw

from ..errors import InvalidRequestError
from .invoke_draft import Draft, decode, decode_raws, encode
from .messages import BlockView, MessageView

# Keys of echoed answers that Bedrock's input schema does not have.
_ECHOED_KEYS: Final = ("caller", "parsed_output", "toolset_name")
_SERVER_BLOCKS: Final = frozenset(
    (
        "advisor_tool_result",
        "bash_code_execution_tool_result",
        "code_execution_tool_result",
        "container_upload",
        "fallback",
        "mcp_tool_listing",
        "mcp_tool_result",
        "mcp_tool_use",
        "text_editor_code_execution_tool_result",
        "web_fetch_tool_result",
        "web_search_tool_result",
    )
)
_BILLING_HEADER: Final = b"x-anthropic-billing-header"
_BILLING_WITHIN: Final = 200  # bytes: it is always the first block


def edit_messages(draft: Draft) -> None:
    """Brings `messages` into Bedrock's form. Raises `InvalidRequestError` with the path."""
    native_system = "system_role" in draft.generation.features
    edits = [
        index
        for index, message in enumerate(draft.request.view.messages)
        if _needs_edit(message, index, native_system=native_system)
    ]
    if not edits:
        return
    raws = decode_raws(draft.fields["messages"])
    effort = None
    for index in edits:
        tree = decode(raws[index])
        effort = _edit(draft, tree, index, native_system=native_system) or effort
        raws[index] = Raw(encode(tree))
    draft.fields["messages"] = Raw(encode(raws))
    if effort is not None and "effort" in draft.generation.features:
        # Bedrock has one effort per request: the newest message that sets one wins.
        draft.merge_output_config("effort", effort, replace=True)


def drop_billing_header(draft: Draft) -> None:
    """Claude Code's attribution block is for Anthropic's own API, which strips it too."""
    raw = draft.fields.get("system")
    if raw is None or _BILLING_HEADER not in bytes(raw)[:_BILLING_WITHIN]:
        return
    system = decode(raw)
    if not isinstance(system, list):
        return
    prefix = _BILLING_HEADER.decode()
    kept = [block for block in system if not str(block.get("text", "")).startswith(prefix)]
    if len(kept) == len(system):
        return
    draft.dropped.append("system.0")
    if kept:
        draft.fields["system"] = Raw(encode(kept))
    else:
        del draft.fields["system"]


def _needs_edit(message: MessageView, index: int, *, native_system: bool) -> bool:
    needed = (
        message.output_config is not UNSET
        or message.clear_at is not UNSET
        or (message.role == "system" and not native_system)
    )
    if not isinstance(message.content, str):
        # To the last block even when the first needs an edit: a refusal must not depend on it.
        for position, block in enumerate(message.content):
            if _block_needs_edit(block, f"messages.{index}.content.{position}"):
                needed = True
    return needed


def _block_needs_edit(block: BlockView, path: str) -> bool:
    kind = block.type
    if kind in _SERVER_BLOCKS:
        raise InvalidRequestError(
            f"{path}: {kind} blocks are not available on Amazon Bedrock; remove them from the "
            "history"
        )
    if block.source is not UNSET:
        _check_source(block, path)
    if isinstance(block.content, list):
        for position, inner in enumerate(block.content):
            _check_source(inner, f"{path}.content.{position}")
    caller = block.caller
    if caller is not UNSET:
        if caller is not None and caller.type != "direct":
            raise InvalidRequestError(
                f"{path}.caller: programmatic tool calling is not available in this version; "
                "remove the blocks that code called"
            )
        return True
    return (
        block.parsed_output is not UNSET
        or block.toolset_name is not UNSET
        or (block.citations is None and kind == "text")
    )


def _check_source(block: BlockView, path: str) -> None:
    source = block.source
    if source is UNSET or isinstance(source, str) or source.type not in ("url", "file"):
        return
    raise InvalidRequestError(
        f"{path}.source: {source.type} sources are not available on Amazon Bedrock; send the "
        f"{block.type} as base64"
    )


def _edit(draft: Draft, tree: dict[str, Any], index: int, *, native_system: bool) -> str | None:
    """Edits one message in place; returns the effort it asked for."""
    config = tree.pop("output_config", None)
    if config is not None:
        draft.dropped.append(f"messages.{index}.output_config")
    if tree.pop("clear_at", None) is not None:
        draft.dropped.append(f"messages.{index}.clear_at")
    if tree["role"] == "system" and not native_system:
        _system_to_user(tree, index)
    if isinstance(tree["content"], list):
        for block in tree["content"]:
            for key in _ECHOED_KEYS:
                block.pop(key, None)
            if block.get("citations", ...) is None:
                del block["citations"]
    return config.get("effort") if isinstance(config, dict) else None


def _system_to_user(tree: dict[str, Any], index: int) -> None:
    """In place, never hoisted to the top-level `system`: that would end the prompt cache there."""
    content = tree["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for position, block in enumerate(blocks):
        if block["type"] != "text":
            raise InvalidRequestError(
                f"messages.{index}.content.{position}: {block['type']} is not supported by this "
                "model; choose one that takes system messages inside the conversation"
            )
        block["text"] = f"<system-reminder>\n{block['text']}\n</system-reminder>"
    tree["role"], tree["content"] = "user", blocks
