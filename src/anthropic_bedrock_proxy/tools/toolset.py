"""The server-side tools of this installation, and the question whether a request needs them.

Most requests need none, so a tool is known by its `ToolKind` until one does: only then it is
imported and made. A kind that some models have natively is passed on to those.
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
    """All server-side tools that the proxy can run."""

    def __init__(self, kinds: Sequence[ToolKind]) -> None:
        self._kinds = kinds
        self._signs = [
            (kind.prefix, re.compile(re.escape(kind.trace)).search, *(kind.native or (None, "")))
            for kind in kinds
        ]
        self._made: list[ServerTool] | None = None

    def needs_turn(
        self, request: MessagesRequest, capabilities: Capabilities, rules: BetaRules
    ) -> bool:
        """Tells whether the proxy has to run tools of this request for the model.

        Cheap where it matters: a tool that the model has natively costs two look-ups, any other
        the types of the definitions and one pass of a byte search over the history.
        """
        for prefix, find_trace, feature, field in self._signs:
            if (
                feature in capabilities.features
                and flag_for(field, capabilities, rules) is not None
            ):
                continue
            for tool in request.view.tools or ():
                if tool.type is not None and tool.type.startswith(prefix):
                    return True
            if find_trace(request.fields["messages"]) is not None:
                return True
        return False

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
        if self._made is None:
            self._made = [kind.make() for kind in self._kinds]
        return self._made


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
