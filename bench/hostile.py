"""Bodies of about 4 MB that a client may send to cost the most: the worst of each kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

FULL_BYTES: Final = 4_000_000
_SCHEMA: Final = {"type": "object"}
_ASKED: Final = {"role": "user", "content": "hello"}
_HUGE: Final = "9" * 5000  # digits of an integer that no machine knows
_DEEP: Final = 200
_REGEX: Final = "tool_search_tool_regex"


def _body(messages: Any = (_ASKED,), **fields: Any) -> bytes:
    body = {"model": "m", "max_tokens": 100, "messages": list(messages), **fields}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _raw(content: str, size: int, *, joint: str = ",") -> bytes:
    """One user message whose blocks are all `content`."""
    blocks = joint.join([content] * max(1, size // (len(content) + 1)))
    return (
        '{"model":"m","max_tokens":100,"messages":[{"role":"user","content":[' + blocks + "]}]}"
    ).encode()


def _repeated(item: Any, size: int) -> list[Any]:
    return [item] * max(1, size // (len(json.dumps(item, separators=(",", ":"))) + 1))


def _said(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(content)}


def _asked(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def _text(words: str = "a", **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **fields}


def _conversation(size: int, **block: Any) -> list[dict[str, Any]]:
    """Calls and their results, two messages for each."""
    messages: list[dict[str, Any]] = [_ASKED]
    for number in range(size // 200):
        call = {"type": "tool_use", "id": f"t{number}", "name": f"n{number % 7}", "input": {}}
        result = {"type": "tool_result", "tool_use_id": f"t{number}", "content": "x", **block}
        messages += [_said(call), _asked(result)]
    return messages


def _calls_at_once(size: int) -> bytes:
    numbers = range(size // 120)
    calls = [{"type": "tool_use", "id": f"t{i}", "name": "run", "input": {}} for i in numbers]
    results = [{"type": "tool_result", "tool_use_id": f"t{i}", "content": "x"} for i in numbers]
    tools = [{"name": "run", "input_schema": _SCHEMA}]
    return _body([_ASKED, _said(*calls), _asked(*results)], tools=tools)


def _tools(size: int, **fields: Any) -> list[dict[str, Any]]:
    return [
        {"name": f"tool {number}", "input_schema": _SCHEMA, **fields}
        for number in range(size // (60 + len(json.dumps(fields))))
    ]


def _edited(size: int) -> bytes:
    excluded = [f"no{number}" for number in range(size // 40)]
    edit = {
        "type": "clear_tool_uses_20250919",
        "trigger": {"type": "tool_uses", "value": 1},
        "exclude_tools": excluded,
        "clear_tool_inputs": excluded,
    }
    return _body(_conversation(size // 2), context_management={"edits": [edit]})


def _many_edits(size: int) -> bytes:
    edit = {"type": "clear_tool_uses_20250919", "trigger": {"type": "tool_uses", "value": 1}}
    edits = [edit] * 3
    return _body(_conversation(size), context_management={"edits": edits})


def _thoughts(size: int) -> bytes:
    thought = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    pair = [_said(thought, _text()), _ASKED]
    return _body([_ASKED, *(pair * (size // 160))], thinking={"type": "disabled"})


def _deep(size: int) -> bytes:
    value = '{"a":' * _DEEP + "1" + "}" * _DEEP
    return _raw(f'{{"type":"tool_use","id":"t","name":"n","input":{value}}}', size)


def _deepest(size: int) -> bytes:
    return _raw('{"type":"text","text":"x","y":' + "[" * (size // 2) + "]" * (size // 2) + "}", 1)


def _nested_blocks(size: int) -> bytes:
    result = '{"type":"tool_result","tool_use_id":"t","content":['
    block = result * _DEEP + '{"type":"text","text":" "}' + "]}" * _DEEP
    return _raw(block, size)


def _huge_numbers(size: int) -> bytes:
    value = ",".join([_HUGE] * (size // 5001))
    call = f'{{"type":"tool_use","id":"t","name":"n","input":{{"a":[{value}]}}}}'
    return (
        '{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"a"},{"role":'
        f'"assistant","content":[{call}]}},{{"role":"user","content":[{{"type":"tool_result",'
        '"tool_use_id":"t","content":"x"}]}],"tools":[{"name":"n","input_schema":'
        f'{{"type":"object","maximum":{_HUGE}}}}}]}}'
    ).encode()


def _one_huge_number(size: int) -> bytes:
    return f'{{"model":"m","max_tokens":{"9" * size},"messages":[]}}'.encode()


def _same_keys(size: int) -> bytes:
    keys = '"a":1,' * (size // 12)
    tool = f'{{"name":"n","input_schema":{{{keys}"type":"object"}}}}'
    return f'{{{keys}"tools":[{tool}],{_body().decode()[1:]}'.encode()


def _searched(size: int) -> bytes:
    """Searches with results, searches without, and a reference to every tool."""
    numbers = range(size // 500)
    blocks: list[Any] = []
    for i in numbers:
        found = {"type": "tool_search_tool_search_result", "tool_references": [
            {"type": "tool_reference", "tool_name": f"tool {i}"}]}  # fmt: skip
        blocks += [
            {"type": "server_tool_use", "id": f"srvtoolu_{i}", "name": _REGEX, "input": {}},
            {"type": "tool_search_tool_result", "tool_use_id": f"srvtoolu_{i}", "content": found},
            _text(),
        ]
    tools = [{"type": f"{_REGEX}_20251119", "name": _REGEX}, {"name": "x", "input_schema": _SCHEMA}]
    deferred = _tools(len(numbers) * 85, defer_loading=True)[:9000]
    return _body([_ASKED, _said(*blocks), _ASKED], tools=[*tools, *deferred])


def _pending(size: int) -> bytes:
    """Searches beside calls of the client's, whose results are missing in the next message."""
    numbers = range(size // 250)
    searches = [
        {"type": "server_tool_use", "id": f"srvtoolu_{i}", "name": _REGEX, "input": {}}
        for i in numbers
    ]
    calls = [{"type": "tool_use", "id": f"t{i}", "name": "run", "input": {}} for i in numbers]
    results = [{"type": "tool_result", "tool_use_id": f"t{i}", "content": "x"} for i in numbers]
    tools = [
        {"type": f"{_REGEX}_20251119", "name": _REGEX},
        {"name": "run", "input_schema": _SCHEMA},
    ]
    return _body([_ASKED, _said(*searches, *calls), _asked(*results)], tools=tools)


def _documents(size: int) -> bytes:
    source = {"type": "text", "media_type": "text/plain", "data": "a"}
    document = {"type": "document", "source": source, "title": "the same"}
    return _body([_asked(*_repeated(document, size))])


def _images(size: int, data: str = "iVBORw0KGgo=") -> bytes:
    source = {"type": "base64", "media_type": "image/png", "data": data}
    return _body([_asked(*_repeated({"type": "image", "source": source}, size))])


_MARK: Final = {"type": "ephemeral"}
# What it is -> a body of about so many bytes.
KINDS: Final[dict[str, Callable[[int], bytes]]] = {
    "one text": lambda n: _body([{"role": "user", "content": "word " * (n // 5)}]),
    "one text of escapes": lambda n: _body([_asked(_text('"\n\\' * (n // 6)))]),
    "one text of \\u escapes": lambda n: _raw(
        '{"type":"text","text":"' + "\\u00e9" * (n // 6) + '"}', 1
    ),
    "one text of white space": lambda n: _body([_asked(_text(" \t" * (n // 3)))]),
    "one text beyond ASCII": lambda n: _body([_asked(_text("\u4e2d" * (n // 3)))]),
    "tiny blocks": lambda n: _body([_asked(*_repeated(_text(), n))]),
    "blank blocks": lambda n: _body([_asked(*_repeated(_text(" "), n))]),
    "marked blocks": lambda n: _body([_asked(*_repeated(_text(cache_control=_MARK), n))]),
    "cited blocks": lambda n: _body([_ASKED, _said(*_repeated(_text(citations=[
        {"type": "char_location", "cited_text": "a", "document_index": 0,
         "start_char_index": 0, "end_char_index": 1}]), n)), _ASKED]),
    "blocks of a future type": lambda n: _raw('{"type":"x"}', n),
    "blocks of unknown fields": lambda n: _raw('{"type":"text","text":"a","b":1}', n),
    "tiny messages": lambda n: _body(_repeated(_ASKED, n)[:100_000]),
    "messages by turns": lambda n: _body([_ASKED, _said(_text())] * (n // 90)),
    "system messages": lambda n: _body([_ASKED, *_repeated(
        {"role": "system", "content": "a", "output_config": {"effort": "low"}}, n), _ASKED]),
    "tool changes": lambda n: _body([_ASKED, *_repeated({"role": "system", "content": [
        {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "tool 1"}}]}, n),
        _ASKED], tools=_tools(1000)),
    "calls and results by turns": lambda n: _body(
        _conversation(n), tools=[{"name": f"n{i}", "input_schema": _SCHEMA} for i in range(7)]),
    "calls and results at once": _calls_at_once,
    "results nested in results": _nested_blocks,
    "thinking": _thoughts,
    "images": _images,
    "images of 400 bytes": lambda n: _images(n, "A" * 400),
    "one image": lambda n: _images(n, "A" * (n - n % 4)),
    "documents of one name": _documents,
    "tools": lambda n: _body(tools=_tools(n)),
    "tools of one name": lambda n: _body(
        tools=_repeated({"name": "n", "input_schema": _SCHEMA}, n)),
    "tools that Anthropic defines": lambda n: _body(
        tools=_repeated({"type": "bash_20250124", "name": "bash"}, n)),
    "tools with examples": lambda n: _body(tools=_tools(n, input_examples=[{"a": 1}])),
    "tools, marked": lambda n: _body(tools=_tools(n, cache_control=_MARK, strict=True)),
    "one tool of properties": lambda n: _body(tools=[{"name": "n", "input_schema": {
        "type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(n // 30)}}}]),
    "tool search in the history": _searched,
    "tool search that is pending": _pending,
    "context editing": _edited,
    "context edits": _many_edits,
    "system blocks": lambda n: _body(system=_repeated(_text(), n)),
    "stop sequences": lambda n: _body(stop_sequences=_repeated("stop", n)),
    "metadata": lambda n: _body(metadata={f"k{i}": "v" for i in range(n // 14)}),
    "fields of the future": lambda n: _body(**{f"field{i}": 1 for i in range(n // 14)}),
    "one field of the future": lambda n: _body(future=[{"a": [1.5, None]}] * (n // 20)),
    "deep inputs": _deep,
    "nesting without end": _deepest,
    "huge integers": _huge_numbers,
    "one huge integer": _one_huge_number,
    "keys that repeat": _same_keys,
    "base64 that never ends": lambda n: _raw('"data":"' + "A" * 300, n, joint=" "),
    "not JSON": lambda n: b'{"messages":[' + b"1," * (n // 2),
    "not UTF-8": lambda n: b'{"model":"' + b"\xc3\xa9" * (n // 2) + b"\xff",
}  # fmt: skip
