"""Anthropic's stream events: the one internal language. Also `fold`, `explode` and the grammar.

An event on the straight path is a pair of bytes, its name and its JSON, so that a pass-through
never builds a tree. `fold` turns the events of one answer into the message that a non-streaming
request would have returned, `explode` is its inverse; `Grammar` checks an output stream against
the order rules that the official SDKs rely on.
Source: Anthropic API, "Streaming messages"; accumulators of the official SDKs (oracle in tests).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

Event = tuple[bytes, bytes]  # (name, one line of JSON)
PING: Event = (b"ping", b'{"type":"ping"}')

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

# Type of delta -> the field that it appends a piece to; pieces are joined once, at the end.
_APPENDING = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
}


# Fields of a message that arrive with message_delta.
DELTA_KEYS = (
    "stop_reason",
    "stop_sequence",
    "stop_details",
    "container",
    "safeguard_results",
)
# And those that stand beside its delta.
END_KEYS = ("context_management", "input_transformations")


class GrammarError(Exception):
    """The events are not a stream that an Anthropic client may be sent."""


class Grammar:
    """Checker of event order: fed one stream's events, it raises at the first out of order."""

    def __init__(self) -> None:
        self._state = "start"
        self._next_index = 0
        self._open: dict[str, Any] | None = None
        self._signed = False

    def feed(self, event: Event) -> None:
        """Takes one event. Raises `GrammarError` if it may not come here."""
        name = event[0].decode()
        data = _decode(event[1])
        if data.get("type") != name:
            raise GrammarError(f"event {name} carries data of type {data.get('type')}")
        if self._state == "end":
            raise GrammarError(f"{name} after the end of the stream")
        if name == "ping":
            return
        if name == "error":
            self._state = "end"
            return
        check = getattr(self, f"_on_{name}", None)
        if check is None:
            raise GrammarError(f"event {name} is unknown")
        check(data)

    def end(self) -> None:
        """Ends the stream. Raises `GrammarError` if it may not end here."""
        if self._state != "end":
            raise GrammarError(f"the stream ended in state {self._state}")

    def _expect(self, *states: str) -> None:
        if self._state not in states:
            raise GrammarError(f"not allowed in state {self._state}")

    def _on_message_start(self, data: dict[str, Any]) -> None:
        self._expect("start")
        message = data["message"]
        if message["content"] or message["stop_reason"] is not None or "usage" not in message:
            raise GrammarError("message_start must be empty, unfinished and carry usage")
        self._state = "between"

    def _on_content_block_start(self, data: dict[str, Any]) -> None:
        self._expect("between")
        if data["index"] != self._next_index:
            raise GrammarError(f"block {data['index']} started, expected {self._next_index}")
        self._open, self._signed, self._state = data["content_block"], False, "block"

    def _on_content_block_delta(self, data: dict[str, Any]) -> None:
        self._expect("block")
        if data["index"] != self._next_index:
            raise GrammarError(f"delta for block {data['index']} while {self._next_index} is open")
        kind = data["delta"]["type"]
        if kind == "signature_delta":
            if self._signed:
                raise GrammarError("a second signature in one block")
            self._signed = True
        elif kind == "thinking_delta" and self._signed:
            raise GrammarError("thinking after its signature")

    def _on_content_block_stop(self, data: dict[str, Any]) -> None:
        self._expect("block")
        if data["index"] != self._next_index:
            raise GrammarError(f"block {data['index']} stopped, {self._next_index} is open")
        self._open, self._state = None, "between"
        self._next_index += 1

    def _on_message_delta(self, data: dict[str, Any]) -> None:
        self._expect("between", "delta")
        if not isinstance(data["usage"].get("output_tokens"), int):
            raise GrammarError("message_delta without output_tokens")
        self._state = "delta"

    def _on_message_stop(self, _: dict[str, Any]) -> None:
        self._expect("delta")
        self._state = "end"


def fold(events: Iterable[Event]) -> dict[str, Any]:
    """Builds the message of a whole stream. Raises `GrammarError` if it is not a whole stream."""
    message: dict[str, Any] | None = None
    parts: dict[str, list[str]] = {}  # of the open block
    grammar = Grammar()
    for event in events:
        grammar.feed(event)
        name, data = event[0], _decode(event[1])
        if name == b"error":
            raise GrammarError(f"the stream ended in an error: {data['error']['type']}")
        if name == b"message_start":
            message = data["message"]
        elif message is not None:
            _apply(message, parts, data)
    grammar.end()
    if message is None:  # pragma: no cover  # the grammar requires message_start before the end
        raise GrammarError("no message_start")
    return message


def _apply(message: dict[str, Any], parts: dict[str, list[str]], data: dict[str, Any]) -> None:
    kind = data["type"]
    if kind == "content_block_start":
        message["content"].append(data["content_block"])
    elif kind == "content_block_delta":
        _apply_delta(message["content"][data["index"]], parts, data["delta"])
    elif kind == "content_block_stop":
        _join(message["content"][data["index"]], parts)
    elif kind == "message_delta":
        message.update(data["delta"])
        message.update({key: data[key] for key in END_KEYS if key in data})
        message["usage"].update({k: v for k, v in data["usage"].items() if v is not None})


def _apply_delta(block: dict[str, Any], parts: dict[str, list[str]], delta: dict[str, Any]) -> None:
    kind = delta["type"]
    if kind in _APPENDING:
        field = _APPENDING[kind]
        parts.setdefault(field, []).append(delta[field])
    elif kind == "signature_delta":
        block["signature"] = delta["signature"]
    elif kind == "citations_delta":
        block["citations"] = block.get("citations") or []
        block["citations"].append(delta["citation"])
    elif kind == "compaction_delta":
        block.update({key: value for key, value in delta.items() if key != "type"})
    else:
        raise GrammarError(f"delta {kind} is unknown")


def _join(block: dict[str, Any], parts: dict[str, list[str]]) -> None:
    """Joins what the deltas of a block brought, now that the block ends, and empties `parts`."""
    for field, some in parts.items():
        text = "".join(some)
        if field != "partial_json":
            block[field] = block.get(field, "") + text
        elif text:
            block["input"] = _decode(text)
    parts.clear()


def explode(message: dict[str, Any]) -> Iterator[Event]:
    """Yields the shortest stream that folds to `message`."""
    delta = {key: message[key] for key in DELTA_KEYS if key in message}
    start = {key: value for key, value in message.items() if key not in delta}
    extras = {key: start.pop(key) for key in END_KEYS if key in start}
    start |= {"content": [], "stop_reason": None, "stop_sequence": None}
    usage = message["usage"]
    start["usage"] = {**usage, "output_tokens": min(1, usage["output_tokens"])}
    yield _event("message_start", message=start)
    for index, block in enumerate(message["content"]):
        yield from explode_block(index, block)
    yield _event("message_delta", delta=delta, usage=usage, **extras)
    yield _event("message_stop")


def explode_block(index: int, block: dict[str, Any]) -> Iterator[Event]:
    """Yields the events of one block that is whole already."""
    opening = dict(block)
    deltas: list[dict[str, Any]] = []
    kind = block["type"]
    if kind == "text":
        opening["text"] = ""
        deltas.append({"type": "text_delta", "text": block["text"]})
        if citations := opening.pop("citations", None):
            deltas += [{"type": "citations_delta", "citation": citation} for citation in citations]
            opening["citations"] = []
        elif "citations" in block:
            opening["citations"] = block["citations"]
    elif kind == "thinking":
        opening |= {"thinking": "", "signature": ""}
        deltas.append({"type": "thinking_delta", "thinking": block["thinking"]})
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif kind in ("tool_use", "server_tool_use"):
        opening["input"] = {}
        text = _encode(block["input"]).decode()
        deltas.append({"type": "input_json_delta", "partial_json": text})
    yield _event("content_block_start", index=index, content_block=opening)
    for delta in deltas:
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _event(name: str, **fields: Any) -> Event:
    return name.encode(), _encode({"type": name, **fields})
