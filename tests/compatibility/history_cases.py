"""Rows: blocks of earlier answers, as clients echo them."""

from __future__ import annotations

from typing import Any

from block_cases import CITATIONS, PLAIN
from context_cases import SIGNED
from rows import (
    CALL,
    CODE,
    CODE_CALL,
    EPHEMERAL,
    GONE,
    HELLO,
    POINT,
    PRINTED,
    PROGRAM_CALL,
    TOOL,
    Row,
    assistant,
    called,
    loop,
)

_FIRST = "messages.1.content.0"
_CITED_TEXT = {"type": "text", "text": "Read"}
_CITED = f"{_FIRST}.citationsContent.citations.0.location"
_CONVERSE_LOCATIONS = {
    "char_location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 1}},
    "page_location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}},
    "content_block_location": {"documentChunk": {"documentIndex": 0, "start": 0, "end": 1}},
    "search_result_location": {
        "searchResultLocation": {"searchResultIndex": 0, "start": 0, "end": 1}
    },
}
_LONG_ID = "toolu_" + "x" * 70
_OLDER_CALL = {
    **PROGRAM_CALL,
    "caller": {"type": "code_execution_20250825", "tool_id": CODE_CALL["id"]},
}
_STRAY_CALL = {**CALL, "caller": {"type": CODE["type"], "tool_id": "srvtoolu_1"}}
_SHOWN_CALL = CODE_CALL["id"].replace("srvtoolu", "toolu")
_PROGRAM = [{**TOOL, "allowed_callers": [CODE["type"]]}, CODE]


def _cited(kind: str) -> Row:
    block = {**_CITED_TEXT, "citations": [CITATIONS[kind]]}
    if kind not in _CONVERSE_LOCATIONS:  # of a web search, which Bedrock has not
        return assistant(
            f"text: citations, {kind}",
            block,
            "DDDD DDD",
            key="citations",
        )
    return assistant(
        f"text: citations, {kind}",
        block,
        "NNNN MDD",
        key="citations",
        converse={_CITED: _CONVERSE_LOCATIONS[kind]},
    )


_WHOLE = [{"role": "assistant", "content": [PRINTED, {"type": "text", "text": "Nice"}]}, HELLO]


def _by_code(title: str, call: dict[str, Any], more: list[dict[str, Any]]) -> Row:
    """A call by code: the model is shown that code and its result, and not the call."""
    messages = [*loop(call), *more]
    messages[1] = {"role": "assistant", "content": [CODE_CALL, call]}
    printed = "Sunny" if more else "5\n"
    return Row(
        group="history",
        name=title,
        at="messages.1.content.1.caller",
        cells="EEEE EEE",
        request={"messages": messages, "tools": _PROGRAM},
        native={
            f"{_FIRST}.id": _SHOWN_CALL,
            "messages.1.content.1": GONE,
            "messages.2.content.0.tool_use_id": _SHOWN_CALL,
            "messages.2.content.0.content": printed,
        },
        converse={
            f"{_FIRST}.toolUse.name": "code_execution",
            "messages.1.content.1": GONE,
            "messages.2.content.0.toolResult.content.0.text": printed,
        },
    )


HISTORY = (
    assistant(
        "text", {"type": "text", "text": "Hi"}, "NNNN MMM", converse={_FIRST: {"text": "Hi"}}
    ),
    assistant("text: blank", {"type": "text", "text": ""}, "DDDD DDD", silent="it says nothing"),
    *(_cited(kind) for kind in CITATIONS),
    assistant(
        "text: citations null",
        {**_CITED_TEXT, "citations": None},
        "MMMM MMM",
        key="citations",
        native={f"{_FIRST}.citations": GONE},
        converse={_FIRST: {"text": "Read"}},
        same="null and absent mean the same",
    ),
    assistant(
        "text: parsed_output",
        {**_CITED_TEXT, "parsed_output": {"a": 1}},
        "DDDD DDD",
        key="parsed_output",
        silent="the SDK read it out of the text",
    ),
    assistant(
        "thinking",
        SIGNED,
        "NNNN MDD",
        converse={
            _FIRST: {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2lnbmVk"}}}
        },
    ),
    assistant(
        "thinking: only a signature (display omitted)",
        {**SIGNED, "thinking": ""},
        "NNNN MDD",
        converse={
            _FIRST: {"reasoningContent": {"reasoningText": {"text": "", "signature": "c2lnbmVk"}}}
        },
    ),
    assistant(
        "redacted_thinking",
        {"type": "redacted_thinking", "data": "c2lnbmVk"},
        "NNNN MDD",
        converse={_FIRST: {"reasoningContent": {"redactedContent": "c2lnbmVk"}}},
    ),
    assistant(
        "document in an answer (2023-06-01)",
        PLAIN,
        "NNNN RRR",
        says={
            "converse": "messages.1.content.0",
            "nova": "messages.1.content.0",
            "qwen": "messages.1.content.0",
        },
    ),
    called(
        "tool_use",
        CALL,
        "NNNN MMM",
        converse={
            _FIRST: {
                "toolUse": {"toolUseId": "toolu_1", "name": "weather", "input": {"city": "Rome"}}
            }
        },
    ),
    called(
        "tool_use: an id of more than 64 characters",
        {**CALL, "id": _LONG_ID},
        "NNNN MMM",
        key="id",
        request={
            "messages": loop(
                {**CALL, "id": _LONG_ID}, {"type": "tool_result", "tool_use_id": _LONG_ID}
            ),
            "tools": [TOOL],
        },
        converse={f"{_FIRST}.toolUse.name": "weather"},
    ),
    called(
        "tool_use: a tool that is no longer offered",
        CALL,
        "NNNN MMM",
        key="name",
        request={"messages": loop()},
        converse={"toolConfig.tools.0.toolSpec.name": "weather"},
    ),
    called(
        "tool_use: cache_control",
        {**CALL, "cache_control": EPHEMERAL},
        "NNNN MMD",
        key="cache_control",
        converse={"messages.1.content.1": POINT},
    ),
    called(
        "tool_use: caller direct",
        {**CALL, "caller": {"type": "direct"}},
        "MMMM MMM",
        key="caller",
        native={f"{_FIRST}.caller": GONE},
        converse={f"{_FIRST}.toolUse.name": "weather"},
        same="direct is the only caller there",
    ),
    *(
        _by_code(f"tool_use: caller {call['caller']['type']}, {title}", call, more)
        for call in (PROGRAM_CALL, _OLDER_CALL)
        for title, more in (("whose result is there", _WHOLE), ("whose code waits", []))
    ),
    called(
        "tool_use: caller code_execution_20260120, of no call that is there",
        _STRAY_CALL,
        "RRRR RRR",
        key="caller",
    ),
    called(
        "tool_use: toolset_name",
        {**CALL, "toolset_name": "computer"},
        "DDDD DDD",
        key="toolset_name",
        silent="toolsets are refused, so it tells nothing",
    ),
)
