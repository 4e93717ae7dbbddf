"""The turn loop: one answer for the client out of several model calls. Sans-IO.

    turn = Turn(request)
    while (call := turn.next_request()) is not None:
        for events in the stream of that model call:
            the client gets turn.feed(events)

The model's calls of server-side tools reach the client as `server_tool_use` while they stream, and
their results follow at once. A model call that ends with nothing but such calls is followed by the
next one; its end is kept from the client, as is the start of every later one. Everything else ends
the turn. A stream that breaks is the driver's business: the client has a valid beginning then.
Source: Anthropic API, "Server tools", "Streaming messages"; principle: one loop for all tools.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..errors import InvalidRequestError
from ..protocol.events import Event, fold
from ..protocol.messages import MessagesRequest
from ..protocol.raw import decode, encode
from ..protocol.tokens import estimate_output
from ..tools.base import Json, Run, ServerTool
from .history import CALL, tool_result, upstream_id
from .request import TOOLS, extended, prepare
from .usage import add_usage, merge_usage

MAX_CALLS: Final = 10  # of the model in one turn, as Anthropic's own loop
_ID_DIGITS: Final = 24
_TOOL_USE: Final = "tool_use"


class _Block(msgspec.Struct, gc=False):
    type: str
    name: str = ""


class _Start(msgspec.Struct, gc=False):
    index: int
    content_block: _Block


class _InputDelta(msgspec.Struct, gc=False):
    partial_json: str = ""


class _Delta(msgspec.Struct, gc=False):
    delta: _InputDelta


class _Call(msgspec.Struct):
    """A server-side call while the model writes it. `index` is the model's, `id` the client's."""

    index: int
    id: str
    name: str
    tool: ServerTool
    run: Run
    input: str = ""


_decode_start = msgspec.json.Decoder(_Start).decode
_decode_delta = msgspec.json.Decoder(_Delta).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_json: Any = msgspec.json.Decoder().decode


class Turn:
    """One client request and all model calls that it causes."""

    def __init__(self, request: MessagesRequest, tools: Sequence[ServerTool] = TOOLS) -> None:
        """Raises `InvalidRequestError` with the path."""
        self._prepared = prepare(request, tools)
        self._request = self._prepared.request
        self._waiting: MessagesRequest | None = self._request
        self._message_id = ""
        self._calls_made = 0
        self._index = 0  # of the client's next block
        self._shifted = False  # the model counts the open block differently
        self._call: _Call | None = None
        self._spent: Json = {}  # by the model calls that have ended
        self._begin_call()

    def _begin_call(self) -> None:
        """Everything that is known of one model call."""
        self._said: list[Event] = []  # as the model has it, server-side calls under their new ids
        self._results: list[Json] = []
        self._calls_client = False
        self._usage: Json = {}
        self._ending: list[Event] = []
        self._delta_events = self._delta_bytes = 0

    def next_request(self) -> MessagesRequest | None:
        """The model call to make now; None once the turn is over. Ask after each stream's end."""
        request, self._waiting = self._waiting, None
        return request

    def feed(self, events: Iterable[Event]) -> list[Event]:
        """The client's events for these of the model's. Chunking does not matter.

        Raises `GrammarError`, or any of MISSHAPEN, for events that are no message.
        """
        out: list[Event] = []
        for event in events:
            match event[0]:
                case b"content_block_delta":
                    self._on_delta(event, out)
                case b"content_block_start":
                    self._on_block_start(event, out)
                case b"content_block_stop":
                    self._on_block_stop(event, out)
                case b"message_start":
                    self._on_start(event, out)
                case b"message_delta":
                    self._usage = merge_usage(self._usage, decode(event[1])["usage"])
                    self._ending.append(event)
                case b"message_stop":
                    self._on_stop(event, out)
                case _:  # ping, error, or of the future
                    out.append(event)
        return out

    def in_clients_words(self, error: InvalidRequestError) -> InvalidRequestError:
        """What made the first model call impossible, with the paths of the client's request."""
        return InvalidRequestError(
            self._prepared.in_clients_words(error.message), error_code=error.error_code
        )

    def spent(self) -> Json:
        """The usage so far, if the turn ends here: the running call's output is an estimate."""
        usage = add_usage(self._spent, self._usage)
        if self._usage and not self._ending:
            estimate = estimate_output(self._delta_events, self._delta_bytes)
            told = self._usage.get("output_tokens") or 0
            usage["output_tokens"] = (usage.get("output_tokens") or 0) + max(0, estimate - told)
        return usage

    def answer(self, call: _Call, content: Json, given: Any) -> list[Event]:
        """The result of a call: the model gets it with the next request, the client now."""
        block = {"type": call.tool.result_type, "tool_use_id": call.id, "content": content}
        self._results.append(tool_result(call.tool, block))
        said = {
            "type": _TOOL_USE,
            "id": upstream_id(call.id),
            "name": call.name,
            "input": given if isinstance(given, dict) else {},
        }
        self._said += _whole(call.index, said)
        return self._tell(block)

    def _tell(self, block: Json) -> list[Event]:
        events = _whole(self._index, block)
        self._index += 1
        return events

    def _on_start(self, event: Event, out: list[Event]) -> None:
        message = decode(event[1])["message"]
        self._said.append(event)
        self._usage = message["usage"]
        self._calls_made += 1
        if self._calls_made > 1:
            return
        self._message_id = message["id"]
        out.append(event)
        for block in self._prepared.owed:
            out += self._tell(block)

    def _on_block_start(self, event: Event, out: list[Event]) -> None:
        start = _decode_start(event[1])
        block, self._shifted = start.content_block, start.index != self._index
        runs = self._prepared.runs.get(block.name) if block.type == _TOOL_USE else None
        if runs is None:
            self._calls_client |= block.type == _TOOL_USE
            self._said.append(event)
            out.append(self._renumbered(event))
            return
        # Of this message and of no other: ids of some models begin anew with each answer.
        digest = sha256(f"{self._message_id}.{self._index}".encode()).hexdigest()[:_ID_DIGITS]
        self._call = _Call(start.index, f"srvtoolu_{digest}", block.name, *runs)
        tree = decode(event[1])
        tree["index"] = self._index
        tree["content_block"] |= {"type": CALL, "id": self._call.id}
        out.append((event[0], encode(tree)))

    def _on_delta(self, event: Event, out: list[Event]) -> None:
        self._delta_events += 1
        self._delta_bytes += len(event[1])
        if self._call is None:
            self._said.append(event)
        else:
            self._call.input += _decode_delta(event[1]).delta.partial_json
        out.append(self._renumbered(event))

    def _on_block_stop(self, event: Event, out: list[Event]) -> None:
        out.append(self._renumbered(event))
        self._index += 1
        call, self._call = self._call, None
        if call is None:
            self._said.append(event)
            return
        given = _parse(call.input)
        out += self.answer(call, call.run(call.name, given), given)

    def _on_stop(self, event: Event, out: list[Event]) -> None:
        self._spent = add_usage(self._spent, self._usage)
        reason = self._stop_reason()
        if reason == _TOOL_USE and self._results and not self._calls_client:
            if self._calls_made < MAX_CALLS:
                said = fold([*self._said, *self._ending, event])["content"]
                self._request = extended(self._request, said, self._results)
                self._begin_call()
                self._waiting = self._request
                return
            reason = "pause_turn"
        out += self._final(reason)
        out.append(event)
        self._begin_call()

    def _stop_reason(self) -> str | None:
        reasons = [decode(data)["delta"].get("stop_reason") for _, data in self._ending]
        return next((reason for reason in reversed(reasons) if reason is not None), None)

    def _final(self, reason: str | None) -> list[Event]:
        """The end of the last model call, with what all of them cost."""
        if self._calls_made == 1 and reason != "pause_turn":
            return self._ending
        *earlier, (name, data) = self._ending
        tree = decode(data)
        tree["delta"]["stop_reason"] = reason
        tree["usage"] = self._spent
        return [*earlier, (name, encode(tree))]

    def _renumbered(self, event: Event) -> Event:
        if not self._shifted:
            return event
        fields: dict[str, Any] = _decode_fields(event[1])
        fields["index"] = self._index
        return event[0], encode(fields)


def _whole(index: int, block: Json) -> list[Event]:
    """A block that arrives whole."""
    start = {"type": "content_block_start", "index": index, "content_block": block}
    stop = {"type": "content_block_stop", "index": index}
    return [(b"content_block_start", encode(start)), (b"content_block_stop", encode(stop))]


def _parse(text: str) -> Any:
    """A call's input; None if it is no JSON, {} if the model wrote nothing."""
    try:
        return _decode_json(text) if text else {}
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
