"""A reader of one model call: what it has said, called, spent, and how it ended."""

from __future__ import annotations

from typing import Any

import msgspec

from ..protocol.answer.events import Event, explode_block, fold
from ..protocol.raw import Json, decode
from ..protocol.tokens import estimate_output
from ..tools.base import ServerTool
from .server_call import TOOL_USE, ServerCall, upstream_id, without_content
from .usage import merge_usage


class _InputDelta(msgspec.Struct, gc=False):
    partial_json: str = ""


class _Delta(msgspec.Struct, gc=False):
    delta: _InputDelta


class Writing(msgspec.Struct):
    """A server-side call while the model writes it. `index` is the model's, `id` the client's."""

    index: int
    id: str
    name: str
    tool: ServerTool
    written: list[str] = []


_decode_delta = msgspec.json.Decoder(_Delta).decode
_decode_json: Any = msgspec.json.Decoder().decode


class AnswerReader:
    """Reads the events of one model call; `stop` is the last of them, once it is there."""

    def __init__(self) -> None:
        self.calls: list[ServerCall] = []
        self.calls_client = False
        self.usage: Json = {}
        self.ending: list[Event] = []
        self.stop: Event | None = None
        self._said: list[Event] = []  # as the model has it, server-side calls under their new ids
        self._writing: Writing | None = None
        self._delta_events = self._delta_bytes = 0

    def start(self, event: Event, usage: Json) -> None:
        """Takes the beginning, and the usage that it tells."""
        self.usage = usage
        self._said.append(event)

    def start_block(self, event: Event, *, calls_client: bool) -> None:
        """Takes the beginning of a block that is no server-side call."""
        self.calls_client |= calls_client
        self._said.append(event)

    def start_call(self, writing: Writing) -> None:
        """Takes the beginning of a server-side call."""
        self._writing = writing

    def add_delta(self, event: Event) -> None:
        """Takes a piece of the open block."""
        self._delta_events += 1
        self._delta_bytes += len(event[1])
        if self._writing is None:
            self._said.append(event)
        else:
            self._writing.written.append(_decode_delta(event[1]).delta.partial_json)

    def stop_block(self, event: Event) -> ServerCall | None:
        """Takes the end of a block; returns the server-side call that it was."""
        writing, self._writing = self._writing, None
        if writing is None:
            self._said.append(event)
            return None
        given = _parse("".join(writing.written))
        shown = without_content(writing.id)
        call = ServerCall(writing.tool, writing.id, writing.name, given, shown)
        said = {
            "type": TOOL_USE,
            "id": upstream_id(call.id),
            "name": call.name,
            "input": given if isinstance(given, dict) else {},
        }
        self._said += explode_block(writing.index, said)
        self.calls.append(call)
        return call

    def end(self, event: Event) -> None:
        """Takes a `message_delta`."""
        self.usage = merge_usage(self.usage, decode(event[1])["usage"])
        self.ending.append(event)

    def stop_reason(self) -> str | None:
        """Returns the reason for which the model stopped."""
        reasons = [decode(data)["delta"].get("stop_reason") for _, data in self.ending]
        return next((reason for reason in reversed(reasons) if reason is not None), None)

    def content(self) -> list[Json]:
        """Returns all that was said, for the model's own history. Raises `GrammarError`."""
        stop = [] if self.stop is None else [self.stop]
        content: list[Json] = fold([*self._said, *self.ending, *stop])["content"]
        return content

    def unreported_output(self) -> int:
        """Estimates the output tokens of an answer that has not told them yet."""
        if not self.usage or self.ending:
            return 0
        told = self.usage.get("output_tokens") or 0
        return max(0, estimate_output(self._delta_events, self._delta_bytes) - told)


def _parse(text: str) -> Any:
    """Decodes a call's input; None if it is no JSON, {} if the model wrote nothing."""
    try:
        return _decode_json(text) if text else {}
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
