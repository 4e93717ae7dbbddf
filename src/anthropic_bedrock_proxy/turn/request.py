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
from ..protocol.messages import MessagesRequest, decode_message, decode_tools
from ..protocol.raw import MISSHAPEN, UNEXPECTED_FORM, decode, decode_raws, encode
from ..tools.base import Json, Run, ServerTool
from ..tools.tool_search import TOOL_SEARCH
from .history import History, Place

TOOLS: Final[tuple[ServerTool, ...]] = (TOOL_SEARCH,)
_FORCING: Final = ("any", "tool")
_PATH: Final = re.compile(r"\bmessages\.(\d+)(?:\.content\.(\d+))?")


class Prepared(msgspec.Struct, frozen=True):
    """What a turn begins with.

    `runs` by name of call; `owed` are result blocks that the client has yet to be told; `places`
    say for each message of `request` where its blocks come from.
    """

    request: MessagesRequest
    runs: dict[str, tuple[ServerTool, Run]]
    owed: list[Json]
    places: list[list[Place] | int]

    def in_clients_words(self, message: str) -> str:
        """An error's text with its paths as they are in the client's request."""
        return _PATH.sub(self._restore, message)

    def _restore(self, match: re.Match[str]) -> str:
        index, position = int(match[1]), match[2]
        place = self.places[index] if index < len(self.places) else index
        if isinstance(place, int):
            return f"messages.{place}" + (f".content.{position}" if position else "")
        if position is None or int(position) >= len(place):
            return f"messages.{place[0][0]}"
        index, block = place[int(position)]
        return f"messages.{index}.content.{block}"


def prepare(request: MessagesRequest, tools: Sequence[ServerTool] = TOOLS) -> Prepared:
    """Raises `InvalidRequestError` with the path of what is wrong."""
    try:
        return _prepare(request, tools)
    except MISSHAPEN as error:
        raise InvalidRequestError(UNEXPECTED_FORM) from error


def _prepare(request: MessagesRequest, tools: Sequence[ServerTool]) -> Prepared:
    fields = dict(request.fields)
    runs = _convert_tools(request, tools, fields)
    offered = decode_tools(fields["tools"]) if runs else request.view.tools
    history = History(tools, {name: run for name, (_, run) in runs.items()})
    raws = decode_raws(fields["messages"])
    for index, (raw, view) in enumerate(zip(raws, request.view.messages, strict=True)):
        history.add(index, raw, view)
    history.end()
    raws, views, places = [], [], []
    for shown in history.shown:
        raw = shown.message if isinstance(shown.message, Raw) else Raw(encode(shown.message))
        raws.append(raw)
        views.append(shown.view or decode_message(raw))
        places.append(shown.places[0][0] if shown.view is not None else shown.places)
    fields["messages"] = Raw(encode(raws))
    made = MessagesRequest(
        fields,
        msgspec.structs.replace(request.view, messages=views, tools=offered),
        request.version,
    )
    return Prepared(unforced(made) if history.continues else made, runs, history.owed, places)


def _convert_tools(
    request: MessagesRequest, tools: Sequence[ServerTool], fields: dict[str, Raw]
) -> dict[str, tuple[ServerTool, Run]]:
    """Puts custom tools in the place of server-side ones."""
    runs: dict[str, tuple[ServerTool, Run]] = {}
    raws: list[Raw] = []
    for index, view in enumerate(request.view.tools or ()):
        tool = next((tool for tool in tools if tool.claims(view.type or "")), None)
        if tool is None:
            continue
        raws = raws or decode_raws(request.fields["tools"])
        seen = tool.definition(decode(raws[index]), f"tools.{index}")
        raws[index] = Raw(encode(seen))
        runs[seen["name"]] = tool, tool.prepare(request.fields["tools"])
    if runs:
        fields["tools"] = Raw(encode(raws))
    return runs


def extended(request: MessagesRequest, said: list[Json], results: list[Json]) -> MessagesRequest:
    """The request for the next call of a turn: what the model said, and what its calls brought."""
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
    """The request without a forced tool: the forced call has been made, and once is enough."""
    raw = request.fields.get("tool_choice")
    choice: Any = None if raw is None else decode(raw)
    if isinstance(choice, str):  # adapting knows these bare words of the predecessor's clients
        choice = {"type": choice}
    if not isinstance(choice, dict) or choice.get("type") not in _FORCING:
        return request
    auto = {key: value for key, value in choice.items() if key != "name"} | {"type": "auto"}
    fields = {**request.fields, "tool_choice": Raw(encode(auto))}
    return MessagesRequest(fields, request.view, request.version)
