"""The seam of server-side tools: what the turn loop has to know about each of them.

The model sees an ordinary custom tool and calls it; the client sees `server_tool_use` and a result
block instead, as Anthropic's own API shows them. A `ServerTool` says how the one becomes the other
in both directions. It is made once, by the composition, with whatever it needs (a clock, settings,
a sandbox), and holds nothing of a request: what a request brings is handed to `prepare`, which
returns a `PreparedTool` that runs its calls.

A call is never run where it is found. The turn (turn/loop.py) asks for it, and turn/run_call.py
awaits it, several at once, bounds its time and gives the outcome back. So counting tokens runs
nothing, silence is filled with pings, and cancelling ends a tool. A tool that computes pauses by
itself (tools/work.py).

    toolset = Toolset([tool_search(turnstile.wait, asyncio.Lock)])
    await toolset.ready()
    tool = toolset.claiming("tool_search_tool_regex")
    prepared = tool.prepare(RequestContext(key_id, request.fields), [])
    await prepared.check()
    call = ToolCall("srvtoolu_1", "tool_search_tool_regex", {"pattern": "mail"})
    outcome = await prepared.run(call)

Code that one tool runs may call others (`function`): the turn runs such a call like any other,
tells it to the client as one whose `caller` is the code, and gives what `to_code` makes of its
result to the code, not to the model.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec

from ..protocol.raw import Json
from .calls import CodeFunction, Outcome, RequestContext, RequestTools, ToolCall

# Makes a lock for what runs at the same time in one request.
NewLock = Callable[[], AbstractAsyncContextManager[Any]]
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


def _goes_on(_: Sequence[Any]) -> None:
    """Leaves it to the model to answer."""


class PreparedTool(msgspec.Struct, frozen=True):
    """A tool for the calls of one request.

    `check` is awaited once before anything of the turn is run. It raises `ProxyError` for a request
    that cannot be served, which is then refused with an HTTP status. `call_prefix` gives, from then
    on, the beginning of the ids of the model's calls: at most 40 hexadecimal digits.

    `conclusion` gets the contents of the results of a model call whose calls were all of this tool,
    and returns blocks that end the answer in place of a further model call, if there are any.
    `excludes_nested`: the client gets no blocks of calls by code that ends in the same turn.
    """

    run: Run
    check: Callable[[], Awaitable[None]] = _accept
    call_prefix: Callable[[], str] = _no_prefix
    conclusion: Callable[[Sequence[Any]], list[Json] | None] = _goes_on
    excludes_nested: bool = False


class UnreadableResultError(Exception):
    """A result, or a citation, in a history that the tool did not make, or cannot read any more.

    `place` is where in the content it stands, e.g. `0.encrypted_content`; `reason` ends a sentence
    that the client reads.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(reason)
        self.place = place
        self.reason = reason


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
    """One kind of server-side tool; to be inherited from, for what most of them do not do."""

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
    def cites(self) -> bool:
        """Tells whether it shows the model passages to cite."""
        return False

    @property
    def timeout_seconds(self) -> float | None:
        """The time that a call may take, as the driver measures it; None: it ends by itself."""
        ...

    async def ready(self) -> None:
        """Makes sure that histories can be read. Raises `ProxyError` if they cannot now."""
        return

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

    def runs_code(self, tool: Json) -> bool:  # noqa: ARG002  # for those that do
        """Tells whether it runs code, for this definition, that may call other tools."""
        return False

    def function(self, tool: Json, path: str) -> CodeFunction | None:  # noqa: ARG002  # as above
        """Returns the function that code may call for the definition `tool`, if it may.

        Raises `InvalidRequestError` with the path.
        """
        return None

    def to_tool_result(self, content: Any, context: RequestContext) -> Json:
        """Turns `content` of a result block into a `tool_result`'s `content` and `is_error`.

        Raises any of `protocol.raw.MISSHAPEN` if it has not the form it should have: in a history
        the client's mistake, of a call that has just ended a fault of the tool's. Raises
        `UnreadableResultError` for one that has the form, and cannot be used.
        """
        ...

    def to_code(self, content: Any, context: RequestContext) -> str:  # noqa: ARG002
        """Returns `content` of a result block as code that called its function gets it."""
        raise LookupError  # code was given no function of it

    def index_of(self, citation: Json, context: RequestContext) -> str | None:  # noqa: ARG002
        """Returns the index of the passage that a citation of a history is of, if it is the tool's.

        Raises as `to_tool_result`.
        """
        return None
