"""The turn loop: one answer for the client out of several model calls. Sans-IO.

Theory of operation. A turn is fed what has happened and returns what to do now, in order
(turn/actions.py); it awaits nothing and reads no clock. Only turn/stream.py does.

    what is fed                            what is returned
    begin()                                CallModel(the client's request, for the model)
    message_start, text                    Tell(the same)
    tool_use tool_search_tool_bm25         Tell(server_tool_use srvtoolu_1), RunCall(srvtoolu_1)
    tool_use tool_search_tool_regex        RunCall(srvtoolu_2): both run at once
    message_delta tool_use, message_stop   nothing
    CallOutcome(srvtoolu_2)                nothing
    CallOutcome(srvtoolu_1)                Tell(its result, server_tool_use srvtoolu_2, its result),
                                           CallModel(the request, what the model said, the results)
    message_start, text                    Tell(text)
    message_delta end_turn, message_stop   Tell(message_delta with the usage of both calls,
                                           message_stop), End()

For the client each call stands before its result, and both before whatever the model says next. The
model does not wait for results, it writes on; so the turn reads on, to ask for the next calls
early, and holds back what stands behind a call without an outcome (turn/client_answer.py). When
outcomes come makes no difference to the answer, nor does the size in which events are fed.

A model call that ends with nothing but server-side calls, all of them finished, is followed by the
next one; its end is kept from the client, as is the start of every later one. Everything else ends
the turn. Two answers begin before any model call: calls that the history left open are run first,
and their results are told behind the first message_start. If one of them is suspended anew, the
model is not called at all (turn/suspended.py). A stream that breaks is the driver's business: the
client has a valid beginning then.
Source: Anthropic API, "Server tools", "Streaming messages"; principle: one loop for all tools.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from ..errors import InvalidRequestError
from ..protocol.answer.events import Event
from ..protocol.raw import decode, encode
from ..protocol.request.messages import MessagesRequest
from ..tools.base import Json, Outcome, RequestContext, Run, ServerTool, ToolCall
from ..tools.toolset import Toolset
from .actions import Action, CallModel, CallOutcome, End, RunCall, Tell
from .answer_reader import AnswerReader, Writing
from .client_answer import ClientAnswer
from .request import Paths, extended, in_clients_words, prepare
from .server_call import CALL, TOOL_USE, ServerCall
from .suspended import SuspendedTurn, answer_without_model, container_of, suspended_turn
from .usage import add_usage

MAX_CALLS: Final = 10  # of the model in one turn, as Anthropic's own loop
_ID_DIGITS: Final = 24


class _Block(msgspec.Struct, gc=False):
    type: str
    name: str = ""


class _Start(msgspec.Struct, gc=False):
    index: int
    content_block: _Block


_decode_start = msgspec.json.Decoder(_Start).decode


class Turn:
    """One client request and all model calls that it causes; `request` is the one made last."""

    def __init__(self, request: MessagesRequest, toolset: Toolset, key_id: str = "") -> None:
        """Reads the history. Raises `InvalidRequestError` with the path."""
        self.request = request
        self._prepared = prepare(request, toolset)
        self._context = RequestContext(key_id, request.fields)
        self._runs: dict[str, Run] = {}  # by type of result
        self._paths: Paths = []
        self._running: dict[str, ServerCall] = {}
        self._client = ClientAnswer()
        self._reader = AnswerReader()
        self._message_id = ""
        self._calls_made = 0
        self._spent: Json = {}  # by the model calls that have ended

    def begin(self) -> list[Action]:
        """Returns what to do first. Raises `InvalidRequestError` with the path."""
        pending = self._prepared.pending
        return [self._run(call) for call in pending] if pending else self._first_call()

    def feed(self, given: Sequence[Event] | CallOutcome) -> list[Action]:
        """Takes events of the model, or the outcome of a call; returns what to do about it.

        Raises `GrammarError`, or any of MISSHAPEN, for events that are no message, and with the
        last outcome of the history's calls `InvalidRequestError` with the path.
        """
        asked: list[Action] = []
        if isinstance(given, CallOutcome):
            self._running.pop(given.id).take(given.outcome)
            if not self._running:
                asked = self._settle() if self._paths else self._first_call()
        else:
            for event in given:
                self._take(event, asked)
        told = self._client.release()
        return [Tell(told), *asked] if told else asked

    def in_clients_words(self, error: InvalidRequestError) -> InvalidRequestError:
        """Words an error of the first model call with the paths of the client's request."""
        return InvalidRequestError(
            in_clients_words(error.message, self._paths), error_code=error.error_code
        )

    def spent(self) -> Json:
        """Returns the usage, if the turn ends now: the running call's output is an estimate."""
        usage = add_usage(self._spent, self._reader.usage)
        if unreported := self._reader.unreported_output():
            usage["output_tokens"] = (usage.get("output_tokens") or 0) + unreported
        return usage

    def _run(self, call: ServerCall) -> RunCall:
        tool = call.tool
        run = self._runs.get(tool.result_type)
        if run is None:
            run = self._runs[tool.result_type] = _prepared_late(tool, self._context)
        self._running[call.id] = call
        return RunCall(ToolCall(call.id, call.name, call.input, call.results), tool, run)

    def _first_call(self) -> list[Action]:
        """Calls the model, now that the history is complete, unless a call of it waits again."""
        pending = self._prepared.pending
        suspended = _suspended(pending)
        if suspended is not None:
            content = [block for call in pending for block in call.told or ()]
            model = self.request.view.model
            return [Tell(answer_without_model(model, content, suspended)), End(suspended)]
        self.request, self._paths = self._prepared.made()
        return [CallModel(self.request)]

    def _take(self, event: Event, asked: list[Action]) -> None:
        """Takes one event of the model; adds to `asked` what to do about it."""
        match event[0]:
            case b"content_block_delta":
                self._reader.add_delta(event)
                self._client.add(event)
            case b"content_block_start":
                self._client.add(self._start_block(event))
            case b"content_block_stop":
                self._client.add_stop(event)
                if (call := self._reader.stop_block(event)) is not None:
                    self._client.add_outcome(call)
                    asked.append(self._run(call))
            case b"message_start":
                self._start(event)
            case b"message_delta":
                self._reader.end(event)
            case b"message_stop":
                self._reader.stop = event
                if not self._running:
                    asked += self._settle()
            case _:  # ping, error, or of the future
                self._client.add(event)

    def _start(self, event: Event) -> None:
        message = decode(event[1])["message"]
        self._reader.start(event, message["usage"])
        self._calls_made += 1
        if self._calls_made == 1:
            self._message_id = message["id"]
            self._client.add(event)
            for call in self._prepared.pending:
                self._client.add_outcome(call)

    def _start_block(self, event: Event) -> Event:
        """Returns the event for the client: a call of one of our tools is told as such."""
        start = _decode_start(event[1])
        block = start.content_block
        calls = block.type == TOOL_USE
        tool = self._prepared.tools.get(block.name) if calls else None
        if tool is None:
            self._reader.start_block(event, calls_client=calls)
            return event
        # Of this message and of no other: ids of some models begin anew with each answer.
        digest = sha256(f"{self._message_id}.{self._client.blocks}".encode()).hexdigest()
        identifier = f"srvtoolu_{digest[:_ID_DIGITS]}"
        self._reader.start_call(Writing(start.index, identifier, block.name, tool))
        tree = decode(event[1])
        tree["content_block"] |= {"type": CALL, "id": identifier}
        return event[0], encode(tree)

    def _settle(self) -> list[Action]:
        """Goes on once no call runs: if the model has stopped, with the next call or the end."""
        reader = self._reader
        if reader.stop is None:
            return []
        self._reader = AnswerReader()
        self._spent = add_usage(self._spent, reader.usage)
        reason, suspended = reader.stop_reason(), _suspended(reader.calls)
        if suspended is not None:
            reason = TOOL_USE
        elif reason == TOOL_USE and reader.calls and not reader.calls_client:
            if self._calls_made < MAX_CALLS:
                shown = [call.shown for call in reader.calls]
                self.request = extended(self.request, reader.content(), shown)
                return [CallModel(self.request)]
            reason = "pause_turn"
        for event in (*self._final(reader, reason, suspended), reader.stop):
            self._client.add(event)
        return [End(suspended)]

    def _final(
        self, reader: AnswerReader, reason: str | None, suspended: SuspendedTurn | None
    ) -> list[Event]:
        """Returns the end of the last model call, with what all of them cost."""
        if self._calls_made == 1 and reason != "pause_turn" and suspended is None:
            return reader.ending
        *earlier, (name, data) = reader.ending
        tree = decode(data)
        tree["delta"]["stop_reason"] = reason
        if suspended is not None:
            tree["delta"]["container"] = container_of(suspended)
        tree["usage"] = self._spent
        return [*earlier, (name, encode(tree))]


def _prepared_late(tool: ServerTool, context: RequestContext) -> Run:
    """Returns a run that prepares the tool itself, so that a fault in that is the call's too."""
    run: Run | None = None

    async def prepared(call: ToolCall) -> Outcome:
        nonlocal run
        if run is None:
            run = tool.prepare(context)
        return await run(call)

    return prepared


def _suspended(calls: Sequence[ServerCall]) -> SuspendedTurn | None:
    waiting = {call.id: call.suspended for call in calls if call.suspended is not None}
    return suspended_turn(waiting)
