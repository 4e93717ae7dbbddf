"""Nested calls: server-side tools that are called by code which another server-side tool runs.

The turn runs them as any call, each with its own time and its own place in the timeline; only where
results go is different. The code gets a string, the client gets both blocks with the code as their
caller, and the model sees neither, now or in a later turn: it sees what the code prints.

    server_tool_use         srvtoolu_A  code_execution
    server_tool_use         srvtoolu_B  web_search          caller: code_execution_20260120, A
    web_search_tool_result  srvtoolu_B                      caller: the same
    code_execution_tool_result  srvtoolu_A
Source: Anthropic API, "Programmatic tool calling", "Web search tool".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol
from weakref import ref

from ..tools.base import (
    Finished,
    Json,
    NestedCall,
    NestedResult,
    Outcome,
    PreparedTool,
    RequestContext,
    ServerTool,
    ToolCall,
)
from .actions import RunCall
from .server_call import CALL

RunOne = Callable[[RunCall], Awaitable[Outcome]]


class NestingTurn(Protocol):
    """The turn that nested calls are of."""

    @property
    def context(self) -> RequestContext:
        """What its tools know of the request."""
        ...

    def for_code(self, name: str) -> tuple[ServerTool, PreparedTool]:
        """Returns the tool that code may call by this name, as it is prepared for the request."""
        ...

    def count(self, tool: ServerTool, *, counts: bool) -> None:
        """Notes that a call of a tool has ended."""
        ...


class NestedCalls:
    """What runs the nested calls of one turn (a `RunNested`)."""

    def __init__(self, turn: NestingTurn, run: RunOne) -> None:
        """The turn is held weakly: it holds what holds this (docs/decisions/0020)."""
        self._turn = ref(turn)
        self._run = run

    async def __call__(self, call: NestedCall) -> NestedResult:
        """Runs a call; what goes wrong in it is a result too. Raises LookupError without a turn."""
        turn = self._turn()
        if turn is None:
            raise LookupError
        context = turn.context
        tool, prepared = turn.for_code(call.name)
        asked = ToolCall(call.id, call.name, call.input)
        outcome = await self._run(RunCall(asked, tool, prepared.run, context))
        if not isinstance(outcome, Finished):  # its code would wait for two
            outcome = Finished(tool.unavailable(call.name), counts=False)
        turn.count(tool, counts=outcome.counts)
        told = [] if prepared.hides_nested else _blocks(call, tool, outcome)
        return NestedResult(tool.to_code(outcome.content, context), told)


def _blocks(call: NestedCall, tool: ServerTool, outcome: Finished) -> list[Json]:
    caller = {"caller": call.caller}
    return [
        {"type": CALL, "id": call.id, "name": call.name, "input": call.input} | caller,
        {
            "type": tool.result_type(call.name),
            "tool_use_id": call.id,
            "content": outcome.content,
        }
        | caller,
    ]


def is_nested(block: Json) -> bool:
    """Tells whether a call or a result of a history is a nested one. Raises any of MISSHAPEN."""
    caller = block.get("caller")
    return caller is not None and caller.get("tool_id") is not None
