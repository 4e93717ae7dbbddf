"""Edits of `messages` and `system` for Bedrock's native dialects.

The views tell which messages need one; only those are decoded, edited and encoded again, so a long
history costs a scan. Blocks that Bedrock cannot take are refused with their path: dropping one
would change what the model sees.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, Raw

from ...errors import InvalidRequestError
from ..request.views import BlockView, MessageView, SourceView
from .draft import NativeDraft, decode, decode_raws, encode

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
_TOOL_CHANGES: Final = frozenset(("tool_addition", "tool_removal"))
_NOTED: Final = _SERVER_BLOCKS | _TOOL_CHANGES
_WEB_LOCATION: Final = "web_search_result_location"
_BILLING_HEADER: Final = b"x-anthropic-billing-header"
_BILLING_WITHIN: Final = 200  # bytes: it is always the first block


def edit_messages(draft: NativeDraft) -> None:
    """Brings `messages` into Bedrock's form. Raises `InvalidRequestError` with the path."""
    messages = draft.request.view.messages
    edits = [index for index, message in enumerate(messages) if _needs_edit(draft, message, index)]
    if not edits:
        return
    raws = decode_raws(draft.fields["messages"])
    for index in edits:
        tree = decode(raws[index])
        for position, block in enumerate(tree["content"]):
            _clean(draft, block, f"messages.{index}.content.{position}")
        raws[index] = Raw(encode(tree))
    draft.set("messages", raws)


def edit_system(draft: NativeDraft) -> None:
    """Brings the top-level `system` into Bedrock's form."""
    raw = draft.fields.get("system")
    if raw is None:
        return
    data = bytes(raw)
    if not data.startswith(b"["):
        return
    bills = _BILLING_HEADER in data[:_BILLING_WITHIN]
    if not bills and not draft.marks_within(data):
        return
    kept = []
    for position, block in enumerate(decode(data)):
        if not isinstance(block, dict):
            raise InvalidRequestError(f"system.{position}: Expected `object`")
        if bills and str(block.get("text", "")).startswith(_BILLING_HEADER.decode()):
            # Claude Code's attribution is for Anthropic's own API, which strips it too.
            draft.dropped.append(f"system.{position}")
            continue
        draft.mark(block, f"system.{position}")
        kept.append(block)
    if kept:
        draft.fields["system"] = Raw(encode(kept))
    else:
        del draft.fields["system"]


def _needs_edit(draft: NativeDraft, message: MessageView, index: int) -> bool:
    content = message.content
    if isinstance(content, str) or _are_plain(content):
        return False
    return _any_needs_edit(draft, content, f"messages.{index}.content")


def _is_plain(block: BlockView) -> bool:
    """Tells by its fields alone that a block needs no edit: true of nearly every block."""
    if (
        block.caller is not UNSET
        or block.cache_control is not UNSET
        or block.source is not UNSET
        or block.citations is not UNSET
        or block.parsed_output is not UNSET
        or block.toolset_name is not UNSET
        or block.type in _NOTED
    ):
        return False
    content = block.content
    return content is UNSET or not isinstance(content, list) or _are_plain(content)


def _are_plain(blocks: list[BlockView]) -> bool:
    for block in blocks:  # noqa: SIM110  # `all` would cost a generator
        if not _is_plain(block):
            return False
    return True


def _block_needs_edit(draft: NativeDraft, block: BlockView, path: str) -> bool:
    kind = block.type
    if kind in _SERVER_BLOCKS:
        raise InvalidRequestError(
            f"{path}: {kind} blocks are not available on Amazon Bedrock; remove them from the "
            "history"
        )
    if kind in _TOOL_CHANGES:  # a model without them never gets here
        draft.need("tool_changes")
    caller = block.caller
    if caller is not UNSET and caller is not None and caller.type != "direct":
        raise InvalidRequestError(
            f"{path}.caller: no code execution tool is in this request; add it, or remove the "
            "blocks that code called"
        )
    needed = (
        caller is not UNSET
        or block.parsed_output is not UNSET
        or block.toolset_name is not UNSET
        or (kind == "text" and block.citations is not UNSET)
        or (block.cache_control is not UNSET and draft.marks(block.cache_control))
    )
    source = block.source
    if isinstance(source, SourceView):
        if source.type in ("url", "file"):
            raise InvalidRequestError(
                f"{path}.source: {source.type} sources are not available on Amazon Bedrock; send "
                f"the {kind} as base64"
            )
        needed |= _any_needs_edit(draft, source.content, f"{path}.source.content")
    return _any_needs_edit(draft, block.content, f"{path}.content") or needed


def _any_needs_edit(draft: NativeDraft, blocks: object, path: str) -> bool:
    """Tells whether any block within a block needs an edit; `blocks` may be no list."""
    needed = False
    if isinstance(blocks, list):
        # Checks every block even when the first needs an edit: one of the others may be refused.
        for position, block in enumerate(blocks):
            if not _is_plain(block) and _block_needs_edit(draft, block, f"{path}.{position}"):
                needed = True
    return needed


def _clean(draft: NativeDraft, block: dict[str, Any], path: str) -> None:
    """Edits one block in place, and the blocks within it."""
    for key in _ECHOED_KEYS:
        block.pop(key, None)
    _clean_citations(draft, block, path)
    source = block.get("source")
    for holder, where in ((block, path), (source, f"{path}.source")):
        if isinstance(holder, dict) and isinstance(holder.get("content"), list):
            for position, inner in enumerate(holder["content"]):
                _clean(draft, inner, f"{where}.content.{position}")
    draft.mark(block, path)


def _clean_citations(draft: NativeDraft, block: dict[str, Any], path: str) -> None:
    """Drops citations of web searches: Bedrock has none, and a client may keep nothing else."""
    cited = block.get("citations", ...)
    if isinstance(cited, list):
        kept = [one for one in cited if not _is_of_the_web(one)]
        if len(kept) < len(cited):
            block["citations"] = cited = kept or None
            draft.dropped.append(f"{path}.citations")
    if cited is None:
        del block["citations"]


def _is_of_the_web(citation: Any) -> bool:
    return isinstance(citation, dict) and citation.get("type") == _WEB_LOCATION
