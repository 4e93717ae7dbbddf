"""tool_result -> toolResult.

Source: bedrock-runtime service model (ToolResultBlock); Amazon Bedrock, table of what each model
family takes in a tool result.
"""

from __future__ import annotations

from typing import Any, Final

from ....errors import InvalidRequestError
from ...adapt.limits import EMPTY
from ..names import block_id
from .attachments import SIBLING, document, image, inner_control, is_blank, search_result
from .blocks import CacheControl, Document, Image, SearchResult, Text, ToolResult
from .draft import ConverseDraft

_ERROR: Final = "Error: "


def tool_result(
    draft: ConverseDraft, block: ToolResult, path: str
) -> tuple[dict[str, Any], CacheControl | None]:
    """Returns the toolResult and the breakpoint inside it, if any. Raises `InvalidRequestError`."""
    parts, inner = _content(draft, block, path)
    converted: dict[str, Any] = {"toolUseId": block_id(block.tool_use_id), "content": parts}
    if block.is_error:
        if "tool_result_status" in draft.features:
            converted["status"] = "error"
        elif "text" in parts[0]:
            parts[0] = {"text": _ERROR + parts[0]["text"]}
        else:
            parts.insert(0, {"text": _ERROR.strip()})
    return {"toolResult": converted}, inner


def _content(
    draft: ConverseDraft, block: ToolResult, path: str
) -> tuple[list[dict[str, Any]], CacheControl | None]:
    content = block.content
    if content is None or isinstance(content, str):
        return [{"text": EMPTY if content is None or is_blank(content) else content}], None
    parts: list[dict[str, Any]] = []
    inner = inner_control(content)
    for position, part in enumerate(content):
        added, deeper = _part(draft, part, f"{path}.content.{position}")
        parts += added
        inner = inner or deeper
    if not parts:
        parts.append({"text": EMPTY})
    elif not any("text" in part for part in parts) and any("document" in part for part in parts):
        parts.append(SIBLING)
    return parts, inner


def _part(
    draft: ConverseDraft, part: Text | Image | Document | SearchResult, path: str
) -> tuple[list[dict[str, Any]], CacheControl | None]:
    if isinstance(part, Text):
        if part.citations:
            draft.dropped.append(f"{path}.citations")
        return [{"text": part.text}], None
    if isinstance(part, SearchResult):
        if "rich_results" in draft.features:
            return search_result(draft, part, path)
        return search_result(draft, part, path, as_text=True)
    if "rich_results" not in draft.features:
        raise InvalidRequestError(
            f"{path}: this model takes only text in tool results; send the file in a message of "
            "its own or choose another model"
        )
    if isinstance(part, Image):
        return image(draft, part, path)
    return document(draft, part, path)
