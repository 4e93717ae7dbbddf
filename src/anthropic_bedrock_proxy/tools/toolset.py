"""The server-side tools of this installation, and the question which of them a request needs.

Most requests need none, so a tool is known by its `ToolKind` until one does: only then it is
imported and made. A kind that some models have natively is passed on to those, so a turn gets the
others alone:

    Toolset([tool_search, probe]).needed(a request with both, a model with tool search, rules)
    -> the toolset of [probe], which finds nothing in a block of tool search
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..models.betas import BetaRules, flag_for
from ..models.table import Capabilities
from ..protocol.request.messages import MessagesRequest

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from .base import ServerTool
    from .work import Pause


class ToolKind(msgspec.Struct, frozen=True):
    """A server-side tool before it is made."""

    prefix: str  # of the types of its definitions
    trace: bytes  # in the JSON of every history that has blocks of it
    make: Callable[[], ServerTool]
    # (feature, field): a model with the feature that takes the flag of the field runs it itself.
    native: tuple[str, str] | None = None


class Toolset:
    """The server-side tools that the proxy can run, or those of them that a request needs."""

    def __init__(
        self, kinds: Sequence[ToolKind], made: dict[ToolKind, ServerTool] | None = None
    ) -> None:
        """`made` are the tools that exist already, and those that come to exist."""
        self._kinds = kinds
        self._signs = [
            (
                kind,
                kind.prefix,
                re.compile(re.escape(kind.trace)).search,
                *(kind.native or (None, "")),
            )
            for kind in kinds
        ]
        self._made: dict[ToolKind, ServerTool] = {} if made is None else made
        self._own: list[ServerTool] | None = None

    def needed(
        self, request: MessagesRequest, capabilities: Capabilities, rules: BetaRules
    ) -> Toolset | None:
        """Returns the tools of this request that the proxy has to run for the model, if any.

        Cheap where it matters: a tool that the model has natively costs two look-ups, any other
        the types of the definitions and one pass of a byte search over the history.
        """
        kinds: tuple[ToolKind, ...] = ()
        for kind, prefix, find_trace, feature, field in self._signs:
            if (
                feature in capabilities.features
                and flag_for(field, capabilities, rules) is not None
            ):
                continue
            for tool in request.view.tools or ():
                if tool.type is not None and tool.type.startswith(prefix):
                    kinds += (kind,)
                    break
            else:
                if find_trace(request.fields["messages"]) is not None:
                    kinds += (kind,)
        if not kinds:
            return None
        return self if len(kinds) == len(self._kinds) else Toolset(kinds, self._made)

    def covers(self, other: Toolset) -> bool:
        """Tells whether all of the other's tools are here too."""
        return set(other._kinds) <= set(self._kinds)

    def claiming(self, kind: str) -> ServerTool | None:
        """Returns the tool to which a definition of this type belongs."""
        return next((tool for tool in self._tools() if tool.claims(kind)), None)

    def called(self, name: Any) -> ServerTool | None:
        """Returns the tool that a `server_tool_use` block of this name calls."""
        return next((tool for tool in self._tools() if tool.is_call(name)), None)

    def answering(self, kind: str) -> ServerTool | None:
        """Returns the tool to which a result block of this type belongs."""
        return next((tool for tool in self._tools() if tool.result_type == kind), None)

    def _tools(self) -> list[ServerTool]:
        if self._own is None:
            for kind in self._kinds:
                if kind not in self._made:
                    self._made[kind] = kind.make()
            self._own = [self._made[kind] for kind in self._kinds]
        return self._own


def tool_search(pause: Pause, new_lock: Callable[[], AbstractAsyncContextManager[Any]]) -> ToolKind:
    """Returns the kind of both tool searches.

    Work that takes long awaits `pause` again and again; a lock is made for each request.
    """

    def make() -> ServerTool:
        from .tool_search import ToolSearch  # noqa: PLC0415  # most never need it

        return ToolSearch(pause, new_lock)

    return ToolKind(
        "tool_search_tool_", b"tool_search_tool_", make, native=("tool_search", "defer_loading")
    )
