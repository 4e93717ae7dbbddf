"""Prompts and answers as attributes of spans, for operators who ask for them (OTEL_TRACE_CONTENT).

Keys are hidden and data of files is left out. An attribute has at most 64 KiB: of messages and
tools the last ones that fit, and whatever is too large itself says only how large it was. For
example:

    {"role":"user","content":[{"type":"text","text":"What is this?"},
                              {"type":"image","source":{"type":"base64","data":"iVBOR…"}}]}
    {"role":"user","parts":[{"type":"text","content":"What is this?"},{"type":"image"}]}

Source of the forms: semantic-conventions-genai, gen_ai.input.messages and its siblings.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from ...gateway.exchange import Exchange
from ...timeline import TracedContent
from ..readable import UNREADABLE, Event, folded, without_files

MAX_ATTRIBUTE: Final = 64 * 1024  # bytes of JSON
_MAX_READ: Final = 1024 * 1024  # bytes of one message: what is larger is not looked into
_decode = msgspec.json.Decoder().decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
Json = dict[str, Any]
Hide = Callable[[str], str]


class ContentTracing:
    """Keeps what is asked and answered with the trace of its request (a `ContentObserver`)."""

    def wants(self, exchange: Exchange) -> bool:
        """Tells whether a request is traced."""
        return exchange.timeline.trace is not None

    def request(self, exchange: Exchange, body: bytes | bytearray) -> None:
        """Keeps the body of a request."""
        if exchange.timeline.trace is not None:
            exchange.timeline.trace.content = TracedContent(body)

    def answer(self, exchange: Exchange, answer: bytes | Sequence[Event]) -> None:
        """Keeps an answer."""
        trace = exchange.timeline.trace
        if trace is not None and trace.content is not None:
            trace.content.answer = answer


def asked(content: TracedContent, hide: Hide) -> dict[str, str]:
    """Returns the attributes of what was asked; none for what cannot be read."""
    try:
        fields = _decode_fields(content.request)
    except UNREADABLE:
        return {}
    attributes = {}
    if "messages" in fields:
        attributes["gen_ai.input.messages"] = _latest(fields["messages"], _message, hide)
    if "system" in fields:
        attributes["gen_ai.system_instructions"] = _instructions(fields["system"], hide)
    if "tools" in fields:
        attributes["gen_ai.tool.definitions"] = _latest(fields["tools"], _tool, hide)
    return {name: value for name, value in attributes.items() if value}


def answered(content: TracedContent, hide: Hide) -> dict[str, str]:
    """Returns the attribute of what was answered, as far as it was kept."""
    try:
        answer = content.answer
        message = _decode(answer) if isinstance(answer, bytes) else folded(answer)
        told = {
            "role": "assistant",
            "parts": _parts(message["content"]),
            "finish_reason": message.get("stop_reason") or "",
        }
        text = _fitting([_encoded(told)], hide)
    except UNREADABLE:
        return {}
    return {"gen_ai.output.messages": text}


def _latest(raw: Any, render: Callable[[Any], Json], hide: Hide) -> str:
    """Renders the last of a list that fit."""
    try:
        items = _decode_list(bytes(raw))
    except UNREADABLE:
        return ""
    rendered: list[bytes] = []
    size = 1  # of brackets and commas, there is one more than items
    for item in reversed(items):
        one = _rendered(bytes(item), render)
        size += len(one) + 1
        if size > MAX_ATTRIBUTE:
            break
        rendered.append(one)
    return _fitting(rendered[::-1], hide)


def _rendered(raw: bytes, render: Callable[[Any], Json]) -> bytes:
    if len(raw) <= _MAX_READ:
        with contextlib.suppress(*UNREADABLE):
            one = _encoded(render(_decode(raw)))
            if len(one) + 2 <= MAX_ATTRIBUTE:
                return one
    return _left_out(len(raw))


def _instructions(raw: Any, hide: Hide) -> str:
    encoded = bytes(raw)
    if len(encoded) > _MAX_READ:
        return _fitting([_left_out(len(encoded))], hide)
    try:
        return _fitting([_encoded(one) for one in _system(_decode(encoded))], hide)
    except UNREADABLE:
        return ""


def _encoded(part: Any) -> bytes:
    text = _encode(part).decode()
    return without_files(text, most=len(text)).encode()


def _fitting(items: Iterable[bytes], hide: Hide) -> str:
    listed = b"[%b]" % b",".join(items)
    if len(listed) > MAX_ATTRIBUTE:
        listed = b"[%b]" % _left_out(len(listed))
    return hide(listed.decode())


def _left_out(size: int) -> bytes:
    return _encode({"left_out_bytes": size})


def _message(message: Json) -> Json:
    return {"role": message["role"], "parts": _parts(message["content"])}


def _system(system: Any) -> list[Json]:
    return [part for part in _parts(system) if part["type"] == "text"]


def _tool(tool: Json) -> Json:
    told = {"type": "function", "name": tool.get("name", "")}
    if "description" in tool:
        told["description"] = tool["description"]
    if "input_schema" in tool:
        told["parameters"] = tool["input_schema"]
    return told


def _parts(content: Any) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    return [_part(block) for block in content]


def _part(block: Json) -> Json:
    kind = block["type"]
    if kind == "text":
        return {"type": "text", "content": block["text"]}
    if kind == "thinking":
        return {"type": "reasoning", "content": block["thinking"]}
    if kind in {"tool_use", "server_tool_use"}:
        return {"type": "tool_call", "id": block["id"], "name": block["name"],
                "arguments": block["input"]}  # fmt: skip
    if "tool_use_id" in block:
        result = block.get("content", "")
        response = _parts(result) if isinstance(result, str | list) else result
        return {"type": "tool_call_response", "id": block["tool_use_id"], "response": response}
    return {"type": kind}  # with data perhaps: it is left out
