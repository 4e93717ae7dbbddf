"""Rows: custom tools and their properties."""

from __future__ import annotations

from rows import (
    CODE,
    EPHEMERAL,
    GONE,
    HOUR,
    HOUR_POINT,
    NATIVE,
    OTHER_TOOL,
    POINT,
    SCHEMA,
    TOOL,
    TOOL_SPEC,
    tool,
)

_SPEC = {"name": "weather", "description": "Tells it.", "inputSchema": {"json": SCHEMA}}
_EXAMPLES = [{"city": "Rome"}]
_BARE = {"type": "object", "properties": {}}
_SCHEMA = {**SCHEMA, "required": ["city"]}
_WRAPPED = {"type": "custom", "custom": dict(TOOL)}
_OLDER_CODE = {**CODE, "type": "code_execution_20250825"}
_LONG = "weather_" + "x" * 60
_SEARCH = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}

CUSTOM = (
    tool("custom, without a type", TOOL, "NNNN MMM", converse={TOOL_SPEC: _SPEC}),
    tool(
        "custom, with its type",
        {**TOOL, "type": "custom"},
        "MMMM MMM",
        key="type",
        native={"tools.0": TOOL},
        converse={TOOL_SPEC: _SPEC},
        same="it is the default",
    ),
    tool(
        "custom, wrapped",
        _WRAPPED,
        "MMMM MMM",
        native={"tools.0": TOOL},
        converse={TOOL_SPEC: _SPEC},
    ),
    tool(
        "custom: description absent",
        {"name": "weather", "input_schema": SCHEMA},
        "NNNN MMM",
        converse={f"{TOOL_SPEC}.description": "weather"},
    ),
    tool(
        "custom: input_schema",
        {**TOOL, "input_schema": _SCHEMA},
        "NNNN MMM",
        key="input_schema",
        converse={f"{TOOL_SPEC}.inputSchema.json": _SCHEMA},
    ),
    tool(
        "custom: input_schema without a type",
        {**TOOL, "input_schema": {"properties": {}}},
        "RRRR MMM",
        key="input_schema",
        converse={f"{TOOL_SPEC}.inputSchema.json": _BARE},
        by_bedrock=NATIVE,
        says="tools.0.custom.input_schema.type",
    ),
    tool(
        "custom: a name of more than 64 characters",
        {**TOOL, "name": _LONG + "xxxxx"},
        "RRRR MMM",
        key="name",
        by_bedrock=NATIVE,
        says="tools.0.custom.name",
        converse={f"{TOOL_SPEC}.description": "Tells it."},
    ),
    tool(
        "custom: cache_control",
        {**TOOL, "cache_control": EPHEMERAL},
        "NNNN MDD",
        key="cache_control",
        converse={"toolConfig.tools.1": POINT},
    ),
    tool(
        "custom: cache_control, ttl 1h",
        {**TOOL, "cache_control": HOUR},
        "NNNN MDD",
        key="cache_control.ttl",
        converse={"toolConfig.tools.1": HOUR_POINT},
        named="tools.0.cache_control",
    ),
    tool(
        "custom: strict",
        {**TOOL, "strict": True},
        "NNNN MDM",
        key="strict",
        converse={f"{TOOL_SPEC}.strict": True},
    ),
    tool(
        "custom: defer_loading, with a tool search",
        {**TOOL, "defer_loading": True},
        "NNNN EEE",
        key="defer_loading",
        others=[_SEARCH, OTHER_TOOL],
        converse={f"{TOOL_SPEC}.name": "tool_search_tool_bm25", "toolConfig.tools.2": GONE},
    ),
    tool(
        "custom: defer_loading, without one",
        {**TOOL, "defer_loading": True},
        "NNNN EEE",
        key="defer_loading",
        converse={f"{TOOL_SPEC}.name": "clock", "toolConfig.tools.1": GONE},
    ),
    tool(
        "custom: defer_loading false",
        {**TOOL, "defer_loading": False},
        "MMMM MMM",
        key="defer_loading",
        native={"tools.0": TOOL},
        converse={TOOL_SPEC: _SPEC},
        same="it is the default",
    ),
    tool(
        "custom: allowed_callers direct",
        {**TOOL, "allowed_callers": ["direct"]},
        "MMMM MMM",
        key="allowed_callers",
        native={"tools.0": TOOL},
        converse={TOOL_SPEC: _SPEC},
        same="there is no other caller",
    ),
    tool(
        "custom: allowed_callers direct and code",
        {**TOOL, "allowed_callers": ["direct", "code_execution_20260120"]},
        "DDDD DDD",
        key="allowed_callers",
        silent="there is no code that could call it",
    ),
    tool(
        "custom: allowed_callers code alone",
        {**TOOL, "allowed_callers": ["code_execution_20260120"]},
        "RRRR RRR",
        key="allowed_callers",
    ),
    tool(
        "custom: allowed_callers code alone, with code execution",
        {**TOOL, "allowed_callers": ["code_execution_20260120"]},
        "EEEE EEE",
        key="allowed_callers",
        others=[CODE],
        native={"tools.0.name": "code_execution", "tools.3": GONE},
        converse={f"{TOOL_SPEC}.name": "code_execution", "toolConfig.tools.3": GONE},
    ),
    tool(
        "custom: allowed_callers direct and code, with code execution",
        {**TOOL, "allowed_callers": ["direct", "code_execution_20260120"]},
        "EEEE EEE",
        key="allowed_callers",
        others=[CODE],
        native={"tools.0": TOOL, "tools.1.name": "code_execution"},
        converse={TOOL_SPEC: _SPEC, "toolConfig.tools.1.toolSpec.name": "code_execution"},
    ),
    tool(
        "custom: allowed_callers an older code execution",
        {**TOOL, "allowed_callers": ["code_execution_20250825"]},
        "EEEE EEE",
        key="allowed_callers",
        others=[_OLDER_CODE],
        native={"tools.0.name": "code_execution", "tools.3": GONE},
        converse={f"{TOOL_SPEC}.name": "code_execution", "toolConfig.tools.3": GONE},
    ),
    tool(
        "custom: input_examples",
        {**TOOL, "input_examples": _EXAMPLES},
        "NNNN EEE",
        key="input_examples",
        converse={
            f"{TOOL_SPEC}.description": 'Tells it.\n\nExamples of its input:\n{"city":"Rome"}'
        },
    ),
    tool(
        "custom: eager_input_streaming",
        {**TOOL, "eager_input_streaming": True},
        "DDDD DDD",
        key="eager_input_streaming",
    ),
)
