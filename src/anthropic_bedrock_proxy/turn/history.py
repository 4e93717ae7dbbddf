"""A client's conversation with server-side tools -> the one that the model is shown.

The client has `server_tool_use` and its result side by side in one assistant message. The model
called an ordinary tool, so for it that message ends there, a user message brings the result, and
what follows is the next assistant message. Results of the client's own tools stand beside those of
server-side tools that were called together with them: a message's calls are answered together.
A call without a result may stand in the last assistant message only (`pause_turn`, or a call beside
the client's): it is listed here, and run before the model is called.
Source: Anthropic API, "Server tools" and "Handling stop reasons".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..errors import InvalidRequestError
from ..protocol.raw import decode
from ..protocol.request.views import MessageView
from ..tools.base import Json, ServerTool

CALL: Final = "server_tool_use"
_SERVER_ID: Final = "srvtoolu_"
_MAX_SHOWN: Final = 128
Place = tuple[int, int]  # message and block of the client's


class Shown(msgspec.Struct):
    """A message for the model: a tree whose blocks come from `places`, or the client's own.

    Of the client's own, `view` is what has been read of it and `places` holds its index alone.
    """

    message: Json | Raw
    view: MessageView | None
    places: list[Place]


class _Call(msgspec.Struct):
    """A server-side call without a result."""

    tool: ServerTool
    id: str
    name: str
    input: Any
    index: int  # of its message


class Pending(msgspec.Struct):
    """A call that has to be run: `shown` stands in the model's history and awaits the result."""

    tool: ServerTool
    id: str
    name: str
    input: Any
    shown: Json

    def answer(self, content: Json) -> Json:
        """Returns the result block that the client is owed, and adds it to the model's history."""
        block = {"type": self.tool.result_type, "tool_use_id": self.id, "content": content}
        self.shown |= tool_result(self.tool, block)
        return block


class _Open(msgspec.Struct):
    """An assistant message for the model, until it is known what follows it."""

    message: Json
    places: list[Place] = []
    calls: dict[str, _Call] = {}
    calls_client: bool = False
    results: list[Json] = []
    result_places: list[Place] = []


class _Answers(msgspec.Struct):
    """The user message in which the results of `calls` are missing, and those that have come."""

    calls: dict[str, _Call]
    content: list[Json]
    places: list[Place]
    results: list[Json] = []
    result_places: list[Place] = []

    def complete(self) -> None:
        """Puts the results that have come first in the message, the latest before the others."""
        self.content[:0] = reversed(self.results)
        self.places[:0] = reversed(self.result_places)


def upstream_id(identifier: str) -> str:
    """Returns the id of a server-side call as the model is shown it: always the same one."""
    return "toolu_" + identifier.removeprefix(_SERVER_ID)


def tool_result(tool: ServerTool, block: Json) -> Json:
    """Returns a result block as the model is shown it. Raises any of MISSHAPEN."""
    result: Json = {"type": "tool_result", "tool_use_id": upstream_id(block["tool_use_id"])}
    if "cache_control" in block:
        result["cache_control"] = block["cache_control"]
    return result | tool.to_tool_result(block["content"])


class History:
    """The conversion of one conversation: `add` each message, then `end`.

    `shown` is what the model sees, complete once all that is `pending` has been answered;
    `continues` tells that the client's last message was an answer which now goes on.
    """

    def __init__(self, tools: Sequence[ServerTool], runnable: Iterable[str]) -> None:
        """`tools` are those that may occur, `runnable` the calls that this request allows."""
        self._tools = tools
        self._by_result = {tool.result_type: tool for tool in tools}
        self._runnable = frozenset(runnable)
        self._open: _Open | None = None
        self._answers: _Answers | None = None  # a later assistant message brings what is missing
        self.shown: list[Shown] = []
        self.pending: list[Pending] = []
        self.continues = False

    def add(self, index: int, raw: Raw, view: MessageView) -> None:
        """Raises `InvalidRequestError`, or any of MISSHAPEN."""
        if view.role == "assistant":
            if self._open is None and self._answers is None and not self._concerns(view):
                self.shown.append(Shown(raw, view, [(index, 0)]))
            else:
                self._add_assistant(index, decode(raw))
            return
        self._refuse_missing()
        opened, self._open = self._open, None
        if opened is not None and view.role == "user" and (opened.calls or opened.results):
            self._add_answers(opened, index, decode(raw))
            return
        if opened is not None:
            for call in opened.calls.values():
                raise self._without_result(call)
            self._close(opened)
        self.shown.append(Shown(raw, view, [(index, 0)]))

    def end(self) -> None:
        """Lists what has no result yet. Raises as `add`."""
        opened, self._open = self._open, None
        if opened is not None:
            for call in opened.calls.values():
                opened.results.append(self._await(call))
                opened.result_places.append((call.index, 0))
            self.continues = bool(opened.results)
            self._close(opened)
        answers = self._answers
        if answers is None:
            return
        if any(block["type"] != "tool_result" for block in answers.content):
            self._refuse_missing()
        for call in answers.calls.values():
            answers.results.append(self._await(call))
            answers.result_places.append((call.index, 0))
        answers.complete()

    def _concerns(self, view: MessageView) -> bool:
        return not isinstance(view.content, str) and any(
            block.type in self._by_result
            or (block.type == CALL and self._tool_of(block.name) is not None)
            for block in view.content
        )

    def _tool_of(self, name: Any) -> ServerTool | None:
        return next((tool for tool in self._tools if tool.is_call(name)), None)

    def _add_assistant(self, index: int, tree: Json) -> None:
        blocks = _blocks(tree["content"])
        opened, self._open = self._open, None
        if opened is not None and not opened.calls and not opened.results:
            self._close(opened)
            opened = None
        if opened is None:
            opened = _Open({**tree, "content": []})
        for position, block in enumerate(blocks):
            tool = self._by_result.get(block["type"])
            if tool is not None:
                self._add_result(opened, tool, block, (index, position))
                continue
            if opened.results and not opened.calls and not opened.calls_client:
                # What follows a result was said when the model knew it.
                self._close(opened)
                opened = _Open({"role": "assistant", "content": []})
            self._add_said(opened, block, (index, position))
        self._open = opened
        self._refuse_missing()
        if self._answers is not None:
            self._answers.complete()
            self._answers = None

    def _add_said(self, opened: _Open, block: Json, place: Place) -> None:
        tool = self._tool_of(block.get("name")) if block["type"] == CALL else None
        if tool is not None:
            opened.calls[block["id"]] = _Call(
                tool, block["id"], block["name"], block["input"], place[0]
            )
            block = {**block, "type": "tool_use", "id": upstream_id(block["id"])}
            block.pop("caller", None)
        elif block["type"] == "tool_use":
            opened.calls_client = True
        opened.message["content"].append(block)
        opened.places.append(place)

    def _add_result(self, opened: _Open, tool: ServerTool, block: Json, place: Place) -> None:
        identifier = block["tool_use_id"]
        if opened.calls.pop(identifier, None) is not None:
            opened.results.append(tool_result(tool, block))
            opened.result_places.append(place)
        elif self._answers is not None and self._answers.calls.pop(identifier, None) is not None:
            self._answers.results.append(tool_result(tool, block))
            self._answers.result_places.append(place)
        else:
            raise InvalidRequestError(
                f"messages.{place[0]}.content.{place[1]}: unexpected `tool_use_id` found in "
                f"`{tool.result_type}` blocks: {str(identifier)[:_MAX_SHOWN]}. Each "
                f"`{tool.result_type}` block must have a corresponding `{CALL}` block before it."
            )

    def _add_answers(self, opened: _Open, index: int, tree: Json) -> None:
        """Adds a user message: results of server-side tools stand first in it."""
        results, places = opened.results, opened.result_places
        opened.results = []
        self._close(opened)
        blocks = _blocks(tree["content"])
        content = [*results, *blocks]
        places = [*places, *((index, position) for position in range(len(blocks)))]
        self.shown.append(Shown({**tree, "content": content}, None, places))
        if opened.calls:
            self._answers = _Answers(opened.calls, content, places)

    def _close(self, opened: _Open) -> None:
        if opened.message["content"]:
            self.shown.append(Shown(opened.message, None, opened.places))
        if opened.results:
            answer: Json = {"role": "user", "content": opened.results}
            self.shown.append(Shown(answer, None, opened.result_places))

    def _await(self, call: _Call) -> Json:
        """Stands for the result of a call of an earlier answer, which is run later."""
        if call.name not in self._runnable:
            raise InvalidRequestError(
                f"{self._use_of(call)} has no result yet, but no `{call.name}` tool was provided"
            )
        shown = {"type": "tool_result", "tool_use_id": upstream_id(call.id)}
        self.pending.append(Pending(call.tool, call.id, call.name, call.input, shown))
        return shown

    def _refuse_missing(self) -> None:
        if self._answers is not None:
            for call in self._answers.calls.values():
                raise self._without_result(call)

    def _without_result(self, call: _Call) -> InvalidRequestError:
        return InvalidRequestError(
            f"{self._use_of(call)} was found without a corresponding "
            f"`{call.tool.result_type}` block"
        )

    def _use_of(self, call: _Call) -> str:
        return f"messages.{call.index}: `{call.name}` tool use with id `{call.id[:_MAX_SHOWN]}`"


def _blocks(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
