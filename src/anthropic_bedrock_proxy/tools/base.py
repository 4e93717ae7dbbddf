"""The seam of server-side tools: what the turn loop has to know about each of them.

The model sees an ordinary custom tool and calls it; the client sees `server_tool_use` and a result
block instead, as Anthropic's own API shows them. A `ServerTool` says how the one becomes the other
in both directions. It is made once, by the composition, with whatever it needs (a clock, settings,
a sandbox), and holds nothing of a request: what a request brings is handed to `prepare`, which
returns a `PreparedTool` that runs its calls.

A call is never run where it is found. The turn (turn/loop.py) asks for it, and turn/stream.py
awaits it, several at once, bounds its time and gives the outcome back. So counting tokens runs
nothing, silence is filled with pings, and cancelling ends a tool. A tool that computes pauses by
itself (tools/work.py).

    toolset = Toolset([tool_search(turnstile.wait, asyncio.Lock)])
    tool = toolset.claiming("tool_search_tool_regex")
    prepared = tool.prepare(RequestContext(key_id, request.fields), [])
    await prepared.check()
    call = ToolCall("srvtoolu_1", "tool_search_tool_regex", {"pattern": "mail"})
    outcome = await prepared.run(call)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from ..protocol.request.views import ToolView

Json = dict[str, Any]


class GivenBlock(msgspec.Struct, frozen=True):
    """A block of a user message that is for a tool; `path` is its place in the client's request.

    `shown` is what the model sees in its place, which the tool's `check` may complete.
    """

    block: Json
    path: str
    shown: Json


class RequestContext(msgspec.Struct, frozen=True):
    """The client's request, as far as the calls in it may know it; `fields` are as they came.

    `blocks` are those that clients gave to the tool itself, in their order.
    """

    key_id: str
    fields: Mapping[str, Raw]
    blocks: Sequence[GivenBlock] = ()


class ToolCall(msgspec.Struct, frozen=True):
    """A call to be run; `input` is None if the model wrote no JSON.

    `results` are `tool_result` blocks for the calls that it was suspended with: it goes on then.
    """

    id: str
    name: str
    input: Any
    results: list[Json] = []


class Container(msgspec.Struct, frozen=True):
    """A place where code waits, as the client is told it; `expires_at` is RFC 3339."""

    id: str
    expires_at: str


class Finished(msgspec.Struct, frozen=True):
    """The end of a call: `content` of its result block, be it an error.

    `container` is where it ran, if that can be used again.
    """

    content: Json
    container: Container | None = None


class ClientCall(msgspec.Struct, frozen=True):
    """A call of one of the client's tools, made by code that a server-side tool runs."""

    id: str
    name: str
    input: Json


class Suspended(msgspec.Struct, frozen=True):
    """A call that waits in `container` for the client's answers to `calls`.

    `caller` is the type of the one who calls, e.g. `code_execution_20260120`. A call without
    `calls` waits for another one of the same answer, which has some.
    """

    container: Container
    caller: str
    calls: tuple[ClientCall, ...]


Outcome = Finished | Suspended
# Gets a block of a user message, and its path; returns what the model sees in its place, as far as
# that is known when nothing may be run. Raises `InvalidRequestError` with the path.
ShowBlock = Callable[[Json, str], Json]
# What goes wrong in a call is a result too. Whatever it raises all the same is a fault of the
# tool's, as is a result that the tool itself cannot read: the client gets `unavailable`.
Run = Callable[[ToolCall], Awaitable[Outcome]]


async def _accept() -> None:
    """Has nothing against any request."""


def _no_prefix() -> str:
    return ""


class PreparedTool(msgspec.Struct, frozen=True):
    """A tool for the calls of one request.

    `check` is awaited once before anything of the turn is run. It raises `ProxyError` for a request
    that cannot be served, which is then refused with an HTTP status. `call_prefix` gives, from then
    on, the beginning of the ids of the model's calls: at most 40 hexadecimal digits.
    """

    run: Run
    check: Callable[[], Awaitable[None]] = _accept
    call_prefix: Callable[[], str] = _no_prefix


class RequestTools(msgspec.Struct, frozen=True):
    """The tool definitions of a request, as they came; `views` are what has been read of them."""

    views: Sequence[ToolView]
    raws: Sequence[Raw]


class ToolOffer(msgspec.Struct, frozen=True):
    """The tools that the model sees for the definition of a server-side one.

    `seen` are custom tools, each named as its calls are. `hidden` are the indexes of the request's
    tools that it does not see. With `marks_direct` the client's tools have two kinds of callers, so
    the client is told of each call by the model that it is a direct one.
    """

    seen: list[Json]
    hidden: frozenset[int] = frozenset()
    marks_direct: bool = False


class ServerTool(Protocol):
    """One kind of server-side tool."""

    @property
    def result_types(self) -> frozenset[str]:
        """The types of its result blocks, e.g. `tool_search_tool_result`."""
        ...

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a request that are for the tool, not for the model, e.g. `container`."""
        ...

    @property
    def user_blocks(self) -> Mapping[str, ShowBlock]:
        """The types of blocks of user messages that are for it, e.g. `container_upload`."""
        ...

    @property
    def usage_field(self) -> str | None:
        """The member of `usage.server_tool_use` that counts its calls, if clients know one."""
        ...

    @property
    def timeout_seconds(self) -> float | None:
        """The time that a call may take, as the driver measures it; None: it ends by itself."""
        ...

    def claims(self, kind: str) -> bool:
        """Tells whether a tool definition of this type is one of its."""
        ...

    def is_call(self, name: str) -> bool:
        """Tells whether a `server_tool_use` block of this name is a call of it."""
        ...

    def result_type(self, name: str) -> str:
        """Returns the type of the result block of a call of this name."""
        ...

    def timed_out(self, name: str) -> Json:
        """Returns the `content` of the result of a call that took longer."""
        ...

    def unavailable(self, name: str) -> Json:
        """Returns the `content` of the result of a call that failed by the tool's own fault."""
        ...

    def offer(self, tool: Json, path: str, tools: RequestTools) -> ToolOffer:
        """Returns what the model sees instead of `tool`, which is one of `tools`.

        Raises `InvalidRequestError` with the path.
        """
        ...

    def prepare(self, context: RequestContext, pending: Sequence[ToolCall]) -> PreparedTool:
        """Prepares the tool for one request; `pending` are the calls that its history left open.

        Raises `ProxyError` for a request that cannot be served; anything else that it raises is a
        fault of each of its calls.
        """
        ...

    def to_tool_result(self, content: Any) -> Json:
        """Turns `content` of a result block into a `tool_result`'s `content` and `is_error`.

        Raises any of `protocol.raw.MISSHAPEN` if it has not the form it should have: in a history
        the client's mistake, of a call that has just ended a fault of the tool's.
        """
        ...
