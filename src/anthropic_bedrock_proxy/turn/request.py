"""A client's request with server-side tools -> the request that the model is sent, again and again.

Server-side tools become custom ones, the conversation becomes the model's (turn/history.py), and
each further call of the turn appends to it. Deferred tools and references to them are left to
adapting (protocol/adapt/tools.py), which loads for the model what the results refer to.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..errors import InvalidRequestError
from ..protocol.raw import MISSHAPEN, UNEXPECTED_FORM, decode, decode_raws, encode
from ..protocol.request.messages import MessagesRequest, decode_message, decode_tools
from ..tools.base import Json, ServerTool
from ..tools.toolset import Toolset
from .history import History
from .server_call import ServerCall
from .shown import BlockPath

MAX_TOOLS: Final = 10_000  # of a request with server-side tools, as Anthropic's own tool search
_FORCING: Final = ("any", "tool")
_PATH: Final = re.compile(r"\bmessages\.(\d+)(?:\.content\.(\d+))?")


# For each message of the model's: where its blocks come from, or the client's message that it is.
Paths = list[list[BlockPath] | int]


class Prepared(msgspec.Struct, frozen=True):
    """A client's request as it is for the model, but for the results of what is `pending`.

    `tools` are its server-side tools by name of call; `made` gives the request that the model is
    sent.
    """

    pending: list[ServerCall]
    tools: dict[str, ServerTool]
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
        paths: Paths = []
        for shown in self._history.shown:
            raw = shown.message if isinstance(shown.message, Raw) else Raw(encode(shown.message))
            raws.append(raw)
            views.append(shown.view or decode_message(raw))
            paths.append(shown.paths[0][0] if shown.view is not None else shown.paths)
        offered = decode_tools(fields["tools"]) if self.tools else view.tools
        made = MessagesRequest(
            {**fields, "messages": Raw(encode(raws))},
            msgspec.structs.replace(view, messages=views, tools=offered),
            self._original.version,
        )
        return (unforced(made) if self._history.continues else made), paths


def prepare(request: MessagesRequest, toolset: Toolset) -> Prepared:
    """Reads the request; runs nothing. Raises `InvalidRequestError` with the path."""
    try:
        fields = dict(request.fields)
        tools = _convert_tools(request, toolset, fields)
        history = History(toolset, tools)
        raws = decode_raws(fields["messages"])
        for index, (raw, view) in enumerate(zip(raws, request.view.messages, strict=True)):
            history.add(index, raw, view)
        history.end()
    except MISSHAPEN as error:
        raise InvalidRequestError(UNEXPECTED_FORM) from error
    return Prepared(history.pending, tools, request, fields, history)


def without_running(request: MessagesRequest, toolset: Toolset) -> MessagesRequest:
    """Returns the request that the model is sent, with empty results for what is pending.

    Raises `InvalidRequestError` with the path.
    """
    return prepare(request, toolset).made()[0]


def in_clients_words(message: str, paths: Paths) -> str:
    """Returns an error's text with its paths as they are in the client's request."""

    def restore(match: re.Match[str]) -> str:
        index, position = int(match[1]), match[2]
        path = paths[index] if index < len(paths) else index
        if isinstance(path, int):
            return f"messages.{path}" + (f".content.{position}" if position else "")
        if position is None or int(position) >= len(path):
            return f"messages.{path[0][0]}"
        index, block = path[int(position)]
        return f"messages.{index}.content.{block}"

    return _PATH.sub(restore, message)


def _convert_tools(
    request: MessagesRequest, toolset: Toolset, fields: dict[str, Raw]
) -> dict[str, ServerTool]:
    """Puts custom tools in the place of server-side ones; returns these by name of call."""
    tools: dict[str, ServerTool] = {}
    raws: list[Raw] = []
    for index, view in enumerate(request.view.tools or ()):
        tool = toolset.claiming(view.type or "")
        if tool is None:
            continue
        raws = raws or decode_raws(request.fields["tools"])
        seen = tool.definition(decode(raws[index]), f"tools.{index}")
        raws[index] = Raw(encode(seen))
        tools[seen["name"]] = tool
        for name in tool.fields:
            fields.pop(name, None)
    if len(raws) > MAX_TOOLS:
        raise InvalidRequestError(f"tools: at most {MAX_TOOLS} are allowed with server-side tools")
    if tools:
        fields["tools"] = Raw(encode(raws))
    return tools


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
