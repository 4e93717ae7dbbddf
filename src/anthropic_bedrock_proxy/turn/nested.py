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

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol
from weakref import ref

from ..protocol.raw import Json
from ..tools.base import PreparedTool, ServerTool
from ..tools.calls import Finished, NestedCall, NestedResult, Outcome, RequestContext, ToolCall
from .actions import RunCall
from .server_call import CALL

# Of one turn. A page may talk the model into code that calls on and on, and each call is told to
# the client and kept until the code ends.
MAX_NESTED: Final = 1000
_TOO_MANY: Final = "Error: too many calls were made by code in this answer; print what there is."
# Runs calls side by side; returns their outcomes in the same order.
RunCalls = Callable[[Sequence[RunCall]], Awaitable[list[Outcome]]]


async def run_one_by_one(asked: Sequence[RunCall]) -> list[Outcome]:
    """Awaits calls one after the other, without a bound on their time."""
    return [await one.run(one.call) for one in asked]


class NestingTurn(Protocol):
    """The turn that nested calls are of."""

    @property
    def context(self) -> RequestContext:
        """Returns what its tools know of the request."""
        ...

    def for_code(self, name: str) -> tuple[ServerTool, PreparedTool]:
        """Returns the tool that code may call by this name, as it is prepared for the request."""
        ...

    def count(self, tool: ServerTool, *, counts: bool) -> None:
        """Notes that a call of a tool has ended."""
        ...


class NestedCalls:
    """The nested calls of one turn (a `RunNested`)."""

    def __init__(self, turn: NestingTurn, run: RunCalls) -> None:
        """The turn is held weakly: it holds what holds this (docs/decisions/0020)."""
        self._turn = ref(turn)
        self._run = run
        self._left = MAX_NESTED

    async def __call__(self, calls: Sequence[NestedCall]) -> list[NestedResult]:
        """Runs calls; what goes wrong in one is a result too. Raises LookupError without a turn."""
        turn = self._turn()
        if turn is None:
            raise LookupError
        calls, refused = calls[: self._left], calls[self._left :]
        self._left -= len(calls)
        tools = [turn.for_code(call.name) for call in calls]
        asked = [
            RunCall(ToolCall(call.id, call.name, call.input), tool, prepared.run, turn.context)
            for call, (tool, prepared) in zip(calls, tools, strict=True)
        ]
        results = []
        for call, (tool, prepared), outcome in zip(
            calls, tools, await self._run(asked), strict=True
        ):
            ended = outcome
            if not isinstance(ended, Finished):  # its code would wait for two
                ended = Finished(tool.unavailable(call.name), counts=False)
            turn.count(tool, counts=ended.counts)
            turn.context.results.append((call.name, ended.content))
            given = tool.to_code(ended.content, turn.context)
            blocks = _blocks(call, tool, ended)
            results.append(NestedResult(given, blocks, prepared.excludes_nested))
        return results + [NestedResult(_TOO_MANY, []) for _ in refused]


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
