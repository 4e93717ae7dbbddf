"""Rows: blocks that server-side tools leave in the history."""

from __future__ import annotations

from typing import Any

from rows import (
    CODE,
    CODE_CALL,
    EPHEMERAL,
    HELLO,
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
_PYTHON, _BASH, _EDITOR = "code_execution", "bash_code_execution", "text_editor_code_execution"
_PRINTED = {"return_code": 0, "stderr": "", "stdout": "Hi", "content": []}
_RAN = {"type": "code_execution_result", **_PRINTED}
_BASH_RAN = {"type": "bash_code_execution_result", **_PRINTED}
_SEALED_RAN = {
    "type": "encrypted_code_execution_result",
    "return_code": 0,
    "stderr": "",
    "encrypted_stdout": "x",
    "content": _FILE,
}
_VIEWED = {
    "type": f"{_EDITOR}_view_result",
    "file_type": "text",
    "content": "a",
    "num_lines": 1,
    "start_line": 1,
    "total_lines": 1,
}
_CREATED = {"type": f"{_EDITOR}_create_result", "is_file_update": False}
_REPLACED = {
    "type": f"{_EDITOR}_str_replace_result",
    "lines": ["-a", "+b"],
    "new_lines": 1,
    "new_start": 1,
    "old_lines": 1,
    "old_start": 1,
}
_LEFT = "Hi\nfiles for the user: file_1"
_AWAY = "unavailable: The sandbox is not available at the moment."
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


def _ran_row(
    title: str,
    at: int,
    name: str,
    content: dict[str, Any],
    words: str,
    *,
    is_error: bool = False,
) -> Row:
    """A call of code execution and its result, which the model is shown as those of a tool."""
    use = {**CODE_CALL, "name": name, "input": _INPUTS[name], "caller": {"type": "direct"}}
    ran = {
        "type": f"{name}_tool_result",
        "tool_use_id": use["id"],
        "content": content,
        "cache_control": EPHEMERAL,
    }
    answer = {"role": "assistant", "content": [use, ran, {"type": "text", "text": "Hi"}]}
    told = f"Error: {words}" if is_error else words
    return Row(
        group="server blocks",
        name=title,
        at=f"messages.1.content.{at}",
        cells="EEEE EEE",
        request={"messages": [HELLO, answer, HELLO], "tools": [CODE]},
        native={f"{_FIRST}.name": name, "messages.2.content.0.content": words},
        converse={f"{_FIRST}.toolUse.name": name, f"{_ANSWERED}.content.0.text": words},
        only={"qwen": {f"{_FIRST}.toolUse.name": name, f"{_ANSWERED}.content.0.text": told}},
    )


_INPUTS = {
    _PYTHON: {"code": "1"},
    _BASH: {"command": "ls"},
    _EDITOR: {"command": "view", "path": "a"},
}
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
        _ran_row(f"server_tool_use: {name}", 0, name, result, words)
        for name, result, words in (
            ("code_execution", _RAN, "Hi"),
            ("bash_code_execution", _BASH_RAN, "Hi"),
            ("text_editor_code_execution", _CREATED, "The file was created."),
        )
    ),
    _refused(
        "server_tool_use: advisor",
        {**_USE, "name": "advisor", "caller": {"type": "direct"}},
        by_bedrock=NATIVE,
    ),
    *(
        _ran_row(f"{name}_tool_result: {title}", 1, name, result, words)
        for name, title, result, words in (
            (_PYTHON, "result", _RAN, "Hi"),
            (_PYTHON, "files", {**_RAN, "content": _FILE}, _LEFT),
            (_PYTHON, "encrypted", _SEALED_RAN, "The output of this call cannot be shown again."),
            (_BASH, "result", _BASH_RAN, "Hi"),
            (
                _BASH,
                "files",
                {**_BASH_RAN, "content": _BASH_FILE},
                "Hi\nfiles for the user: file_1",
            ),
            (_EDITOR, "view", _VIEWED, "a"),
            (_EDITOR, "create", _CREATED, "The file was created."),
            (_EDITOR, "str_replace", _REPLACED, "-a\n+b"),
        )
    ),
    *(
        _ran_row(
            f"{name}_tool_result: error",
            1,
            name,
            {"type": f"{name}_tool_result_error", **_FAILED, **more},
            words,
            is_error=True,
        )
        for name, more, words in (
            (_PYTHON, {}, _AWAY),
            (_BASH, {}, _AWAY),
            (_EDITOR, {"error_message": "No"}, "unavailable: No"),
        )
    ),
    _server(
        "code_execution_tool_result",
        {**_RAN, "content": _FILE},
        "without its call",
        cache_control=EPHEMERAL,
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
