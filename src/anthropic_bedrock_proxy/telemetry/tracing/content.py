"""Prompts and answers as attributes of spans, for operators who ask for them (OTEL_TRACE_CONTENT).

Keys are hidden and data of files is left out. An attribute has at most 64 KiB: of messages the
latest ones that fit, and one that is too large itself says only how large it was. For example:

    {"role":"user","content":[{"type":"text","text":"What is this?"},
                              {"type":"image","source":{"type":"base64","data":"iVBOR…"}}]}
    {"role":"user","parts":[{"type":"text","content":"What is this?"},{"type":"image"}]}

Source of the forms: semantic-conventions-genai, gen_ai.input.messages and its siblings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from ...timeline import TracedContent

MAX_ATTRIBUTE: Final = 64 * 1024  # bytes of JSON
_MAX_READ: Final = 1024 * 1024  # bytes of one message: what is larger is not looked into
_decode = msgspec.json.Decoder().decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, TypeError, KeyError, AttributeError,
                      RecursionError)  # fmt: skip
Json = dict[str, Any]
Hide = Callable[[str], str]


def asked(content: TracedContent, hide: Hide) -> dict[str, str]:
    """Returns the attributes of what was asked; none for what cannot be read."""
    fields: Mapping[str, Any] = content.request or {}
    attributes = {}
    if "messages" in fields:
        attributes["gen_ai.input.messages"] = _latest(fields["messages"], _message, hide)
    if "system" in fields:
        attributes["gen_ai.system_instructions"] = _whole(fields["system"], _system, hide)
    if "tools" in fields:
        attributes["gen_ai.tool.definitions"] = _latest(fields["tools"], _tool, hide)
    return {name: value for name, value in attributes.items() if value}


def answered(content: TracedContent, hide: Hide) -> dict[str, str]:
    """Returns the attribute of what was answered, as far as it was kept."""
    try:
        message = _decode(content.body) if content.body else _folded(content.events)
        told = {
            "role": "assistant",
            "parts": _parts(message["content"]),
            "finish_reason": message.get("stop_reason") or "",
        }
        text = _fitting([_encode(told)], hide)
    except _UNREADABLE:
        return {}
    return {"gen_ai.output.messages": text}


def _latest(raw: Any, render: Callable[[Any], Json], hide: Hide) -> str:
    """Renders the last of a list that fit."""
    try:
        items = _decode_list(bytes(raw))
    except _UNREADABLE:
        return ""
    rendered: list[bytes] = []
    size = 0
    for item in reversed(items):
        one = _rendered(bytes(item), render)
        size += len(one) + 1
        if size > MAX_ATTRIBUTE:
            break
        rendered.append(one)
    return _fitting(rendered[::-1], hide)


def _rendered(raw: bytes, render: Callable[[Any], Json]) -> bytes:
    left_out = _encode({"left_out_bytes": len(raw)})
    if len(raw) > _MAX_READ:
        return left_out
    try:
        one = _encode(render(_decode(raw)))
    except _UNREADABLE:
        return left_out
    return one if len(one) < MAX_ATTRIBUTE else left_out


def _whole(raw: Any, render: Callable[[Any], list[Json]], hide: Hide) -> str:
    encoded = bytes(raw)
    if len(encoded) > _MAX_READ:
        return ""
    try:
        return _fitting([_encode(one) for one in render(_decode(encoded))], hide)
    except _UNREADABLE:
        return ""


def _fitting(items: Iterable[bytes], hide: Hide) -> str:
    text = hide((b"[" + b",".join(items) + b"]").decode())
    return text if len(text.encode()) <= 2 * MAX_ATTRIBUTE else ""


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


def _folded(events: Iterable[tuple[bytes, bytes]]) -> Json:
    """Returns the message of an answer's events, also if they ended too early."""
    blocks: dict[int, Json] = {}
    written: dict[int, list[str]] = {}
    stop_reason = None
    for name, data in events:
        if name == b"content_block_start":
            event = _decode(data)
            blocks[event["index"]] = event["content_block"]
        elif name == b"content_block_delta":
            event = _decode(data)
            delta = event["delta"]
            piece = delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
            written.setdefault(event["index"], []).append(piece)
        elif name == b"message_delta":
            stop_reason = _decode(data)["delta"].get("stop_reason")
    for index, pieces in written.items():
        block, text = blocks[index], "".join(pieces)
        if block["type"] in {"text", "thinking"}:
            block[block["type"]] = text
        elif text:
            block["input"] = text  # JSON as it was written, which may have been cut
    return {"content": list(blocks.values()), "stop_reason": stop_reason}
