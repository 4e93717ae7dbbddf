"""The tools of one request, each prepared for its calls when it is first needed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from ..errors import ProxyError
from ..tools.base import PreparedTool, ServerTool
from ..tools.calls import Outcome, RequestContext, ToolCall
from .request import PreparedRequest


class PreparedTools:
    """The server-side tools of one request, as they are prepared for it."""

    def __init__(self, request: PreparedRequest, context: RequestContext) -> None:
        """`context` is what they know of the request, but for the blocks that are for each."""
        self._request = request
        self._context = context
        self._made: dict[int, PreparedTool] = {}  # by identity of their tool

    def of(self, tool: ServerTool) -> PreparedTool:
        """Returns a tool as it is prepared for the request, for all its calls the same.

        Raises `ProxyError` for a request that the tool cannot serve.
        """
        prepared = self._made.get(id(tool))
        if prepared is None:
            pending = [call.asked for call in self._request.pending if call.tool is tool]
            given = [block for owner, block in self._request.given if owner is tool]
            context = msgspec.structs.replace(self._context, blocks=given)
            prepared = self._made[id(tool)] = _prepared(tool, context, pending)
        return prepared

    def checks(self) -> list[Callable[[], Awaitable[None]]]:
        """Returns what each tool has against the request. Raises as `of`."""
        offered = self._request.tools
        tools = [*offered.by_name.values(), *offered.for_code.values()]
        tools += [call.tool for call in self._request.pending]
        distinct = {id(tool): tool for tool in tools}
        return [self.of(tool).check for tool in distinct.values()]


def _prepared(
    tool: ServerTool, context: RequestContext, pending: Sequence[ToolCall]
) -> PreparedTool:
    """Prepares a tool; a fault in that is one of each of its calls. Raises `ProxyError`."""
    try:
        return tool.prepare(context, pending)
    except ProxyError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, it is not the client's doing
        fault = type(error)

        async def fail(_: ToolCall) -> Outcome:
            raise fault

        return PreparedTool(fail)
