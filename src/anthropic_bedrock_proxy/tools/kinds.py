"""The kinds of server-side tools: what is known of each before a request needs it.

Only then the tool is imported and made, with what the composition has given for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import msgspec

from .code_execution.versions import CALLS, PREFIX
from .web.versions import FETCH, FETCH_PREFIX, SEARCH, SEARCH_PREFIX

if TYPE_CHECKING:
    from ..fetch.base import Pages
    from ..sandbox.base import Sandbox
    from ..search.base import Searcher
    from .base import NewLock, ServerTool
    from .code_execution.options import CodeExecutionOptions
    from .web.fetch_options import WebFetchOptions
    from .web.seal import Seals
    from .web.search_options import WebSearchOptions
    from .work import Pause

_SEARCHES: Final = frozenset(("tool_search_tool_regex", "tool_search_tool_bm25"))


class ToolKind(msgspec.Struct, frozen=True):
    """A server-side tool before it is made."""

    prefix: str  # of the types of its definitions
    calls: frozenset[str]  # the names of its calls
    make: Callable[[], ServerTool]
    # (feature, field): a model with the feature that takes the flag of the field runs it itself.
    native: tuple[str, str] | None = None
    runs_code: bool = False  # that may call other tools
    shows_documents: bool = False  # in its results, to a model that takes them there


def tool_search(pause: Pause, new_lock: NewLock) -> ToolKind:
    """Returns the kind of both tool searches.

    Work that takes long awaits `pause` again and again; a lock is made for each request.
    """

    def make() -> ServerTool:
        from .tool_search import ToolSearch  # noqa: PLC0415  # most never need it

        return ToolSearch(pause, new_lock)

    return ToolKind("tool_search_tool_", _SEARCHES, make, native=("tool_search", "defer_loading"))


def code_execution(
    new_sandbox: Callable[[], Sandbox], options: CodeExecutionOptions, new_lock: NewLock
) -> ToolKind:
    """Returns the kind of code execution, which no model has natively on Bedrock.

    `new_sandbox` is called when a request needs it for the first time; a lock is made for each.
    """

    def make() -> ServerTool:
        from .code_execution.tool import CodeExecution  # noqa: PLC0415  # most never need it

        return CodeExecution(new_sandbox(), options, new_lock)

    return ToolKind(PREFIX, CALLS, make, runs_code=options.programmatic)


def web_search(
    searcher: Searcher, load_seals: Callable[[], Awaitable[Seals]], options: WebSearchOptions
) -> ToolKind:
    """Returns the kind of web search, which no model has natively on Bedrock.

    `load_seals` is awaited for every request that needs it; it raises `ProxyError`.
    """

    def make() -> ServerTool:
        from .web.search_tool import WebSearch  # noqa: PLC0415  # most never need it

        return WebSearch(searcher, load_seals, options)

    return ToolKind(SEARCH_PREFIX, frozenset((SEARCH,)), make)


def web_fetch(pages: Pages, options: WebFetchOptions) -> ToolKind:
    """Returns the kind of web fetch, which no model has natively on Bedrock."""

    def make() -> ServerTool:
        from .web.fetch_tool import WebFetch  # noqa: PLC0415  # most never need it

        return WebFetch(pages, options)

    return ToolKind(FETCH_PREFIX, frozenset((FETCH,)), make, shows_documents=True)
