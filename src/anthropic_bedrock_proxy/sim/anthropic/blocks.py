"""Validation of content blocks in an InvokeModel body: fields, sources, cache markers.

What the first-party API takes and Bedrock does not is refused by name: URL and file sources,
blocks of server tools, `caller`, `parsed_output`. Tool-search blocks pass with their beta flag.
Sources: the Anthropic API reference for the block shapes, AWS's list of what is missing, public
issue reports for the wording.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from typing import Any

import msgspec

from ..prompt import signature_fits
from ..wire.fields import matching, need, one_of, only, tag, typed
from ..wire.patterns import BLOCK_ID, TOOL_NAME
from ..wire.refusal import invalid
from .scope import Scope, check_cache_control
from .search import check_search, check_search_result

_MAX_IMAGE_BASE64 = 5 * 1024 * 1024
_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")

_FIELDS: dict[str, tuple[str, ...]] = {
    "text": ("type", "text", "citations", "cache_control"),
    "image": ("type", "source", "cache_control"),
    "document": ("type", "source", "title", "context", "citations", "cache_control"),
    "search_result": ("type", "source", "title", "content", "citations", "cache_control"),
    "thinking": ("type", "thinking", "signature"),
    "redacted_thinking": ("type", "data"),
    "tool_use": ("type", "id", "name", "input", "cache_control"),
    "tool_result": ("type", "tool_use_id", "content", "is_error", "cache_control"),
    "server_tool_use": ("type", "id", "name", "input", "cache_control"),
    "tool_search_tool_result": ("type", "tool_use_id", "content", "cache_control"),
    "compaction": ("type", "content", "cache_control"),
    "tool_reference": ("type", "tool_name", "cache_control"),
    "tool_addition": ("type", "tool", "cache_control"),
    "tool_removal": ("type", "tool", "cache_control"),
}
_USER = ("text", "image", "document", "search_result", "tool_result")
_ASSISTANT = ("text", "thinking", "redacted_thinking", "tool_use", "document")
_RESULT = ("text", "image", "search_result", "document")
_CITATIONS = (
    "char_location",
    "page_location",
    "content_block_location",
    "search_result_location",
)


def check_system(scope: Scope, value: Any) -> None:
    """Checks the top-level `system`: text or text blocks."""
    if value is None:
        return
    if isinstance(value, str):
        scope.prompt.characters += len(value)
        return
    for index, block in enumerate(typed("system", value, list)):
        path = f"system.{index}"
        tag(path, typed(path, block, dict), ("text",))
        only(path, block, _FIELDS["text"])
        _check_text(scope, path, block, "system")
        if block.get("cache_control") is not None:
            check_cache_control(scope, f"{path}.cache_control", block["cache_control"])


def check_block(scope: Scope, path: str, block: Any, role: str) -> str:
    """Checks one block of a message with `role`; returns its type."""
    typed(path, block, dict)
    kind = tag(path, block, _types(scope, role))
    where = f"{path}.{kind}"
    _check_role(scope, path, kind, role)
    only(where, block, _FIELDS[kind])
    if kind == "text":
        _check_text(scope, where, block, role)
    elif checker := _CHECKS.get(kind):
        checker(scope, where, block)
    if block.get("cache_control") is not None:
        check_cache_control(scope, f"{where}.cache_control", block["cache_control"])
    return kind


def _types(scope: Scope, role: str) -> list[str]:
    if role == "result":
        return [*_RESULT, "tool_reference"] if scope.searches else list(_RESULT)
    if role == "system":
        return ["text", "tool_addition", "tool_removal"] if _changes_tools(scope) else ["text"]
    types = list(dict.fromkeys((*_USER, *_ASSISTANT)))
    if scope.searches:
        types += ["server_tool_use", "tool_search_tool_result"]
    if "compact-2026-01-12" in scope.betas:
        types.append("compaction")
    return types


def _changes_tools(scope: Scope) -> bool:
    return "mid-conversation-tool-changes-2026-07-01" in scope.betas


def _check_role(scope: Scope, path: str, kind: str, role: str) -> None:
    message = path.partition(".content")[0]
    if role == "user" and kind in ("thinking", "redacted_thinking", "tool_use", "server_tool_use"):
        raise invalid(f"{message}: `{kind}` blocks can only be in `assistant` messages")
    if role == "assistant":
        if kind in ("tool_result", "image", "search_result"):
            raise invalid(f"{message}: `{kind}` blocks can only be in `user` messages")
        if kind == "document" and scope.new_version:
            raise invalid(f"{message}: `document` blocks can only be in `user` messages")


def _check_text(scope: Scope, path: str, block: dict[str, Any], role: str) -> None:
    text = need(path, block, "text", str)
    if not text:
        where = "system" if path.startswith("system") else "messages"
        raise invalid(f"{where}: text content blocks must be non-empty")
    if not text.strip() and role != "assistant":
        where = "system" if path.startswith("system") else "messages"
        raise invalid(f"{where}: text content blocks must contain non-whitespace text")
    scope.prompt.characters += len(text)
    citations = block.get("citations")
    if citations:
        if role != "assistant" and scope.new_version:
            raise invalid(f"{path}.citations: citations are only permitted in assistant text")
        for index, citation in enumerate(typed(f"{path}.citations", citations, list)):
            where = f"{path}.citations.{index}"
            tag(where, typed(where, citation, dict), _CITATIONS)


def _check_image(scope: Scope, path: str, block: dict[str, Any]) -> None:
    source = need(path, block, "source", dict)
    tag(f"{path}.source", source, ("base64",))
    where = f"{path}.source.base64"
    only(where, source, ("type", "media_type", "data"))
    one_of(f"{where}.media_type", source.get("media_type"), _IMAGE_TYPES)
    data = need(where, source, "data", str)
    if len(data) > _MAX_IMAGE_BASE64:
        raise invalid(
            f"{where}: image exceeds 5 MB maximum: {len(data)} bytes > {_MAX_IMAGE_BASE64} bytes"
        )
    _check_base64(f"{where}.data", data)
    scope.prompt.attachments += 1


def _check_base64(path: str, data: str) -> None:
    try:
        if a2b_base64(data, strict_mode=True):
            return
    except (Base64Error, ValueError):
        pass
    raise invalid(f"{path}: Invalid base64 data")


def _check_document(scope: Scope, path: str, block: dict[str, Any]) -> None:
    source = need(path, block, "source", dict)
    kind = tag(f"{path}.source", source, ("base64", "content", "text"))
    where = f"{path}.source.{kind}"
    if kind == "content":
        only(where, source, ("type", "content"))
        if isinstance(source.get("content"), str):
            scope.prompt.characters += len(source["content"])
            return
        for index, part in enumerate(need(where, source, "content", list)):
            check_block(scope, f"{where}.content.{index}", part, "result")
        return
    only(where, source, ("type", "media_type", "data"))
    media_type = "application/pdf" if kind == "base64" else "text/plain"
    one_of(f"{where}.media_type", source.get("media_type"), (media_type,))
    data = need(where, source, "data", str)
    if kind == "text":
        scope.prompt.characters += len(data)
    else:
        _check_base64(f"{where}.data", data)
        scope.prompt.attachments += 1


def _check_search_result(scope: Scope, path: str, block: dict[str, Any]) -> None:
    need(path, block, "source", str)
    need(path, block, "title", str)
    for index, part in enumerate(need(path, block, "content", list)):
        where = f"{path}.content.{index}"
        tag(where, typed(where, part, dict), ("text",))
        _check_text(scope, where, part, "result")


def _check_thinking(scope: Scope, path: str, block: dict[str, Any]) -> None:
    thought = need(path, block, "thinking", str)
    if not signature_fits(thought, need(path, block, "signature", str)):
        raise invalid(f"{path.rpartition('.')[0]}: Invalid `signature` in `thinking` block")
    scope.prompt.characters += len(thought)


def _check_redacted(scope: Scope, path: str, block: dict[str, Any]) -> None:
    scope.prompt.characters += len(need(path, block, "data", str))


def _check_tool_use(scope: Scope, path: str, block: dict[str, Any]) -> None:
    matching(f"{path}.id", need(path, block, "id", str), BLOCK_ID)
    matching(f"{path}.name", need(path, block, "name", str), TOOL_NAME)
    scope.prompt.characters += len(msgspec.json.encode(need(path, block, "input", dict)))


def _check_tool_result(scope: Scope, path: str, block: dict[str, Any]) -> None:
    matching(f"{path}.tool_use_id", need(path, block, "tool_use_id", str), BLOCK_ID)
    if block.get("is_error") is not None:
        typed(f"{path}.is_error", block["is_error"], bool)
    content = block.get("content")
    if content is None:
        return
    if isinstance(content, str):
        scope.prompt.characters += len(content)
        return
    for index, part in enumerate(typed(f"{path}.content", content, list)):
        check_block(scope, f"{path}.content.{index}", part, "result")


def _check_reference(scope: Scope, path: str, block: dict[str, Any]) -> None:
    scope.prompt.characters += len(need(path, block, "tool_name", str))


_CHECKS = {
    "image": _check_image,
    "document": _check_document,
    "search_result": _check_search_result,
    "thinking": _check_thinking,
    "redacted_thinking": _check_redacted,
    "tool_use": _check_tool_use,
    "tool_result": _check_tool_result,
    "tool_reference": _check_reference,
    "server_tool_use": check_search,
    "tool_search_tool_result": check_search_result,
}
