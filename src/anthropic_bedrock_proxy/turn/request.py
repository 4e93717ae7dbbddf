"""A client's request with server-side tools -> the request that the model is sent, again and again.

Server-side tools become custom ones, the conversation becomes the model's (turn/history.py), and
each further call of the turn appends to it. Deferred tools and references to them are left to
adapting (protocol/adapt/tools.py), which loads for the model what the results refer to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..errors import InvalidRequestError
from ..protocol.raw import MISSHAPEN, UNEXPECTED_FORM, decode, decode_raws, encode
from ..protocol.request.messages import MessagesRequest, decode_message, decode_tools
from ..tools.base import Json, Run, ServerTool
from ..tools.tool_search import TOOL_SEARCH
from ..tools.work import Pause
from .history import History, Pending, Place

TOOLS: Final[tuple[ServerTool, ...]] = (TOOL_SEARCH,)
MAX_TOOLS: Final = 10_000  # of a request with server-side tools, as Anthropic's own tool search
_FORCING: Final = ("any", "tool")
_PATH: Final = re.compile(r"\bmessages\.(\d+)(?:\.content\.(\d+))?")


Runs = dict[str, tuple[ServerTool, Run]]  # by name of call


class Prepared(msgspec.Struct, frozen=True):
    """A client's request as it is for the model, but for the results of what is `pending`.

    `runs` runs its calls and those of the model; `made` gives the request that the model is sent.
    """

    pending: list[Pending]
    runs: Runs
    _original: MessagesRequest
    _fields: dict[str, Raw]
    _history: History

    def made(self) -> tuple[MessagesRequest, list[list[Place] | int]]:
        """Makes the request, and tells for each of its messages where its blocks come from.

        What is still pending has an empty result. Raises `InvalidRequestError`.
        """
        try:
            return self._made()
        except MISSHAPEN as error:
            raise InvalidRequestError(UNEXPECTED_FORM) from error

    def _made(self) -> tuple[MessagesRequest, list[list[Place] | int]]:
        view = self._original.view
        fields = self._fields
        raws, views, places = [], [], []
        for shown in self._history.shown:
            raw = shown.message if isinstance(shown.message, Raw) else Raw(encode(shown.message))
            raws.append(raw)
            views.append(shown.view or decode_message(raw))
            places.append(shown.places[0][0] if shown.view is not None else shown.places)
        offered = decode_tools(fields["tools"]) if self.runs else view.tools
        made = MessagesRequest(
            {**fields, "messages": Raw(encode(raws))},
            msgspec.structs.replace(view, messages=views, tools=offered),
            self._original.version,
        )
        return (unforced(made) if self._history.continues else made), places


def prepare(
    request: MessagesRequest, pause: Pause, tools: Sequence[ServerTool] = TOOLS
) -> Prepared:
    """Runs nothing; what runs later awaits `pause` again and again.

    Raises `InvalidRequestError` with the path of what is wrong.
    """
    try:
        fields = dict(request.fields)
        runs = _convert_tools(request, pause, tools, fields)
        history = History(tools, runs)
        raws = decode_raws(fields["messages"])
        for index, (raw, view) in enumerate(zip(raws, request.view.messages, strict=True)):
            history.add(index, raw, view)
        history.end()
    except MISSHAPEN as error:
        raise InvalidRequestError(UNEXPECTED_FORM) from error
    return Prepared(history.pending, runs, request, fields, history)


def without_running(request: MessagesRequest) -> MessagesRequest:
    """Returns the request that the model is sent, with empty results for what is pending.

    Raises `InvalidRequestError` with the path.
    """
    return prepare(request, _pause_nowhere).made()[0]


async def _pause_nowhere() -> None:
    """Stands in where nothing runs."""


def in_clients_words(message: str, places: Sequence[list[Place] | int]) -> str:
    """Returns an error's text with its paths as they are in the client's request."""

    def restore(match: re.Match[str]) -> str:
        index, position = int(match[1]), match[2]
        place = places[index] if index < len(places) else index
        if isinstance(place, int):
            return f"messages.{place}" + (f".content.{position}" if position else "")
        if position is None or int(position) >= len(place):
            return f"messages.{place[0][0]}"
        index, block = place[int(position)]
        return f"messages.{index}.content.{block}"

    return _PATH.sub(restore, message)


def _convert_tools(
    request: MessagesRequest, pause: Pause, tools: Sequence[ServerTool], fields: dict[str, Raw]
) -> Runs:
    """Puts custom tools in the place of server-side ones."""
    runs: Runs = {}
    prepared: dict[str, Run] = {}  # by result: whatever it is called, a tool is prepared once
    raws: list[Raw] = []
    for index, view in enumerate(request.view.tools or ()):
        tool = next((tool for tool in tools if tool.claims(view.type or "")), None)
        if tool is None:
            continue
        raws = raws or decode_raws(request.fields["tools"])
        seen = tool.definition(decode(raws[index]), f"tools.{index}")
        raws[index] = Raw(encode(seen))
        if tool.result_type not in prepared:
            prepared[tool.result_type] = tool.prepare(request.fields["tools"], pause)
        runs[seen["name"]] = tool, prepared[tool.result_type]
    if len(raws) > MAX_TOOLS:
        raise InvalidRequestError(f"tools: at most {MAX_TOOLS} are allowed with tool search")
    if runs:
        fields["tools"] = Raw(encode(raws))
    return runs


def extended(request: MessagesRequest, said: list[Json], results: list[Json]) -> MessagesRequest:
    """Returns the request for the next call of a turn, with the model's words and its results."""
    added = [
        Raw(encode({"role": role, "content": content}))
        for role, content in (("assistant", said), ("user", results))
    ]
    messages = Raw(encode([*decode_raws(request.fields["messages"]), *added]))
    views = [*request.view.messages, *map(decode_message, added)]
    view = msgspec.structs.replace(request.view, messages=views)
    return unforced(
        MessagesRequest({**request.fields, "messages": messages}, view, request.version)
    )


def unforced(request: MessagesRequest) -> MessagesRequest:
    """Returns the request without a forced tool: the call was made, and once is enough."""
    raw = request.fields.get("tool_choice")
    choice: Any = None if raw is None else decode(raw)
    if isinstance(choice, str):  # adapting knows these bare words of the predecessor's clients
        choice = {"type": choice}
    if not isinstance(choice, dict) or choice.get("type") not in _FORCING:
        return request
    auto = {key: value for key, value in choice.items() if key != "name"} | {"type": "auto"}
    fields = {**request.fields, "tool_choice": Raw(encode(auto))}
    return MessagesRequest(fields, request.view, request.version)
