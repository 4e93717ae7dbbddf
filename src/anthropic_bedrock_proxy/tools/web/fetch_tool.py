"""Web fetch as a server-side tool: any model on Bedrock reads pages as on Anthropic's API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from ...fetch.base import (
    BusyError,
    FetchError,
    NotAllowedError,
    Pages,
    TooLargeError,
    UnreadableError,
    WrongTypeError,
)
from ...protocol.raw import Json, decode
from ..base import PreparedTool, ServerTool, ShowBlock, ToolOffer
from ..calls import CodeFunction, Finished, RequestContext, RequestTools, ToolCall
from .definition import CITING, custom_tool, definition_of, function_for
from .fetch_options import WebFetchOptions
from .fetch_results import MAX_URL, RESULT, failed, fetched, index_of, to_code, to_tool_result
from .fetch_wish import FetchWish, cites
from .known_urls import KnownURLs, normalized
from .versions import FETCH, FETCH_PREFIX, FETCH_VERSIONS, check_version

# Characters of all pages of one answer, PDFs as base64. Bedrock takes 25 million bytes of a
# request, and a page is held several times on its way there and to the client.
MAX_FETCHED: Final = 20_000_000
_SECONDS: Final = 90.0  # for a page: fetching it, waiting for those before it, and reading it
_WHICH: Final = (
    "Only URLs that stand in the conversation can be fetched: those of the user, of results of "
    "tools, and of pages fetched before, exactly as they stand there."
)
_WORDS: Final = (
    "Fetches a page of the web by its URL, and returns its text as Markdown, or a PDF. " + _WHICH
)
_CODE_WORDS: Final = (
    "Fetches a page of the web by its URL. Returns a JSON object: url, title and text, which is "
    "Markdown; or a string that begins with `Error: `. " + _WHICH
)
_CITED: Final = f" Its passages have indexes. {CITING}"
_CODE_CITED: Final = (
    " With it comes `passages`, a list of index and text. Print the passages that matter, with "
    f"their indexes. {CITING}"
)
# The first that fits: some errors are of several kinds.
_CODES: Final = (
    (BusyError, "too_many_requests"),
    (TooLargeError, "content_too_large"),
    (WrongTypeError, "unsupported_content_type"),
    (NotAllowedError, "url_not_allowed"),
    (UnreadableError, "unavailable"),
    (FetchError, "url_not_accessible"),
)


class WebFetch(ServerTool):
    """All versions of web fetch."""

    result_types = frozenset((RESULT,))
    fields = ()
    user_blocks: Mapping[str, ShowBlock] = MappingProxyType({})
    usage_field = "web_fetch_requests"
    cites = True
    timeout_seconds = _SECONDS

    def __init__(self, pages: Pages, options: WebFetchOptions) -> None:
        self._pages = pages
        self._options = options

    def claims(self, kind: str) -> bool:
        """Tells whether the type is a version of web fetch, known or not."""
        return kind.startswith(FETCH_PREFIX)

    def is_call(self, name: str) -> bool:
        """Tells whether the name is that of the tool."""
        return name == FETCH

    def result_type(self, name: str) -> str:  # noqa: ARG002  # it has one
        """Returns the one type of results."""
        return RESULT

    def timed_out(self, name: str) -> Json:  # noqa: ARG002  # as above
        """Returns the error for a page that takes too long."""
        return failed("url_not_accessible")

    def unavailable(self, name: str) -> Json:  # noqa: ARG002  # as above
        """Returns the error for a fault of our own."""
        return failed("unavailable")

    def offer(self, tool: Json, path: str, tools: RequestTools) -> ToolOffer:
        """Offers a tool of one URL. Raises `InvalidRequestError` with the path."""
        check_version(tool, path, FETCH, FETCH_VERSIONS)
        wish = FetchWish.read(tool, path, tools, self._options)
        words = _WORDS + _CITED * wish.cites
        return ToolOffer([custom_tool(tool, words, "url", "The URL to fetch")])

    def function(self, tool: Json, path: str) -> CodeFunction | None:
        """Returns the function of code, for versions and definitions that have one.

        Raises `InvalidRequestError` with the path.
        """
        words = _CODE_WORDS + _CODE_CITED * cites(tool, path)
        return function_for(tool, custom_tool(tool, words, "url", "The URL to fetch"))

    def prepare(self, context: RequestContext, pending: Sequence[ToolCall]) -> PreparedTool:  # noqa: ARG002  # they are calls as any
        """Prepares the fetches of one request, which share its bounds."""
        tool, path = definition_of(FETCH_PREFIX, context.tools)
        wish = FetchWish.read(tool, path, context.tools, self._options)
        return PreparedTool(Fetches(self._pages, wish, context).run, excludes_nested=wish.excluded)

    def to_tool_result(self, content: Any, context: RequestContext) -> Json:
        """Returns the page, with the indexes of its passages, or what went wrong, in words."""
        return to_tool_result(content, context)

    def to_code(self, content: Any, context: RequestContext) -> str:
        """Returns the page as JSON."""
        return to_code(content, context)

    def index_of(self, citation: Json, context: RequestContext) -> str | None:
        """Returns the index of a passage that was cited."""
        return index_of(citation, context)


class Fetches:
    """The fetches of one request."""

    def __init__(self, pages: Pages, wish: FetchWish, context: RequestContext) -> None:
        self._pages = pages
        self._wish = wish
        self._context = context
        self._known: KnownURLs | None = None
        self._looked_at = 0  # results of this turn
        self._uses = 0
        self._left = MAX_FETCHED

    async def run(self, call: ToolCall) -> Finished:
        """Fetches once; what goes wrong is a result too, and is not counted."""
        url = call.input.get("url") if isinstance(call.input, dict) else None
        url = url.strip() if isinstance(url, str) else ""
        if (code := self._refusal(url)) is not None:
            return Finished(failed(code), counts=False)
        self._uses += 1
        wish = self._wish
        try:
            page = await self._pages.read(url, key=self._context.key_id, fresh=wish.fresh)
        except FetchError as error:
            code = next(code for kind, code in _CODES if isinstance(error, kind))
            # What follows a colon may name the host, as a certificate does.
            reason = error.reason.partition(":")[0]
            return Finished(failed(code), counts=False, reason=reason)
        if not wish.domains.allows(page.url):  # it was led elsewhere
            return Finished(failed("url_not_allowed"), counts=False)
        content = fetched(page, max_tokens=wish.max_tokens, cites=wish.cites)
        size = len(content["content"]["source"]["data"])
        if size > self._left:
            return Finished(failed("content_too_large"), counts=False)
        self._left -= size
        return Finished(content)

    def _refusal(self, url: str) -> str | None:
        """Returns the code of what is in the way of a fetch, before it is made."""
        if len(url) > MAX_URL:
            return "url_too_long"
        if normalized(url) is None:
            return "invalid_tool_input"
        if self._uses >= self._wish.max_uses:
            return "max_uses_exceeded"
        if not self._wish.domains.allows(url):
            return "url_not_allowed"
        return None if self._is_known(url) else "url_not_in_prior_context"

    def _is_known(self, url: str) -> bool:
        """Tells whether the conversation has brought up the URL, this turn's results included."""
        if self._known is None:
            self._known = KnownURLs(self._wish.sources)
            self._known.add_messages(decode(self._context.fields["messages"]))
        results = self._context.results
        for name, content in results[self._looked_at :]:
            self._known.add_result(name, content)
        self._looked_at = len(results)
        return url in self._known
