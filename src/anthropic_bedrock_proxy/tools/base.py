"""The seam of server-side tools: what the turn loop has to know about each of them.

The model sees an ordinary custom tool and calls it; the client sees `server_tool_use` and a result
block instead, as Anthropic's own API shows them. A `ServerTool` says how the one becomes the other
in both directions; it holds nothing of a request. What a request brings is in what `prepare`
returns.

A call is never run where it is found: the turn loop and the history list what is to be run, and
`turn/driver.py` awaits it and gives the outcome back (`Turn.answer`, the one place where an outcome
becomes events and history). So counting tokens runs nothing, silence is filled with pings, and
cancelling ends a tool. A tool that computes pauses by itself (tools/work.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from msgspec import Raw

from .work import Pause

Json = dict[str, Any]
# (name of the call, its input as JSON or None if that is none) -> `content` of the result block.
# Never raises: what goes wrong is a result too.
Run = Callable[[str, Any], Awaitable[Json]]


class ServerTool(Protocol):
    """One kind of server-side tool."""

    @property
    def result_type(self) -> str:
        """The type of its result blocks, e.g. `tool_search_tool_result`."""
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

    def prepare(self, tools: Raw, pause: Pause) -> Run:
        """Returns what runs all calls of one request; `tools` are the definitions as they came.

        Work that takes long awaits `pause` again and again. Raises nothing: definitions are read
        when the first call comes.
        """
        ...

    def to_tool_result(self, content: Any) -> Json:
        """Turns `content` of a result block into a `tool_result`'s `content` and `is_error`.

        Raises any of `protocol.raw.MISSHAPEN` if it has not the form it should have.
        """
        ...
