"""The turn loop: one answer for the client out of several model calls. Sans-IO.

    turn = Turn(request, pause)
    while True:
        while (call := turn.pending) is not None:
            the client gets turn.answer(what call.run(call.name, call.input) brings)
        if (request := turn.next_request()) is None:
            break
        for events in the stream of that model call:
            the client gets turn.feed(events), and is answered what is pending as above

A turn runs nothing itself: `pending` is a call of a server-side tool whose outcome it waits for.
What the model says meanwhile is kept, so its calls reach the client as `server_tool_use` while they
stream, and their results follow at once. A model call that ends with nothing but such calls is
followed by the next one; its end is kept from the client, as is the start of every later one.
Everything else ends the turn. A stream that breaks is the driver's business: the client has a valid
beginning then.
Source: Anthropic API, "Server tools", "Streaming messages"; principle: one loop for all tools.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..errors import InvalidRequestError
from ..protocol.answer.events import Event, fold
from ..protocol.raw import decode, encode
from ..protocol.request.messages import MessagesRequest
from ..protocol.tokens import estimate_output
from ..tools.base import Json, Run, ServerTool
from ..tools.work import Pause
from .history import CALL, tool_result, upstream_id
from .request import TOOLS, extended, in_clients_words, prepare
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


class ToolCall(msgspec.Struct, frozen=True):
    """A call that is to be run; `input` is None if the model wrote no JSON."""

    name: str
    input: Any
    run: Run


class _Call(msgspec.Struct):
    """A server-side call while the model writes it. `index` is the model's, `id` the client's."""

    index: int
    id: str
    name: str
    tool: ServerTool
    run: Run
    written: list[str] = []
    input: Any = None  # once it is whole


_decode_start = msgspec.json.Decoder(_Start).decode
_decode_delta = msgspec.json.Decoder(_Delta).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_json: Any = msgspec.json.Decoder().decode


class Turn:
    """One client request and all model calls that it causes."""

    def __init__(
        self, request: MessagesRequest, pause: Pause, tools: Sequence[ServerTool] = TOOLS
    ) -> None:
        """Reads the history; work that takes long in a tool awaits `pause` again and again.

        Raises `InvalidRequestError` with the path.
        """
        self._prepared = prepare(request, pause, tools)
        self._unanswered = deque(self._prepared.pending)  # of the history
        self._owed: list[Json] = []  # result blocks that the client has yet to be told
        self._waiting: MessagesRequest | None = None
        if not self._unanswered:
            self._begin()
        self._kept: deque[Event] = deque()  # until the pending call has its result
        self._message_id = ""
        self._calls_made = 0
        self._index = 0  # of the client's next block
        self._shifted = False  # the model counts the open block differently
        self._call: _Call | None = None
        self._pending: _Call | None = None
        self._spent: Json = {}  # by the model calls that have ended
        self._begin_call()

    def _begin(self) -> None:
        """Makes the first request, once the history is complete."""
        self.request, self._places = self._prepared.made()
        self._waiting = self.request

    def _begin_call(self) -> None:
        """Resets everything that is known of one model call."""
        self._said: list[Event] = []  # as the model has it, server-side calls under their new ids
        self._results: list[Json] = []
        self._calls_client = False
        self._usage: Json = {}
        self._ending: list[Event] = []
        self._delta_events = self._delta_bytes = 0

    @property
    def pending(self) -> ToolCall | None:
        """The call to run now and to `answer`: before the model is called or listened to again."""
        if self._unanswered:
            owed = self._unanswered[0]
            return ToolCall(owed.name, owed.input, self._prepared.runs[owed.name][1])
        call = self._pending
        return None if call is None else ToolCall(call.name, call.input, call.run)

    def next_request(self) -> MessagesRequest | None:
        """Returns the model call to make now; None once the turn is over. Ask after every stream.

        `request` is the one that is being made.
        """
        request, self._waiting = self._waiting, None
        return request

    def feed(self, events: Iterable[Event]) -> list[Event]:
        """Returns the client's events for these of the model's. Chunking does not matter.

        Raises `GrammarError`, or any of MISSHAPEN, for events that are no message.
        """
        self._kept.extend(events)
        out: list[Event] = []
        self._go_on(out)
        return out

    def _go_on(self, out: list[Event]) -> None:
        while self._kept and self._pending is None:
            event = self._kept.popleft()
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

    def in_clients_words(self, error: InvalidRequestError) -> InvalidRequestError:
        """Words an error of the first model call with the paths of the client's request."""
        return InvalidRequestError(
            in_clients_words(error.message, self._places), error_code=error.error_code
        )

    def spent(self) -> Json:
        """Returns the usage, if the turn ends now: the running call's output is an estimate."""
        usage = add_usage(self._spent, self._usage)
        if self._usage and not self._ending:
            estimate = estimate_output(self._delta_events, self._delta_bytes)
            told = self._usage.get("output_tokens") or 0
            usage["output_tokens"] = (usage.get("output_tokens") or 0) + max(0, estimate - told)
        return usage

    def answer(self, content: Json) -> list[Event]:
        """Takes the result of the pending call: the model gets it with the next request.

        Returns the client's next events, those of what was kept among them. Raises as `feed`, and
        `InvalidRequestError` with the path.
        """
        if self._unanswered:
            self._owed.append(self._unanswered.popleft().answer(content))
            if not self._unanswered:
                self._begin()
            return []
        call, self._pending = self._pending, None
        assert call is not None  # noqa: S101  # only what is pending is answered
        block = {"type": call.tool.result_type, "tool_use_id": call.id, "content": content}
        self._results.append(tool_result(call.tool, block))
        said = {
            "type": _TOOL_USE,
            "id": upstream_id(call.id),
            "name": call.name,
            "input": call.input if isinstance(call.input, dict) else {},
        }
        self._said += _whole(call.index, said)
        out = self._tell(block)
        self._go_on(out)
        return out

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
        for block in self._owed:
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
            self._call.written.append(_decode_delta(event[1]).delta.partial_json)
        out.append(self._renumbered(event))

    def _on_block_stop(self, event: Event, out: list[Event]) -> None:
        out.append(self._renumbered(event))
        self._index += 1
        call, self._call = self._call, None
        if call is None:
            self._said.append(event)
            return
        call.input = _parse("".join(call.written))
        self._pending = call

    def _on_stop(self, event: Event, out: list[Event]) -> None:
        self._spent = add_usage(self._spent, self._usage)
        reason = self._stop_reason()
        if reason == _TOOL_USE and self._results and not self._calls_client:
            if self._calls_made < MAX_CALLS:
                said = fold([*self._said, *self._ending, event])["content"]
                self.request = self._waiting = extended(self.request, said, self._results)
                self._begin_call()
                return
            reason = "pause_turn"
        out += self._final(reason)
        out.append(event)
        self._begin_call()

    def _stop_reason(self) -> str | None:
        reasons = [decode(data)["delta"].get("stop_reason") for _, data in self._ending]
        return next((reason for reason in reversed(reasons) if reason is not None), None)

    def _final(self, reason: str | None) -> list[Event]:
        """Returns the end of the last model call, with what all of them cost."""
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
    """Returns the events of a block that arrives whole."""
    start = {"type": "content_block_start", "index": index, "content_block": block}
    stop = {"type": "content_block_stop", "index": index}
    return [(b"content_block_start", encode(start)), (b"content_block_stop", encode(stop))]


def _parse(text: str) -> Any:
    """Decodes a call's input; None if it is no JSON, {} if the model wrote nothing."""
    try:
        return _decode_json(text) if text else {}
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
