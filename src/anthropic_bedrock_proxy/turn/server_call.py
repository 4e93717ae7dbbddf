"""A call of a server-side tool: in the client's blocks, and in those that the model is shown."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ..protocol.raw import Json
from ..tools.base import ServerTool
from ..tools.calls import Container, Outcome, RequestContext, Suspended, ToolCall
from .suspended import client_blocks

CALL: Final = "server_tool_use"
TOOL_USE: Final = "tool_use"
SERVER_ID: Final = "srvtoolu_"  # the ids of the client begin with it


def upstream_id(identifier: str) -> str:
    """Returns the id of a server-side call as the model is shown it: always the same one."""
    return "toolu_" + identifier.removeprefix(SERVER_ID)


def tool_result(tool: ServerTool, block: Json, context: RequestContext) -> Json:
    """Returns a result block as the model is shown it. Raises as the tool does."""
    result = without_content(block["tool_use_id"])
    if "cache_control" in block:
        result["cache_control"] = block["cache_control"]
    return result | tool.to_tool_result(block["content"], context)


def without_content(identifier: str) -> Json:
    """Returns the `tool_result` of a server-side call that has no outcome yet."""
    return {"type": "tool_result", "tool_use_id": upstream_id(identifier)}


class ServerCall(msgspec.Struct):
    """A call from where it was found to its outcome; then `told` are the client's blocks for it.

    `shown` is the model's `tool_result`, which stands in its history already and has no content
    before the call is finished. `results` of the client's tools resume a call that was suspended.
    """

    tool: ServerTool
    id: str
    name: str
    input: Any
    shown: Json
    results: list[Json] = []
    told: list[Json] | None = None
    content: Any = None  # of its result, once it is finished
    suspended: Suspended | None = None
    container: Container | None = None  # in which it ran, or waits

    @property
    def asked(self) -> ToolCall:
        """The call as its tool runs it."""
        return ToolCall(self.id, self.name, self.input, self.results)

    def take(self, outcome: Outcome, context: RequestContext) -> None:
        """Takes an outcome, whose content the tool can read."""
        self.container = outcome.container
        if isinstance(outcome, Suspended):
            self.suspended = outcome
            self.told = [*outcome.nested, *client_blocks(self.id, outcome)]
            return
        block = {
            "type": self.tool.result_type(self.name),
            "tool_use_id": self.id,
            "content": outcome.content,
        }
        self.told = [*outcome.nested, block]
        self.content = outcome.content
        self.shown |= tool_result(self.tool, block, context)
