"""Blocks of earlier answers, as the history brings them back: thoughts, calls, cited text.

Source: bedrock-runtime service model (ReasoningContentBlock, ToolUseBlock, CitationsContentBlock);
Anthropic API, kinds of citations.
"""

from __future__ import annotations

from typing import Any, Final

from ....errors import InvalidRequestError
from ..names import block_id
from .attachments import check_base64
from .blocks import Citation, RedactedThinking, Text, Thinking, ToolUse
from .draft import ConverseDraft

# Anthropic's type -> member of the location, and the names of index, start and end there.
_LOCATIONS: Final = {
    "char_location": ("documentChar", "document_index", "start_char_index", "end_char_index"),
    "page_location": ("documentPage", "document_index", "start_page_number", "end_page_number"),
    "content_block_location": (
        "documentChunk",
        "document_index",
        "start_block_index",
        "end_block_index",
    ),
    "search_result_location": (
        "searchResultLocation",
        "search_result_index",
        "start_block_index",
        "end_block_index",
    ),
}
_SEARCH: Final = "searchResultLocation"


def thinking(draft: ConverseDraft, block: Thinking, path: str) -> dict[str, Any] | None:
    """Converts a thought; None for one of another model, which this one would refuse."""
    if not draft.thinks or not block.signature:
        draft.dropped.append(path)
        return None
    text = {"text": block.thinking, "signature": block.signature}
    return {"reasoningContent": {"reasoningText": text}}


def redacted_thinking(
    draft: ConverseDraft, block: RedactedThinking, path: str
) -> dict[str, Any] | None:
    """Converts a redacted thought; None for a model without thoughts."""
    if not draft.thinks:
        draft.dropped.append(path)
        return None
    return {"reasoningContent": {"redactedContent": check_base64(block.data, f"{path}.data")}}


def tool_use(draft: ConverseDraft, block: ToolUse, path: str) -> dict[str, Any]:
    """Converts a tool call. Raises `InvalidRequestError` with the path."""
    if "tools" not in draft.features:
        raise InvalidRequestError(
            f"{path}: this model has no tool use; remove the block or choose another model"
        )
    if block.caller is not None and block.caller.type != "direct":
        raise InvalidRequestError(
            f"{path}.caller: no code execution tool is in this request; add it, or remove the "
            "blocks that code called"
        )
    if bytes(memoryview(block.input)[:1]) != b"{":
        raise InvalidRequestError(f"{path}.input: Expected `object`")
    draft.called[block.name] = None
    return {
        "toolUse": {
            "toolUseId": block_id(block.id),
            "name": draft.tool_names.sent(block.name),
            "input": block.input,
        }
    }


def cited_text(draft: ConverseDraft, block: Text, path: str) -> dict[str, Any]:
    """Converts a text with all of its citations, or to plain text if one has no counterpart."""
    if "citations" in draft.features:
        citations = [_citation(cited) for cited in block.citations or ()]
        if None not in citations:
            return {"citationsContent": {"content": [{"text": block.text}], "citations": citations}}
    draft.dropped.append(f"{path}.citations")
    return {"text": block.text}


def _citation(cited: Citation) -> dict[str, Any] | None:
    location = _LOCATIONS.get(cited.type)
    if location is None:
        return None
    member, *places = location
    index, start, end = (getattr(cited, name) for name in places)
    if any(place is None or place < 0 for place in (index, start, end)):
        return None
    name = "searchResultIndex" if member == _SEARCH else "documentIndex"
    converted: dict[str, Any] = {
        "sourceContent": [{"text": cited.cited_text}],
        "location": {member: {name: index, "start": start, "end": end}},
    }
    title = cited.title if member == _SEARCH else cited.document_title
    if title is not None:
        converted["title"] = title
    if cited.source is not None:
        converted["source"] = cited.source
    return converted
