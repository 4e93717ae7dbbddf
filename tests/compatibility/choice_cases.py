"""Rows: tool_choice, effort and the form of the answer."""

from __future__ import annotations

from rows import GONE, OTHER_TOOL, TOOL, Row, field, loop

FORMAT = {"type": "json_schema", "schema": {"type": "object", "properties": {}}}
_TEXT_FORMAT = {
    "outputConfig.textFormat": {
        "type": "json_schema",
        "structure": {
            "jsonSchema": {"schema": '{"type":"object","properties":{}}', "name": "response"}
        },
    }
}
_TOOLS = {"tools": [TOOL, OTHER_TOOL]}
_CALLED = {"tools": [TOOL], "messages": loop()}
_ANY = {"toolConfig.toolChoice": {"any": {}}}
_ONE = {"toolConfig.toolChoice": {"tool": {"name": "weather"}}}
# Where no tool can be forced.
_BY_ONE = {"type": "text", "text": "Answer only by calling one of the tools."}
_BY_NAME = {"type": "text", "text": "Answer only by calling the tool weather."}
_FREE = {"tool_choice": {"type": "auto"}, "system.0": _BY_ONE}
_ASKED = {"toolConfig.toolChoice": GONE, "system.0": {"text": _BY_ONE["text"]}}
_AUTO = "auto is what happens anyway"


def _choice(title: str, value: object, cells: str, **rest: object) -> Row:
    rest.setdefault("request", _TOOLS)
    return field("tool_choice", value, cells, title=f"tool_choice: {title}", **rest)


CHOICES = (
    _choice(
        "auto", {"type": "auto"}, "NNNN MMM", converse={"toolConfig.toolChoice": GONE}, same=_AUTO
    ),
    _choice("any", {"type": "any"}, "NNEE MME", converse=_ANY, native=_FREE, only={"qwen": _ASKED}),
    _choice(
        "tool",
        {"type": "tool", "name": "weather"},
        "NNEE MME",
        native={**_FREE, "system.0": _BY_NAME},
        converse=_ONE,
        only={
            "qwen": {
                "toolConfig.tools.0.toolSpec.name": "weather",
                "toolConfig.tools.1": GONE,
                "system.0": {"text": _BY_NAME["text"]},
            }
        },
    ),
    _choice("none", {"type": "none"}, "NNNN MMM", converse={"toolConfig": GONE}),
    _choice("none, with calls in the history", {"type": "none"}, "NNNN NDD", request=_CALLED),
    _choice(
        '"any" as a bare string',
        "any",
        "MMEE MME",
        native={"tool_choice": {"type": "any"}},
        only={"opus55": _FREE, "mantle": _FREE, "qwen": _ASKED},
        converse=_ANY,
    ),
    _choice(
        '"auto" as a bare string',
        "auto",
        "MMMM MMM",
        native={"tool_choice": {"type": "auto"}},
        converse={"toolConfig.toolChoice": GONE},
        same=_AUTO,
    ),
    _choice(
        '"none" as a bare string',
        "none",
        "MMMM MMM",
        native={"tool_choice": {"type": "none"}},
        converse={"toolConfig": GONE},
    ),
    _choice(
        "any other bare string",
        "weather",
        "MMMM DDD",
        native={"tool_choice": {"type": "auto"}},
        converse={"toolConfig.toolChoice": GONE},
        same=_AUTO,
    ),
    *(
        _choice(
            f"{kind['type']} with disable_parallel_tool_use",
            {**kind, "disable_parallel_tool_use": True},
            cells,
            at="tool_choice.disable_parallel_tool_use",
            only={"qwen": {"system.0": {"text": once}}},
        )
        for kind, cells, once in (
            ({"type": "auto"}, "NNNN NDD", ""),
            ({"type": "any"}, "NNNN NDE", f"{_BY_ONE['text'][:-1]}, once."),
            ({"type": "tool", "name": "weather"}, "NNNN NDE", f"{_BY_NAME['text'][:-1]}, once."),
        )
    ),
    field(
        "output_config",
        {"effort": "low"},
        "DNNN MDD",
        title="output_config.effort: low",
        at="output_config.effort",
        without={},
        converse={"outputConfig.effort": "low"},
    ),
    field(
        "output_config",
        {"effort": "medium"},
        "DNNN MDD",
        title="output_config.effort: medium",
        at="output_config.effort",
        without={},
        converse={"outputConfig.effort": "medium"},
    ),
    field(
        "output_config",
        {"effort": "high"},
        "DNNN MDD",
        title="output_config.effort: high",
        at="output_config.effort",
        without={},
        converse={"outputConfig.effort": "high"},
    ),
    field(
        "output_config",
        {"effort": "xhigh"},
        "DNNN MDD",
        title="output_config.effort: xhigh",
        at="output_config.effort",
        without={},
        converse={"outputConfig.effort": "xhigh"},
    ),
    field(
        "output_config",
        {"effort": "max"},
        "DNNN MDD",
        title="output_config.effort: max",
        at="output_config.effort",
        without={},
        converse={"outputConfig.effort": "max"},
    ),
    field(
        "output_config",
        {"format": FORMAT},
        "NNNR MRM",
        title="output_config.format",
        at="output_config.format",
        converse=_TEXT_FORMAT,
    ),
    field(
        "output_config",
        {"task_budget": {"type": "tokens", "total": 20000, "remaining": 10}},
        "DDDD DDD",
        title="output_config.task_budget",
        at="output_config.task_budget",
        without={"output_config": {}},
    ),
    field(
        "output_format",
        FORMAT,
        "MMMR MRM",
        title="output_format (before SDK 2)",
        native={"output_config": {"format": FORMAT}, "output_format": GONE},
        converse=_TEXT_FORMAT,
        says={"mantle": "output_config.format", "nova": "output_config.format"},
    ),
)
