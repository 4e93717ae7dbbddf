"""A client's request with server-side tools -> the request that the model is sent, again and again.

Server-side tools become custom ones (turn/offered_tools.py), the conversation becomes the model's
(turn/history.py), and each further call of the turn appends to it. Deferred tools and references to
them are left to adapting (protocol/adapt/tools.py), which loads for the model what the results
refer to.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..errors import InvalidRequestError
from ..protocol.raw import MISSHAPEN, UNEXPECTED_FORM, Json, decode, decode_raws, encode
from ..protocol.request.messages import MessagesRequest, decode_message, decode_tools
from ..tools.base import ServerTool
from ..tools.calls import GivenBlock, RequestContext
from ..tools.toolset import Toolset
from .history import History
from .offered_tools import TurnTools, offer_tools, with_code
from .server_call import ServerCall
from .shown import BlockPath

_FORCING: Final = ("any", "tool")
_PATH: Final = re.compile(r"\bmessages\.(\d+)(?:\.content\.(\d+))?|\btools\.(\d+)")


class Paths(msgspec.Struct, frozen=True):
    """The way from places of the model's request back to those of the client's.

    For each message: where its blocks come from, or the client's message that it is. For each tool:
    the index of the client's.
    """

    messages: list[list[BlockPath] | int]
    tools: list[int]


class PreparedRequest(msgspec.Struct, frozen=True):
    """A client's request as it is for the model, but for the results of what is `pending`.

    `given` are the blocks that clients gave to tools. `made` gives the request that the model is
    sent.
    """

    pending: list[ServerCall]
    given: list[tuple[ServerTool, GivenBlock]]
    tools: TurnTools
    _original: MessagesRequest
    _fields: dict[str, Raw]
    _history: History

    def made(self) -> tuple[MessagesRequest, Paths]:
        """Makes the request, and tells for each of its messages where its blocks come from.

        What is still pending has an empty result. Raises `InvalidRequestError`.
        """
        try:
            return self._made()
        except MISSHAPEN as error:
            raise InvalidRequestError(UNEXPECTED_FORM) from error

    def _made(self) -> tuple[MessagesRequest, Paths]:
        view = self._original.view
        fields = self._fields
        raws, views = [], []
        paths: list[list[BlockPath] | int] = []
        for shown in self._history.shown:
            raw = shown.message if isinstance(shown.message, Raw) else Raw(encode(shown.message))
            raws.append(raw)
            views.append(shown.view or decode_message(raw))
            paths.append(shown.paths[0][0] if shown.view is not None else shown.paths)
        converted = self.tools.by_name or self.tools.for_code
        offered = decode_tools(fields["tools"]) if converted else view.tools
        made = MessagesRequest(
            {**fields, "messages": Raw(encode(raws))},
            msgspec.structs.replace(view, messages=views, tools=offered),
            self._original.version,
        )
        told = Paths(paths, self.tools.indexes)
        return (unforced(made) if self._history.continues else made), told


def prepare(request: MessagesRequest, toolset: Toolset, context: RequestContext) -> PreparedRequest:
    """Reads the request; runs nothing. Raises `InvalidRequestError` with the path."""
    try:
        completed = with_code(request, toolset)
        tools = offer_tools(completed, toolset, provides_code=completed is not request)
        fields = {name: raw for name, raw in request.fields.items() if name not in tools.fields}
        if tools.by_name or tools.for_code:
            fields["tools"] = Raw(encode(tools.raws))
        history = History(toolset, tools, context)
        raws = decode_raws(fields["messages"])
        for index, (raw, view) in enumerate(zip(raws, request.view.messages, strict=True)):
            history.add(index, raw, view)
        history.end()
    except MISSHAPEN as error:
        raise InvalidRequestError(UNEXPECTED_FORM) from error
    return PreparedRequest(history.pending, history.given, tools, request, fields, history)


def without_running(
    request: MessagesRequest, toolset: Toolset, key_id: str = ""
) -> MessagesRequest:
    """Returns the request that the model is sent, with empty results for what is pending.

    Raises `InvalidRequestError` with the path.
    """
    context = RequestContext(key_id, request.fields, document_bytes=toolset.document_bytes)
    return prepare(request, toolset, context).made()[0]


def in_clients_words(message: str, paths: Paths) -> str:
    """Returns an error's text with its paths as they are in the client's request."""

    def restore(found: re.Match[str]) -> str:
        index, position, tool = found.groups()
        if tool is not None:
            place = int(tool)
            return f"tools.{paths.tools[place]}" if place < len(paths.tools) else found[0]
        if int(index) >= len(paths.messages):
            return found[0]
        path = paths.messages[int(index)]
        if isinstance(path, int):
            return f"messages.{path}" + (f".content.{position}" if position else "")
        if position is None or int(position) >= len(path):
            return f"messages.{path[0][0]}"
        origin, block = path[int(position)]
        return f"messages.{origin}.content.{block}"

    return _PATH.sub(restore, message)


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
