"""The seam of web search: a query in, results out, or one of Anthropic's error codes. Pure.

    query = SearchQuery("python 3.14 release date", max_results=5, blocked_domains=("a.example",))
    await searcher.search(query, key="key_1")
    -> [SearchHit("https://docs.example/3.14", "What's new", "Python 3.14 was …", "2 days ago")]

Domains in a query are what a back end may use to find better results; whether a result's URL is
allowed is decided once, by who asked (tools/web/domains.py), whatever a back end makes of them.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

SearchErrorCode = Literal[
    "invalid_tool_input", "query_too_long", "request_too_large", "too_many_requests", "unavailable"
]


class SearchLocation(msgspec.Struct, frozen=True):
    """The approximate place of the user; `country` has two letters, `timezone` is IANA's."""

    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None


class SearchQuery(msgspec.Struct, frozen=True):
    """A search; domains are as the client wrote them, e.g. `example.com` or `example.com/blog`."""

    text: str
    max_results: int = 5
    allowed_domains: tuple[str, ...] = ()
    blocked_domains: tuple[str, ...] = ()
    location: SearchLocation | None = None


class SearchHit(msgspec.Struct, frozen=True):
    """A page that was found; `text` is what the back end quotes of it, as plain text.

    `page_age` says when it was published or changed, in words or as a date.
    """

    url: str
    title: str
    text: str
    page_age: str | None = None


class SearchError(Exception):
    """A search that failed.

    `reason` is for logs, health pages and operators: it quotes neither query nor results, and no
    secret. The client is told the `code` alone.
    """

    def __init__(self, code: SearchErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code: SearchErrorCode = code
        self.reason = reason


def too_slow(seconds: float) -> str:
    """Returns the reason for a search without an answer in so many seconds."""
    return f"no answer in {seconds:g} s: raise WEB_SEARCH_TIMEOUT if that is usual"


class SearchBackend(Protocol):
    """One place that searches. Belongs to one event loop."""

    @property
    def name(self) -> str:
        """The name that WEB_SEARCH_PROVIDER has for it."""
        ...

    async def search(self, query: SearchQuery) -> list[SearchHit]:
        """Searches once, without a retry. Raises `SearchError`, and nothing else."""
        ...

    async def close(self) -> None:
        """Lets go of connections."""
        ...


class Searcher(Protocol):
    """Searches the web for tools: through back ends, and within bounds for each API key."""

    async def search(self, query: SearchQuery, *, key: str) -> list[SearchHit]:
        """Searches for the API key of this id. Raises `SearchError`, and nothing else.

        That the query has a text, and not too long a one, has been seen to by who asks.
        """
        ...
