"""The words of the compatibility table: columns, rows, and how rows are written down.

A row is one thing that a client may say, where it stands in the request (`at`, a dotted path), and
one letter per column for what becomes of it. The letters are claims; `proofs.py` holds each of
them against the body that would be sent.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec


class Column(msgspec.Struct, frozen=True):
    """A model on a dialect."""

    key: str
    title: str
    model: str
    dialect: str


COLUMNS: Final = (
    Column("haiku", "InvokeModel, Haiku 4.5", "claude-haiku-4-5", "invoke"),
    Column("opus48", "InvokeModel, Opus 4.8", "claude-opus-4-8", "invoke"),
    Column("opus55", "Messages, Opus 5.5", "claude-opus-5-5", "messages"),
    Column("mantle", "mantle, Opus 5.5", "claude-opus-5-5", "mantle"),
    Column("converse", "Converse, Opus 4.8", "claude-opus-4-8", "converse"),
    Column("nova", "Converse, Nova Lite", "amazon.nova-lite-v1:0", "converse"),
    Column("qwen", "Converse, Qwen3", "qwen.qwen3-32b-v1:0", "converse"),
)
WORDS: Final = {
    "N": "native",
    "M": "mapped",
    "E": "emulated",
    "D": "dropped",
    "R": "refused",
}
NATIVE: Final = ("haiku", "opus48", "opus55", "mantle")  # Anthropic's own body
GONE: Final = "(gone)"  # in expectations: nothing stands there
Expected = dict[str, Any]  # dotted path in what is sent -> the value there


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a client may say, and what becomes of it in each column."""

    group: str
    name: str
    at: str
    cells: str
    request: dict[str, Any]
    flags: tuple[str, ...] = ()
    native: Expected = {}  # where a mapped or emulated one is found on the native dialects
    converse: Expected = {}  # and on Converse
    only: dict[str, Expected] = {}  # and in single columns, instead of these
    says: str | dict[str, str] = ""  # how refusals begin, where that is not `at`
    named: str | tuple[str, ...] = ""  # how `dropped` or a warning begins, where that is not `at`
    silent: str = ""  # why a dropped one is not named there
    same: str | dict[str, str] = ""  # why a mapped one leaves no trace, by column if not in all
    by_bedrock: tuple[str, ...] = ()  # columns where the refusal is Bedrock's own
    without: dict[str, Any] | None = None  # the request to compare with; None: the same minus `at`
    bugs: dict[str, str] = {}  # column -> what is wrong there today

    def letter(self, column: Column) -> str:
        """What is claimed for a column."""
        return self.cells.replace(" ", "")[COLUMNS.index(column)]

    def expected(self, column: Column) -> Expected:
        """What a mapped or emulated one must leave in the body."""
        if column.key in self.only:
            return self.only[column.key]
        return self.converse if column.dialect == "converse" else self.native

    def begins(self, column: Column) -> str:
        """How a refusal begins."""
        if isinstance(self.says, dict):
            return self.says.get(column.key, self.at)
        return self.says or self.at


HELLO: Final = {"role": "user", "content": "Hello"}
TEXT: Final = {"type": "text", "text": "Look"}
SCHEMA: Final = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL: Final = {"name": "weather", "description": "Tells it.", "input_schema": SCHEMA}
OTHER_TOOL: Final = {"name": "clock", "description": "Tells it.", "input_schema": SCHEMA}
CALL: Final = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}}
RESULT: Final = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Sunny"}
CODE: Final = {"type": "code_execution_20260120", "name": "code_execution"}
CONTAINER: Final = "container_" + "c0" * 12
FILE: Final = "file_1"
CODE_CALL: Final = {  # its id begins with that of the container
    "type": "server_tool_use",
    "id": "srvtoolu_" + "c0" * 12 + "1" * 20,
    "name": "code_execution",
    "input": {"code": "print(await weather({'city': 'Rome'}))"},
}
PROGRAM_CALL: Final = {
    **CALL,
    "caller": {"type": CODE["type"], "tool_id": CODE_CALL["id"]},
}
PRINTED: Final = {
    "type": "code_execution_tool_result",
    "tool_use_id": CODE_CALL["id"],
    "content": {
        "type": "code_execution_result",
        "stdout": "Sunny",
        "stderr": "",
        "return_code": 0,
        "content": [],
    },
}
EPHEMERAL: Final = {"type": "ephemeral"}
HOUR: Final = {"type": "ephemeral", "ttl": "1h"}
POINT: Final = {"cachePoint": {"type": "default"}}
HOUR_POINT: Final = {"cachePoint": {"type": "default", "ttl": "1h"}}
TOOL_SPEC: Final = "toolConfig.tools.0.toolSpec"
NATIVE_TOOL: Final = "additionalModelRequestFields.tools.0"
PIXEL: Final = "iVBORw0KGgo="
PDF_DATA: Final = "JVBERi0xLjQK"


def field(name: str, value: Any, cells: str, *, title: str = "", **rest: Any) -> Row:
    """A top-level field."""
    rest.setdefault("request", {})
    rest["request"] = {**rest["request"], name: value}
    rest.setdefault("at", name)
    return Row(group="fields", name=title or name, cells=cells, **rest)


def user(title: str, block: dict[str, Any], cells: str, *, key: str = "", **rest: Any) -> Row:
    """A block of a user message, or one key of it; a text follows."""
    at = ".".join(filter(None, ("messages.0.content.0", key)))
    rest["request"] = {
        **rest.get("request", {}),
        "messages": [{"role": "user", "content": [block, TEXT]}],
    }
    return Row(group=rest.pop("group", "blocks"), name=title, at=at, cells=cells, **rest)


def assistant(title: str, block: dict[str, Any], cells: str, *, key: str = "", **rest: Any) -> Row:
    """A block of an earlier answer, or one key of it; a text follows."""
    at = ".".join(filter(None, ("messages.1.content.0", key)))
    answer = {"role": "assistant", "content": [block, TEXT]}
    rest["request"] = {**rest.get("request", {}), "messages": [HELLO, answer, HELLO]}
    return Row(group=rest.pop("group", "history"), name=title, at=at, cells=cells, **rest)


def loop(call: dict[str, Any] = CALL, result: dict[str, Any] = RESULT) -> list[dict[str, Any]]:
    """A call of a tool and its result."""
    return [
        HELLO,
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]


def called(title: str, call: dict[str, Any], cells: str, *, key: str = "", **rest: Any) -> Row:
    """A tool_use of the history, or one key of it."""
    at = ".".join(filter(None, ("messages.1.content.0", key)))
    rest.setdefault("request", {"messages": loop(call), "tools": [TOOL]})
    return Row(group="history", name=title, at=at, cells=cells, **rest)


def result(title: str, block: dict[str, Any], cells: str, *, key: str = "", **rest: Any) -> Row:
    """A tool_result, or one key of it."""
    at = ".".join(filter(None, ("messages.2.content.0", key)))
    rest.setdefault("request", {"messages": loop(result=block), "tools": [TOOL]})
    return Row(group="results", name=title, at=at, cells=cells, **rest)


def part(title: str, block: dict[str, Any], cells: str, **rest: Any) -> Row:
    """A block inside a tool_result; a text follows."""
    key = ".".join(filter(None, ("content.0", rest.pop("key", ""))))
    return result(title, {**RESULT, "content": [block, TEXT]}, cells, key=key, **rest)


def tool(title: str, tree: dict[str, Any], cells: str, *, key: str = "", **rest: Any) -> Row:
    """A tool, or one key of it; others follow."""
    at = ".".join(filter(None, ("tools.0", key)))
    others = rest.pop("others", [OTHER_TOOL])
    rest["request"] = {**rest.get("request", {}), "tools": [tree, *others]}
    return Row(group=rest.pop("group", "tools"), name=title, at=at, cells=cells, **rest)
