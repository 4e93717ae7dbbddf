"""Rows: tools that a server runs."""

from __future__ import annotations

from typing import Any

from rows import (
    EPHEMERAL,
    GONE,
    NATIVE_TOOL,
    OTHER_TOOL,
    POINT,
    TOOL_SPEC,
    Row,
    tool,
)

_BARE = {"type": "object", "properties": {}}
_WHERE = {
    "type": "approximate",
    "city": "Rome",
    "region": "Lazio",
    "country": "IT",
    "timezone": "Europe/Rome",
}
_LIMITS = {
    "max_uses": 1,
    "allowed_domains": ["example.com"],
    "cache_control": EPHEMERAL,
    "strict": True,
    "defer_loading": False,
    "allowed_callers": ["direct"],
}
_CLOCK = {"type": "tool_reference", "name": OTHER_TOOL["name"]}
_SEARCHES = {**_LIMITS, "user_location": _WHERE}
_FETCHES = {
    **_LIMITS,
    "citations": {"enabled": True},
    "max_content_tokens": 10,
    "url_sources": {
        "user_input": {"type": "all"},
        "client_tool_results": {"type": "none"},
        "server_tool_results": {"type": "only", "tools": [_CLOCK]},
    },
}
_EXCEPT = {
    "url_sources": {
        "client_tool_results": {
            "type": "except",
            "tools": [_CLOCK],
        }
    }
}
_RUNS = {
    "cache_control": EPHEMERAL,
    "strict": True,
    "defer_loading": False,
    "allowed_callers": ["direct"],
}
_EXCLUDED = {"response_inclusion": "excluded"}
_SEARCH_KINDS = (
    "tool_search_tool_regex_20251119",
    "tool_search_tool_regex",
    "tool_search_tool_bm25_20251119",
    "tool_search_tool_bm25",
)
_MEMBER = {"enabled": True, "defer_loading": True}


def _server(kind: str, name: str, **more: Any) -> Row:
    """A tool that Anthropic runs."""
    tree = {"type": kind, **({"name": name} if name else {}), **more}
    named = f"tools: {kind} is not available"
    return tool(kind, tree, "DDDD DDD", group="server tools", named=named)


def _web(kind: str, argument: str, **more: Any) -> Row:
    """The model sees a custom tool of the same name, with one argument."""
    name = kind.rpartition("_")[0]
    return tool(
        kind,
        {"type": kind, "name": name, **more},
        "EEEE EEE",
        group="server tools",
        native={
            "tools.0.name": name,
            "tools.0.type": GONE,
            "tools.0.input_schema.required": [argument],
        },
        converse={
            f"{TOOL_SPEC}.name": name,
            f"{TOOL_SPEC}.inputSchema.json.required": [argument],
        },
    )


def _toolset(kind: str, **more: Any) -> Row:
    """Several tools of the client's in one."""
    return tool(kind, {"type": kind, **more}, "RRRR RRR", group="server tools")


def _code(date: str, first: str) -> Row:
    """The model sees what the version can do as custom tools, of which this is the first."""
    tree = {"type": f"code_execution_{date}", "name": "code_execution", **_RUNS}
    return tool(
        tree["type"],
        tree,
        "EEEE EEE",
        group="server tools",
        native={"tools.0.name": first, "tools.0.type": GONE},
        converse={f"{TOOL_SPEC}.name": first},
    )


def _search(kind: str) -> Row:
    tree = {"type": kind, "name": kind.removesuffix("_20251119")}
    argument = "query" if "bm25" in kind else "pattern"
    schema = f"{TOOL_SPEC}.inputSchema.json"
    converse = {f"{TOOL_SPEC}.name": tree["name"], f"{schema}.required": [argument]}
    return tool(kind, tree, "NNNN EEE", group="server tools", converse=converse)


def _search_property(kind: str, key: str, value: Any, cells: str, **rest: Any) -> Row:
    tree = {"type": kind, "name": kind.removesuffix("_20251119"), key: value}
    return tool(f"{kind}: {key}", tree, cells, key=key, group="server tools", **rest)


SERVER_TOOLS = (
    _code("20250522", "code_execution"),
    _code("20250825", "bash_code_execution"),
    _code("20260120", "code_execution"),
    _code("20260521", "code_execution"),
    _web("web_search_20250305", "query", **_SEARCHES),
    _web("web_search_20260209", "query", **_SEARCHES),
    _web("web_search_20260318", "query", **_SEARCHES, **_EXCLUDED),
    _web("web_fetch_20250910", "url", **_FETCHES),
    _web("web_fetch_20260209", "url", **{**_FETCHES, **_EXCEPT}),
    _web("web_fetch_20260309", "url", **_FETCHES, use_cache=True),
    _web("web_fetch_20260318", "url", **_FETCHES, use_cache=True, **_EXCLUDED),
    _server(
        "advisor_20260301",
        "advisor",
        **_RUNS,
        model="claude-opus-4-8",
        max_uses=1,
        max_tokens=9,
        caching=EPHEMERAL,
    ),
    _server(
        "mcp_toolset",
        "",
        mcp_server_name="m",
        default_config=_MEMBER,
        configs={"t": _MEMBER},
        cache_control=EPHEMERAL,
        tools=[{"name": "t", "input_schema": _BARE, "description": "Does it"}],
    ),
    _toolset("computer_toolset_20260801", configs={"key": _MEMBER}, cache_control=EPHEMERAL),
    _toolset("browser_toolset_20260801", configs={"find": _MEMBER}, cache_control=EPHEMERAL),
    *(_search(kind) for kind in _SEARCH_KINDS),
    *(
        row
        for kind in _SEARCH_KINDS
        for row in (
            _search_property(
                kind,
                "cache_control",
                EPHEMERAL,
                "NNNN MDD",
                converse={"toolConfig.tools.1": POINT},
            ),
            _search_property(kind, "strict", True, "NNNN DDD", silent="the proxy checks the input"),
            _search_property(
                kind,
                "allowed_callers",
                ["direct"],
                "MMMM MMM",
                native={"tools.0.allowed_callers": GONE, "tools.0.type": kind},
                converse={f"{NATIVE_TOOL}": GONE},
                same="there is no other caller",
            ),
        )
    ),
)
