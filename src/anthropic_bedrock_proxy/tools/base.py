"""The seam of server-side tools: what the turn loop has to know about each of them.

The model sees an ordinary custom tool and calls it; the client sees `server_tool_use` and a result
block instead, as Anthropic's own API shows them. A `ServerTool` says how the one becomes the other
in both directions. It is made once, by the composition, with whatever it needs (a clock, settings,
a sandbox), and holds nothing of a request: what a request brings is handed to `prepare`, which
returns what runs its calls.

A call is never run where it is found. The turn (turn/loop.py) asks for it, and turn/stream.py
awaits it, several at once, bounds its time and gives the outcome back. So counting tokens runs
nothing, silence is filled with pings, and cancelling ends a tool. A tool that computes pauses by
itself (tools/work.py).

    toolset = Toolset([tool_search(turnstile.wait, asyncio.Lock)])
    tool = toolset.claiming("tool_search_tool_regex")
    run = tool.prepare(RequestContext(key_id, request.fields))
    outcome = await run(ToolCall("srvtoolu_1", "tool_search_tool_regex", {"pattern": "mail"}))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec
from msgspec import Raw

Json = dict[str, Any]


class RequestContext(msgspec.Struct, frozen=True):
    """The client's request, as far as the calls in it may know it; `fields` are as they came."""

    key_id: str
    fields: Mapping[str, Raw]


class ToolCall(msgspec.Struct, frozen=True):
    """A call to be run; `input` is None if the model wrote no JSON.

    `results` are `tool_result` blocks for the calls that it was suspended with: it goes on then.
    """

    id: str
    name: str
    input: Any
    results: list[Json] = []


class Finished(msgspec.Struct, frozen=True):
    """The end of a call: `content` of its result block, be it an error."""

    content: Json


class Container(msgspec.Struct, frozen=True):
    """A place where code waits, as the client is told it; `expires_at` is RFC 3339."""

    id: str
    expires_at: str


class ClientCall(msgspec.Struct, frozen=True):
    """A call of one of the client's tools, made by code that a server-side tool runs."""

    id: str
    name: str
    input: Json


class Suspended(msgspec.Struct, frozen=True):
    """A call that waits in `container` for the client's answers to `calls`.

    `caller` is the type of the one who calls, e.g. `code_execution_20260120`.
    """

    container: Container
    caller: str
    calls: tuple[ClientCall, ...]


Outcome = Finished | Suspended
# What goes wrong in a call is a result too. Whatever it raises all the same is a fault of the
# tool's, as is a result that the tool itself cannot read: the client gets `unavailable`.
Run = Callable[[ToolCall], Awaitable[Outcome]]


class ServerTool(Protocol):
    """One kind of server-side tool."""

    @property
    def result_type(self) -> str:
        """The type of its result blocks, e.g. `tool_search_tool_result`."""
        ...

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a request that are for the tool, not for the model, e.g. `container`."""
        ...

    @property
    def timeout_seconds(self) -> float | None:
        """The time that a call may take, as the driver measures it; None: it ends by itself."""
        ...

    @property
    def timed_out(self) -> Json:
        """The `content` of the result of a call that took longer."""
        ...

    @property
    def unavailable(self) -> Json:
        """The `content` of the result of a call that failed by a fault of the tool's own."""
        ...

    def claims(self, kind: str) -> bool:
        """Tells whether a tool definition of this type is one of its."""
        ...

    def is_call(self, name: str) -> bool:
        """Tells whether a `server_tool_use` block of this name is a call of it."""
        ...

    def definition(self, tool: Json, path: str) -> Json:
        """Returns the custom tool that the model sees instead of `tool`, named as its calls are.

        Raises `InvalidRequestError` with the path.
        """
        ...

    def prepare(self, context: RequestContext) -> Run:
        """Returns what runs all calls of one request, several at once.

        It comes with the first call; what it raises is a fault of that call's.
        """
        ...

    def to_tool_result(self, content: Any) -> Json:
        """Turns `content` of a result block into a `tool_result`'s `content` and `is_error`.

        Raises any of `protocol.raw.MISSHAPEN` if it has not the form it should have: in a history
        the client's mistake, of a call that has just ended a fault of the tool's.
        """
        ...
