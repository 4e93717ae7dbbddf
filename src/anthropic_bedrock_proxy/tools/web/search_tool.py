"""Web search as a server-side tool: any model on Bedrock searches as on Anthropic's API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from ...protocol.raw import Json
from ...search.base import Searcher, SearchError, SearchHit, SearchQuery
from ..base import PreparedTool, ServerTool, ShowBlock, ToolOffer
from ..calls import CodeFunction, Finished, RequestContext, RequestTools, ToolCall
from .definition import CITING, custom_tool, definition_of, function_for
from .seal import Seals
from .search_options import WebSearchOptions
from .search_results import (
    RESULT,
    ResultSeals,
    failed,
    is_failure,
    to_code,
    to_tool_result,
)
from .search_wish import SearchWish
from .shortcut import is_side_search, summary
from .versions import SEARCH, SEARCH_PREFIX, SEARCH_VERSIONS, check_version

MAX_QUERY: Final = 2000  # characters
MAX_TEXT: Final = 6000  # characters of one page that the model is shown
_SECONDS: Final = 60.0  # for all back ends, one after the other
_WORDS: Final = (
    "Searches the web and returns pages with passages from them, each with an index. Use it for "
    f"what is recent, or what you do not know for certain. {CITING}"
)
_CODE_WORDS: Final = (
    "Searches the web. Returns a JSON list of pages: url, title, page_age and passages, a list of "
    "index and text; or a string that begins with `Error: `. Print the passages that matter, with "
    f"their indexes. {CITING}"
)


class WebSearch(ServerTool):
    """All versions of web search."""

    result_types = frozenset((RESULT,))
    fields = ()
    user_blocks: Mapping[str, ShowBlock] = MappingProxyType({})
    usage_field = "web_search_requests"
    cites = True
    timeout_seconds = _SECONDS

    def __init__(
        self,
        searcher: Searcher,
        load_seals: Callable[[], Awaitable[Seals]],
        options: WebSearchOptions,
    ) -> None:
        """`load_seals` is awaited for every request; it raises `ProxyError`."""
        self._searcher = searcher
        self._load_seals = load_seals
        self._options = options
        self._seals: Seals | None = None

    async def ready(self) -> None:
        """Gets the keys of seals."""
        self._seals = await self._load_seals()

    def claims(self, kind: str) -> bool:
        """Tells whether the type is a version of web search, known or not."""
        return kind.startswith(SEARCH_PREFIX)

    def is_call(self, name: str) -> bool:
        """Tells whether the name is that of the tool."""
        return name == SEARCH

    def result_type(self, name: str) -> str:  # noqa: ARG002  # it has one
        """Returns the one type of results."""
        return RESULT

    def timed_out(self, name: str) -> Json:  # noqa: ARG002  # as above
        """Returns the error for a search that takes too long."""
        return failed("unavailable")

    def unavailable(self, name: str) -> Json:  # noqa: ARG002  # as above
        """Returns the error for a fault of our own."""
        return failed("unavailable")

    def offer(self, tool: Json, path: str, tools: RequestTools) -> ToolOffer:  # noqa: ARG002  # it is the same whatever they are
        """Offers a tool of one query. Raises `InvalidRequestError` with the path."""
        check_version(tool, path, SEARCH, SEARCH_VERSIONS)
        SearchWish.read(tool, path, self._options)
        return ToolOffer([custom_tool(tool, _WORDS, "query", "What to search for")])

    def function(self, tool: Json, path: str) -> CodeFunction | None:  # noqa: ARG002  # `offer` reads it
        """Returns the function of code, for versions and definitions that have one."""
        made = custom_tool(tool, _CODE_WORDS, "query", "What to search for")
        return function_for(tool, made)

    def prepare(self, context: RequestContext, pending: Sequence[ToolCall]) -> PreparedTool:  # noqa: ARG002  # they are calls as any
        """Prepares the searches of one request, which share its bounds."""
        tool, path = definition_of(SEARCH_PREFIX, context.tools)
        wish = SearchWish.read(tool, path, self._options)
        searches = Searches(self._searcher, self._results(context), wish, context.key_id)
        if self._options.shortcut and is_side_search(context):
            return PreparedTool(searches.run, conclusion=searches.conclusion)
        return PreparedTool(searches.run, excludes_nested=wish.excluded)

    def to_tool_result(self, content: Any, context: RequestContext) -> Json:
        """Returns passages with their indexes, or what went wrong, in words."""
        return to_tool_result(content, context, self._results(context))

    def to_code(self, content: Any, context: RequestContext) -> str:
        """Returns the pages as JSON."""
        return to_code(content, context, self._results(context))

    def index_of(self, citation: Json, context: RequestContext) -> str | None:
        """Returns the index of a passage that was cited."""
        return self._results(context).index_of(citation)

    def _results(self, context: RequestContext) -> ResultSeals:
        if self._seals is None:
            raise LookupError  # `ready` comes before
        return ResultSeals(self._seals, context.key_id)


class Searches:
    """The searches of one request."""

    def __init__(
        self, searcher: Searcher, results: ResultSeals, wish: SearchWish, key_id: str
    ) -> None:
        self._searcher = searcher
        self._results = results
        self._wish = wish
        self._key_id = key_id
        self._uses = 0

    async def run(self, call: ToolCall) -> Finished:
        """Searches once; what goes wrong is a result too, and is not counted."""
        text = call.input.get("query") if isinstance(call.input, dict) else None
        if not isinstance(text, str) or not text.strip():
            return Finished(failed("invalid_tool_input"), counts=False)
        if len(text) > MAX_QUERY:
            return Finished(failed("query_too_long"), counts=False)
        if self._uses >= self._wish.max_uses:
            return Finished(failed("max_uses_exceeded"), counts=False)
        self._uses += 1
        try:
            hits = await self._searcher.search(self._query(text), key=self._key_id)
        except SearchError as error:
            return Finished(failed(error.code), counts=False, reason=error.reason)
        return Finished(self._results.content(self._allowed(hits)))

    def conclusion(self, contents: Sequence[Any]) -> list[Json] | None:
        """Returns the text that tells what was found, if all searches went well."""
        if any(map(is_failure, contents)):
            return None
        return [summary([hit for content in contents for hit in self._results.hits(content)])]

    def _query(self, text: str) -> SearchQuery:
        wish, domains = self._wish, self._wish.domains
        return SearchQuery(text, wish.max_results, domains.allowed, domains.blocked, wish.location)

    def _allowed(self, hits: Sequence[SearchHit]) -> list[SearchHit]:
        """Returns the hits that the client allows, each page once, their texts within bounds."""
        pages: dict[str, SearchHit] = {}
        for hit in hits:
            if self._wish.domains.allows(hit.url):
                pages.setdefault(hit.url, hit)
        kept = [*pages.values()][: self._wish.max_results]
        return [msgspec.structs.replace(hit, text=hit.text[:MAX_TEXT]) for hit in kept]
