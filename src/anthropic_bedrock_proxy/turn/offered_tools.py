"""A request's tool definitions as the model sees them: custom tools in place of server-side ones.

Three kinds of callers make the difference: the model sees what it may call; what only code may call
stands in the description of code execution alone. Where tools are for code and the client has sent
no code execution (`web_search_20260209` alone), it is put behind the others; where no code can be
run, they are the model's after all, and a warning says so.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from ..errors import InvalidRequestError
from ..protocol.raw import Json, decode, decode_raws, encode
from ..protocol.request.messages import MessagesRequest, decode_tools
from ..protocol.request.views import ToolView
from ..tools.base import ServerTool
from ..tools.calls import CodeFunction, RequestTools
from ..tools.toolset import PROVIDED_CODE, Toolset
from ..tools.web.versions import is_for_code

MAX_TOOLS: Final = 10_000  # of a request with server-side tools, as Anthropic's own tool search
_PROVIDED: Final[Json] = dict(zip(("type", "name"), PROVIDED_CODE, strict=True))


class TurnTools(msgspec.Struct):
    """The definitions as the model sees them: its server-side tools `by_name` of their calls.

    `given` are the client's; `indexes` tells of each that the model sees which of them it was.
    `for_code` are the tools that code may call, by their names. With `marks_direct` the client is
    told who calls its tools.
    """

    given: RequestTools
    raws: list[Raw] = []
    indexes: list[int] = []
    by_name: dict[str, ServerTool] = {}
    for_code: dict[str, ServerTool] = {}
    fields: set[str] = set()  # of the request, that are for tools
    marks_direct: bool = False
    warnings: list[str] = []


def with_code(request: MessagesRequest, toolset: Toolset) -> MessagesRequest:
    """Returns the request with a definition of code execution, if it has tools that need one.

    Not where the client wants calls to be such as code does not make: forced, or one at a time.
    """
    views = request.view.tools or []
    runner = toolset.claiming(_PROVIDED["type"])
    if runner is None or not runner.runs_code(_PROVIDED) or _directs_calls(request):
        return request
    if not any(map(is_for_code, views)):
        return request
    if any(toolset.claiming(view.type or "") is runner for view in views):
        return request
    raws = Raw(encode([*decode_raws(request.fields["tools"]), _PROVIDED]))
    view = msgspec.structs.replace(request.view, tools=decode_tools(raws))
    return MessagesRequest({**request.fields, "tools": raws}, view, request.version)


def _directs_calls(request: MessagesRequest) -> bool:
    raw = request.fields.get("tool_choice")
    choice: Any = None if raw is None else decode(raw)
    if not isinstance(choice, dict):
        return False
    return choice.get("type") == "tool" or bool(choice.get("disable_parallel_tool_use"))


def offer_tools(request: MessagesRequest, toolset: Toolset, *, provides_code: bool) -> TurnTools:
    """Puts custom tools in the place of server-side ones; takes out what the model is not shown.

    `provides_code`: the last definition was put there by `with_code`. Raises `InvalidRequestError`
    with the path.
    """
    views = request.view.tools or []
    claimed = {
        index: tool
        for index, view in enumerate(views)
        if (tool := toolset.claiming(view.type or "")) is not None
    }
    if not claimed:
        return TurnTools(RequestTools(views, ()), indexes=list(range(len(views))))
    raws = decode_raws(request.fields["tools"])
    trees = {index: decode(raws[index]) for index in claimed}
    functions, warnings = _functions(claimed, trees)
    given = RequestTools(views, raws, functions, provides_code)
    offered = TurnTools(given, warnings=warnings)
    offered.for_code = {views[index].name: claimed[index] for index in functions}
    seen: dict[int, list[Json]] = {}
    hidden: set[int] = set()
    names: set[str] = set()
    for index, tool in claimed.items():
        if views[index].name in names:  # the domains and bounds of one would hold for nothing
            raise InvalidRequestError(f"tools.{index}.name: Tool names must be unique.")
        names.add(views[index].name)
        made = tool.offer(trees[index], f"tools.{index}", given)
        function = functions.get(index)
        seen[index] = made.seen if function is None or function.direct else []
        hidden |= made.hidden - claimed.keys()
        offered.marks_direct |= made.marks_direct
        offered.by_name |= {each["name"]: tool for each in seen[index]}
        offered.fields |= {*tool.fields}
    for index, raw in enumerate(raws):
        if index not in claimed:
            _check_name(views[index], index, offered)
        own = seen.get(index)
        shown = [Raw(encode(each)) for each in own] if own is not None else [raw]
        if index not in hidden:
            offered.raws += shown
            offered.indexes += [index] * len(shown)
    if len(offered.raws) > MAX_TOOLS:
        raise InvalidRequestError(f"tools: at most {MAX_TOOLS} are allowed with server-side tools")
    return offered


def _functions(
    claimed: dict[int, ServerTool], trees: dict[int, Json]
) -> tuple[dict[int, CodeFunction], list[str]]:
    """Returns the functions of server-side tools, by index, and warnings for those nobody calls."""
    functions: dict[int, CodeFunction] = {}
    warnings: list[str] = []
    runs_code = any(tool.runs_code(trees[index]) for index, tool in claimed.items())
    for index, tool in claimed.items():
        function = tool.function(trees[index], f"tools.{index}")
        if function is None:
            continue
        if runs_code:
            functions[index] = function
        elif not function.direct:
            warnings.append(
                f"tools.{index}: code cannot be run for this request, so the model calls "
                f"{function.definition['name']} itself"
            )
    return functions, warnings


def _check_name(view: ToolView, index: int, offered: TurnTools) -> None:
    if view.name in offered.by_name or view.name in offered.for_code:
        raise InvalidRequestError(
            f"tools.{index}.name: {view.name} is the name of a server-side tool of this request; "
            "choose another one"
        )
