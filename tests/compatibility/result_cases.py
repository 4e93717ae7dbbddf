"""Rows: tool results, and what may stand inside them."""

from __future__ import annotations

from block_cases import (
    DOCUMENT,
    FETCHED,
    FOUND,
    IMAGE,
    IMAGE_URL,
    PDF_FILE,
    PICTURE,
    SEARCH,
    WORDS,
    base64_of,
)
from journey import PNG
from rows import (
    EPHEMERAL,
    NATIVE,
    POINT,
    RESULT,
    TEXT,
    TOOL,
    loop,
    part,
    result,
)

_RESULT = "messages.2.content.0"
_PART = f"{_RESULT}.toolResult.content.0"
_ID = {"type": "tool_result", "tool_use_id": "toolu_1"}
_BROWSER = {
    "type": "browser_state",
    "tabs": [{"tab_id": 1, "active": True, "title": "A", "url": "https://example.com"}],
    "state_changes": [
        {"type": "tab_opened", "tab_id": 1},
        {"type": "download_started", "download_id": "d", "url": "https://example.com"},
        {
            "type": "download_completed",
            "download_id": "d",
            "path": "/a",
            "size_bytes": 1,
            "url": "https://example.com",
        },
        {
            "type": "download_failed",
            "download_id": "d",
            "error": "no",
            "url": "https://example.com",
        },
    ],
    "cache_control": EPHEMERAL,
}
_DEFERRED = {**TOOL, "name": "clock", "defer_loading": True}
_REFERENCE = {"type": "tool_reference", "tool_name": "clock", "cache_control": EPHEMERAL}
_REFERS = {**RESULT, "content": [_REFERENCE]}

RESULTS = (
    result(
        "tool_result: text",
        RESULT,
        "NNNN MMM",
        converse={
            _RESULT: {"toolResult": {"toolUseId": "toolu_1", "content": [{"text": "Sunny"}]}}
        },
    ),
    result("tool_result: no content", _ID, "NNNN MMM", converse={_PART: {"text": "(empty)"}}),
    result(
        "tool_result: is_error",
        {**RESULT, "is_error": True},
        "NNNN MMM",
        key="is_error",
        converse={f"{_RESULT}.toolResult.status": "error"},
        only={"qwen": {_PART: {"text": "Error: Sunny"}}},
    ),
    result(
        "tool_result: cache_control",
        {**RESULT, "cache_control": EPHEMERAL},
        "NNNN MMD",
        key="cache_control",
        converse={"messages.2.content.1": POINT},
    ),
    result(
        "tool_result: toolset_name",
        {**RESULT, "toolset_name": "computer"},
        "DDDD DDD",
        key="toolset_name",
        silent="toolsets are refused, so it tells nothing",
    ),
    part(
        "tool_result: text block",
        {"type": "text", "text": "Sunny"},
        "NNNN MMM",
        converse={_PART: {"text": "Sunny"}},
    ),
    part(
        "tool_result: text block, cache_control",
        {**TEXT, "cache_control": EPHEMERAL},
        "NNNN MMD",
        key="cache_control",
        converse={"messages.2.content.1": POINT},
        named=f"{_RESULT}.cache_control",
    ),
    part("tool_result: image", IMAGE, "NNNN MMR", converse={_PART: PICTURE}),
    part(
        "tool_result: image, url",
        IMAGE_URL,
        "EEEE EER",
        converse={_PART: FETCHED},
        native={f"{_RESULT}.content.0.source": base64_of("image/png", PNG)},
    ),
    part("tool_result: document", DOCUMENT, "NNNN MMR", converse={_PART: PDF_FILE}),
    part(
        "tool_result: search_result",
        FOUND,
        "NNNN MMM",
        converse={_PART: WORDS},
        only={"converse": {_PART: SEARCH}},
    ),
    part(
        "tool_result: browser_state",
        _BROWSER,
        "RRRR RRR",
        by_bedrock=NATIVE,
        says=dict.fromkeys(NATIVE, "messages.2.content.0.tool_result.content.0"),
    ),
    result(
        "tool_result: tool_reference",
        _REFERS,
        "NNNN EEE",
        key="content.0",
        request={"messages": loop(result=_REFERS), "tools": [TOOL, _DEFERRED]},
        converse={
            _PART: {"text": "The tool clock is now available."},
            "toolConfig.tools.1.toolSpec.name": "clock",
        },
    ),
)
