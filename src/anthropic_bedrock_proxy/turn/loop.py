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

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from ..errors import InvalidRequestError
from ..protocol.answer.events import Event, explode_block
from ..protocol.raw import Json, decode, encode
from ..protocol.request.messages import MessagesRequest
from ..tools.base import PreparedTool, ServerTool
from ..tools.calls import Container, Finished, RequestContext
from ..tools.passages import Passages
from ..tools.toolset import Toolset
from .actions import Action, CallModel, CallOutcome, End, RunCall, Tell
from .answer_reader import AnswerReader, Writing
from .cited_text import CitedAnswer, wants_json
from .client_answer import ClientAnswer
from .nested import NestedCalls, RunCalls, run_one_by_one
from .prepared_tools import PreparedTools
from .request import Paths, extended, in_clients_words, prepare
from .server_call import CALL, SERVER_ID, TOOL_USE, ServerCall
from .suspended import (
    SuspendedTurn,
    answer_without_model,
    container_object,
    suspended_turn,
)
from .usage import TurnUsage, add_usage

_ID_DIGITS: Final = 24
_SHORT_DIGITS: Final = 12  # behind a prefix: Converse takes ids of 64 characters


class _Block(msgspec.Struct, gc=False):
    type: str
    name: str = ""


class _Start(msgspec.Struct, gc=False):
    index: int
    content_block: _Block


_decode_start = msgspec.json.Decoder(_Start).decode


class Turn:
    """One client request and all model calls that it causes; `request` is the one made last."""

    def __init__(
        self,
        request: MessagesRequest,
        toolset: Toolset,
        key_id: str = "",
        *,
        run: RunCalls = run_one_by_one,
    ) -> None:
        """Reads the history. `run` awaits the calls that code makes.

        Raises `InvalidRequestError` with the path.
        """
        self.request = request
        context = RequestContext(
            key_id,
            request.fields,
            run_nested=NestedCalls(self, run),
            document_bytes=toolset.document_bytes,
        )
        self._prepared = prepare(request, toolset, context)
        self.context = msgspec.structs.replace(context, tools=self._prepared.tools.given)
        self._cites = toolset.cites
        # JSON of a schema is one text: of its markers nothing is left, not even citations.
        self._passages = Passages() if wants_json(request.fields) else self.context.passages
        self._cited: CitedAnswer | None = None
        self._tools = PreparedTools(self._prepared, self.context)
        self._paths: Paths | None = None
        self._running: dict[str, ServerCall] = {}
        self._client = ClientAnswer()
        self._reader = AnswerReader()
        self._message_id = ""
        self._calls_made = 0
        self._max_calls = toolset.max_model_calls
        self._usage = TurnUsage()
        self._container: Container | None = None

    @property
    def warnings(self) -> list[str]:
        """Returns what the client is told of tools that are served in another way than it asked."""
        return self._prepared.tools.warnings

    @property
    def provides_code(self) -> bool:
        """Tells whether code execution was added for tools that the client wants code to call."""
        return self._prepared.tools.given.provides_code

    @property
    def searches(self) -> int:
        """Returns the number of web searches until now, which may have a price."""
        return self._usage.searches

    def for_code(self, name: str) -> tuple[ServerTool, PreparedTool]:
        """Returns the tool that code may call by this name, as it is prepared for the request."""
        tool = self._prepared.tools.for_code[name]
        return tool, self._tools.of(tool)

    def count(self, tool: ServerTool, *, counts: bool) -> None:
        """Notes that a call of a tool has ended."""
        self._usage.count(tool.usage_field, counts=counts)

    def checks(self) -> list[Callable[[], Awaitable[None]]]:
        """Returns what each tool has against the request, to be awaited before anything is run.

        Raises `ProxyError`.
        """
        return self._tools.checks()

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
            self._take_outcome(given)
            self._container = given.outcome.container or self._container
            if not self._running:
                asked = self._first_call() if self._paths is None else self._settle()
        else:
            for event in given:
                self._take(event, asked)
        told = self._client.release()
        return [Tell(told), *asked] if told else asked

    def in_clients_words(self, error: InvalidRequestError) -> InvalidRequestError:
        """Words an error of the first model call with the paths of the client's request."""
        paths = self._paths or Paths([], [])
        words = in_clients_words(error.message, paths)
        return InvalidRequestError(
            words, error_code=error.error_code, unsupported=error.unsupported
        )

    def spent(self) -> Json:
        """Returns the usage, if the turn ends now: the running call's output is an estimate."""
        usage = self._usage.told(add_usage(self._usage.spent, self._reader.usage))
        if unreported := self._reader.unreported_output():
            usage["output_tokens"] = (usage.get("output_tokens") or 0) + unreported
        return usage

    def _run(self, call: ServerCall) -> RunCall:
        self._running[call.id] = call
        return RunCall(call.asked, call.tool, self._tools.of(call.tool).run, self.context)

    def _take_outcome(self, given: CallOutcome) -> None:
        call, outcome = self._running.pop(given.id), given.outcome
        call.take(outcome, self.context)
        if isinstance(outcome, Finished):
            self.context.results.append((call.name, outcome.content))
        if not call.results:  # what is resumed was counted
            self.count(call.tool, counts=not isinstance(outcome, Finished) or outcome.counts)

    def _first_call(self) -> list[Action]:
        """Calls the model, now that the history is complete, unless a call of it waits again."""
        pending = self._prepared.pending
        suspended = _suspended(pending)
        if suspended is not None:
            content = [block for call in pending for block in call.told or ()]
            model = self.request.view.model
            usage = self._usage.told({"input_tokens": 0, "output_tokens": 0})
            return [Tell(answer_without_model(model, content, suspended, usage)), End(suspended)]
        self.request, self._paths = self._prepared.made()
        return [CallModel(self.request)]

    def _take(self, event: Event, asked: list[Action]) -> None:
        """Takes one event of the model; adds to `asked` what to do about it."""
        match event[0]:
            case b"content_block_delta":
                self._reader.add_delta(event)
                self._tell(event)
            case b"content_block_start":
                self._tell(self._start_block(event))
            case b"content_block_stop":
                self._tell(event)
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

    def _tell(self, event: Event) -> None:
        """Tells the client an event of a block, with citations in place of markers."""
        for told in self._cited.feed(event) if self._cited is not None else (event,):
            if told[0] == b"content_block_stop":
                self._client.add_stop(told)
            else:
                self._client.add(told)

    def _start(self, event: Event) -> None:
        message = decode(event[1])["message"]
        self._reader.start(event, message["usage"])
        self._calls_made += 1
        if self._cites:
            self._cited = CitedAnswer(self._passages)
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
        tool = self._prepared.tools.by_name.get(block.name) if calls else None
        if tool is None:
            self._reader.start_block(event, calls_client=calls)
            return _direct(event) if calls and self._prepared.tools.marks_direct else event
        # Of this message and of no other: ids of some models begin anew with each answer.
        digest = sha256(f"{self._message_id}.{self._client.blocks}".encode()).hexdigest()
        prefix = self._tools.of(tool).call_prefix()
        identifier = f"{SERVER_ID}{prefix}{digest[: _SHORT_DIGITS if prefix else _ID_DIGITS]}"
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
        self._usage.spent = add_usage(self._usage.spent, reader.usage)
        reason, suspended = reader.stop_reason(), _suspended(reader.calls)
        if suspended is not None:
            reason = TOOL_USE
        elif reason == TOOL_USE and reader.calls and not reader.calls_client:
            if self._concluded(reader.calls):
                reason = "end_turn"
            elif self._calls_made < self._max_calls:
                shown = [call.shown for call in reader.calls]
                self.request = extended(self.request, reader.content(), shown)
                return [CallModel(self.request)]
            else:
                reason = "pause_turn"
        for event in (*self._final(reader, reason, suspended), reader.stop):
            self._client.add(event)
        return [End(suspended)]

    def _concluded(self, calls: Sequence[ServerCall]) -> bool:
        """Ends the answer without the model, if the tool of all these calls can."""
        tool = calls[0].tool
        if any(call.tool is not tool for call in calls):
            return False
        blocks = self._tools.of(tool).conclusion([call.content for call in calls])
        for block in blocks or ():
            for event in explode_block(0, block):
                self._client.add(event)
        return blocks is not None

    def _final(
        self, reader: AnswerReader, reason: str | None, suspended: SuspendedTurn | None
    ) -> list[Event]:
        """Returns the end of the last model call, with what all of them cost."""
        untouched = suspended is None and self._container is None and not self._usage.counts_calls
        if self._calls_made == 1 and reason != "pause_turn" and untouched:
            return reader.ending
        *earlier, (name, data) = reader.ending
        tree = decode(data)
        tree["delta"]["stop_reason"] = reason
        if self._container is not None:
            tree["delta"]["container"] = container_object(self._container)
        tree["usage"] = self._usage.told(self._usage.spent)
        return [*earlier, (name, encode(tree))]


def _direct(event: Event) -> Event:
    """Returns the beginning of a call of a client's tool, with the model as its caller."""
    tree = decode(event[1])
    tree["content_block"]["caller"] = {"type": "direct"}
    return event[0], encode(tree)


def _suspended(calls: Sequence[ServerCall]) -> SuspendedTurn | None:
    waiting = {call.id: call.suspended for call in calls if call.suspended is not None}
    return suspended_turn(waiting)
