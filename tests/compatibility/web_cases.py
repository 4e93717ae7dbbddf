"""Rows: what web search and web fetch leave in the history, sealed as the journey opens it."""

from __future__ import annotations

from typing import Any

from block_cases import PLAIN
from journey import SEALS
from rows import EPHEMERAL, HELLO, Row, assistant

from anthropic_bedrock_proxy.search.base import SearchHit
from anthropic_bedrock_proxy.tools.passages import source_index
from anthropic_bedrock_proxy.tools.web.search_results import ResultSeals

_HIT = SearchHit("https://example.com", "A", "It is sunny.", "1 day")
_SEALED = ResultSeals(SEALS, "")
_RESULTS = _SEALED.content([_HIT])
_INDEX = f"{source_index(_HIT.url, _HIT.text)}-1"
_CITATION = _SEALED.citation(_HIT, _INDEX, _HIT.text)
_FOUND = (
    f'<result url="https://example.com" title="A" age="1 day">\n[{_INDEX}] It is sunny.\n</result>'
)
_FETCHED = {
    "type": "web_fetch_result",
    "url": "https://example.com",
    "content": PLAIN,
    "retrieved_at": "2026-01-01T00:00:00Z",
}
_PAGE = '<page url="https://example.com" retrieved_at="2026-01-01T00:00:00Z">\nRead\n</page>'
_FAILED = {"error_code": "unavailable"}
_TOOLS = {
    "web_search": {"type": "web_search_20250305", "name": "web_search"},
    "web_fetch": {"type": "web_fetch_20250910", "name": "web_fetch"},
}
_INPUTS = {"web_search": {"query": "weather"}, "web_fetch": {"url": "https://example.com"}}
_ANSWERED = "messages.2.content.0"


def _request(name: str, content: Any, text: dict[str, Any]) -> dict[str, Any]:
    use = {
        "type": "server_tool_use",
        "id": "srvtoolu_1",
        "name": name,
        "input": _INPUTS[name],
        "caller": {"type": "direct"},
    }
    told = {
        "type": f"{name}_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": content,
        "caller": {"type": "direct"},
        "cache_control": EPHEMERAL,
    }
    answer = {"role": "assistant", "content": [use, told, text]}
    return {"messages": [HELLO, answer, HELLO], "tools": [_TOOLS[name]]}


def _pair(
    title: str, at: int, name: str, content: Any, words: str, *, is_error: bool = False
) -> Row:
    """A call and its result, which the model is shown as those of a tool."""
    called, answered = "messages.1.content.0", f"{_ANSWERED}.toolResult.content.0.text"
    told = f"Error: {words}" if is_error else words
    return Row(
        group="server blocks",
        name=title,
        at=f"messages.1.content.{at}",
        cells="EEEE EEE",
        request=_request(name, content, {"type": "text", "text": "Hi"}),
        native={f"{called}.name": name, f"{_ANSWERED}.content": words},
        converse={f"{called}.toolUse.name": name, answered: words},
        only={"qwen": {f"{called}.toolUse.name": name, answered: told}},
    )


def _alone(kind: str, content: Any) -> Row:
    block = {"type": kind, "tool_use_id": "srvtoolu_1", "content": content}
    return assistant(f"{kind}: without its call", block, "RRRR RRR", group="server blocks")


_NO_SEARCH = "unavailable: The web cannot be searched at the moment; say so, and do not guess."
_NO_PAGE = "unavailable: The page cannot be read at the moment; say so, and do not guess."
_CITED = {"type": "text", "text": "Sunny.", "citations": [_CITATION]}
_MARKED = f'<cited index="{_INDEX}">Sunny.</cited>'

WEB = (
    _pair("server_tool_use: web_search", 0, "web_search", _RESULTS, _FOUND),
    _pair("web_search_tool_result: results", 1, "web_search", _RESULTS, _FOUND),
    _pair(
        "web_search_tool_result: error",
        1,
        "web_search",
        {"type": "web_search_tool_result_error", **_FAILED},
        _NO_SEARCH,
        is_error=True,
    ),
    Row(
        group="server blocks",
        name="web_search_tool_result: encrypted_content of somebody else",
        at="messages.1.content.1.content.0.encrypted_content",
        cells="RRRR RRR",
        request=_request(
            "web_search",
            ResultSeals(SEALS, "another").content([_HIT]),
            {"type": "text", "text": "Hi"},
        ),
        without={"messages": [HELLO]},
    ),
    Row(
        group="history",
        name="text: citations, web_search_result_location, with its search",
        at="messages.1.content.2.citations",
        cells="EEEE EEE",
        request=_request("web_search", _RESULTS, _CITED),
        native={"messages.3.content.0.text": _MARKED},
        converse={"messages.3.content.0.text": _MARKED},
    ),
    _pair("server_tool_use: web_fetch", 0, "web_fetch", _FETCHED, _PAGE),
    _pair("web_fetch_tool_result: result", 1, "web_fetch", _FETCHED, _PAGE),
    _pair(
        "web_fetch_tool_result: error",
        1,
        "web_fetch",
        {"type": "web_fetch_tool_result_error", **_FAILED},
        _NO_PAGE,
        is_error=True,
    ),
    _alone("web_search_tool_result", _RESULTS),
    _alone("web_fetch_tool_result", _FETCHED),
)
