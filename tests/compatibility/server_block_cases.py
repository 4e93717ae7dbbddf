"""Rows: blocks that server-side tools leave in the history."""

from __future__ import annotations

from typing import Any

from block_cases import PLAIN
from rows import (
    EPHEMERAL,
    NATIVE,
    OTHER_TOOL,
    POINT,
    TOOL,
    Row,
    assistant,
)

_FIRST = "messages.1.content.0"


def _server(kind: str, content: Any, title: str = "", **rest: Any) -> Row:
    block = {"type": kind, "tool_use_id": "srvtoolu_1", "content": content, **rest}
    name = f"{kind}: {title or content['type'].removeprefix(kind + '_')}"
    return assistant(name, block, "RRRR RRR", group="server blocks")


def _refused(title: str, block: dict[str, Any], **rest: Any) -> Row:
    return assistant(title, block, "RRRR RRR", group="server blocks", **rest)


_FILE = [{"type": "code_execution_output", "file_id": "file_1"}]
_BASH_FILE = [{"type": "bash_code_execution_output", "file_id": "file_1"}]
_RAN = {"return_code": 0, "stderr": ""}
_EDITED = "text_editor_code_execution_"
_FETCHED = {
    "type": "web_fetch_result",
    "url": "https://example.com",
    "content": PLAIN,
    "retrieved_at": "2026-01-01",
}
_HIT = {
    "type": "web_search_result",
    "title": "A",
    "url": "https://example.com",
    "encrypted_content": "x",
    "page_age": "1 day",
}
_FAILED = {"error_code": "unavailable"}
_USE = {"type": "server_tool_use", "id": "srvtoolu_1", "input": {"query": "weather"}}
_SEARCH = {"type": "tool_search_tool_regex", "name": "tool_search_tool_regex"}
_SEARCH_USE = {**_USE, "name": "tool_search_tool_regex", "input": {"pattern": "clock"}}
_HITS = {
    "type": "tool_search_tool_search_result",
    "tool_references": [{"type": "tool_reference", "tool_name": "clock"}],
}
_SEARCHED = {"type": "tool_search_tool_result", "tool_use_id": "srvtoolu_1", "content": _HITS}
_NOT_FOUND = {
    "type": "tool_search_tool_result_error",
    "error_code": "unavailable",
    "error_message": "No",
}
_SEARCHING = {"tools": [TOOL, _SEARCH, {**OTHER_TOOL, "defer_loading": True}]}


_ASKED = {"toolUseId": "toolu_1", "name": "tool_search_tool_regex", "input": {"pattern": "clock"}}
_ANSWERED = "messages.2.content.0.toolResult"
_LOADED = {
    f"{_FIRST}.toolUse": _ASKED,
    f"{_ANSWERED}.content": [{"text": "The tool clock is now available."}],
    "toolConfig.tools.2.toolSpec.name": "clock",
}


def _searched(
    title: str,
    at: int,
    converse: dict[str, Any],
    *,
    result: dict[str, Any] = _SEARCHED,
    use: dict[str, Any] = _SEARCH_USE,
    **rest: Any,
) -> Row:
    answer = {"role": "assistant", "content": [use, result, {"type": "text", "text": "Hi"}]}
    messages = [{"role": "user", "content": "Hello"}, answer, {"role": "user", "content": "Go on"}]
    return Row(
        group="server blocks",
        name=title,
        at=f"messages.1.content.{at}",
        cells="NNNN EEE",
        request={**_SEARCHING, "messages": messages},
        converse=converse,
        **rest,
    )


_MCP_TOOL = {"name": "t", "input_schema": {"type": "object"}, "description": "Does it"}
_COMPACTION = {"type": "compaction", "content": "So far", "cache_control": EPHEMERAL}
_SEALED = {"encrypted_content": "x", "signature": "s"}
_CHANGED = {
    "tool_changes": [{"type": "tool_removal", "tool": {"type": "tool_reference", "name": "t"}}]
}
_COMPACTING = {"group": "server blocks", "flags": ("compact-2026-01-12",)}

SERVER = (
    _searched("server_tool_use: tool search", 0, _LOADED),
    _searched(
        "server_tool_use: tool search, cache_control",
        0,
        _LOADED | {"messages.1.content.1": POINT},
        only={"qwen": _LOADED},
        use={**_SEARCH_USE, "cache_control": EPHEMERAL},
    ),
    _searched("tool_search_tool_result", 1, _LOADED),
    _searched(
        "tool_search_tool_result: cache_control",
        1,
        _LOADED | {"messages.2.content.1": POINT},
        only={"qwen": _LOADED},
        result={**_SEARCHED, "cache_control": EPHEMERAL},
    ),
    _searched(
        "tool_search_tool_result: error",
        1,
        {f"{_ANSWERED}.content.0.text": "unavailable: No"},
        only={"qwen": {f"{_ANSWERED}.content.0.text": "Error: unavailable: No"}},
        result={**_SEARCHED, "content": _NOT_FOUND},
    ),
    *(
        _refused(
            f"server_tool_use: {name}",
            {**_USE, "name": name, "caller": {"type": "direct"}},
            by_bedrock=NATIVE,
        )
        for name in (
            "web_search",
            "web_fetch",
            "code_execution",
            "bash_code_execution",
            "text_editor_code_execution",
            "advisor",
        )
    ),
    _server(
        "web_search_tool_result",
        [_HIT],
        "results",
        caller={"type": "direct"},
        cache_control=EPHEMERAL,
    ),
    _server("web_search_tool_result", {"type": "web_search_tool_result_error", **_FAILED}),
    _server(
        "web_fetch_tool_result",
        _FETCHED,
        "result",
        caller={"type": "direct"},
        cache_control=EPHEMERAL,
    ),
    _server("web_fetch_tool_result", {"type": "web_fetch_tool_result_error", **_FAILED}),
    _server(
        "code_execution_tool_result",
        {"type": "code_execution_result", **_RAN, "stdout": "", "content": _FILE},
        "result",
        cache_control=EPHEMERAL,
    ),
    _server(
        "code_execution_tool_result",
        {
            "type": "encrypted_code_execution_result",
            **_RAN,
            "encrypted_stdout": "x",
            "content": _FILE,
        },
        "encrypted",
    ),
    _server("code_execution_tool_result", {"type": "code_execution_tool_result_error", **_FAILED}),
    _server(
        "bash_code_execution_tool_result",
        {"type": "bash_code_execution_result", **_RAN, "stdout": "", "content": _BASH_FILE},
        "result",
        cache_control=EPHEMERAL,
    ),
    _server(
        "bash_code_execution_tool_result",
        {"type": "bash_code_execution_tool_result_error", **_FAILED},
    ),
    _server(
        f"{_EDITED}tool_result",
        {
            "type": f"{_EDITED}view_result",
            "file_type": "text",
            "content": "a",
            "num_lines": 1,
            "start_line": 1,
            "total_lines": 1,
        },
        "view",
        cache_control=EPHEMERAL,
    ),
    _server(
        f"{_EDITED}tool_result",
        {"type": f"{_EDITED}create_result", "is_file_update": True},
        "create",
    ),
    _server(
        f"{_EDITED}tool_result",
        {
            "type": f"{_EDITED}str_replace_result",
            "lines": ["a"],
            "new_lines": 1,
            "new_start": 1,
            "old_lines": 1,
            "old_start": 1,
        },
        "str_replace",
    ),
    _server(
        f"{_EDITED}tool_result",
        {"type": f"{_EDITED}tool_result_error", **_FAILED, "error_message": "No"},
    ),
    _server(
        "advisor_tool_result",
        {"type": "advisor_result", "text": "a", "stop_reason": "end_turn"},
        "result",
        cache_control=EPHEMERAL,
    ),
    _server(
        "advisor_tool_result",
        {"type": "advisor_redacted_result", "encrypted_content": "x", "stop_reason": "end_turn"},
        "redacted",
    ),
    _server("advisor_tool_result", {"type": "advisor_tool_result_error", **_FAILED}),
    _refused(
        "mcp_tool_use",
        {
            "type": "mcp_tool_use",
            "id": "mcptoolu_1",
            "name": "t",
            "server_name": "m",
            "input": {},
            "cache_control": EPHEMERAL,
        },
    ),
    _refused(
        "mcp_tool_result",
        {
            "type": "mcp_tool_result",
            "tool_use_id": "mcptoolu_1",
            "content": "a",
            "is_error": False,
            "cache_control": EPHEMERAL,
        },
    ),
    _refused(
        "mcp_tool_listing",
        {"type": "mcp_tool_listing", "mcp_server_name": "m", "tools": [_MCP_TOOL]},
    ),
    _refused(
        "fallback",
        {
            "type": "fallback",
            "from": {"model": "a"},
            "to": {"model": "b"},
            "trigger": {"type": "refusal"},
        },
    ),
    assistant("compaction: content", _COMPACTION, "RNNN RRR", by_bedrock=("haiku",), **_COMPACTING),
    assistant(
        "compaction: encrypted",
        {"type": "compaction", **_SEALED},
        "RRRR RRR",
        by_bedrock=NATIVE,
        **_COMPACTING,
    ),
    assistant(
        "compaction: tool_changes",
        {**_COMPACTION, **_CHANGED},
        "RRRR RRR",
        by_bedrock=NATIVE,
        **_COMPACTING,
    ),
)
