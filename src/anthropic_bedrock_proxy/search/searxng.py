"""SearXNG, which the operator runs: GET /search?format=json; its hits are snippets of engines.

Domains are words of the query, which most engines understand. That no engine answered is an error,
not an empty list. Source: SearXNG's documentation, "Search API".
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from .base import SearchError, SearchHit, SearchQuery
from .client import SearchClient, check_status, decode
from .hits import cut, make_hit, plain, site_words, usable

NAME: Final = "searxng"
_MAX_QUERY: Final = 1000
_MAX_SITES: Final = 500  # characters of the query that domains may take
_DENIED: Final = (
    "add json to search.formats in its settings.yml, and let its limiter pass the proxy"
)


class _SearXNGResult(msgspec.Struct, frozen=True):
    url: str | None = None
    title: str | None = None
    content: str | None = None
    published: str | None = msgspec.field(name="publishedDate", default=None)


class _SearXNGAnswer(msgspec.Struct, frozen=True):
    results: list[_SearXNGResult]
    unresponsive: list[Any] = msgspec.field(name="unresponsive_engines", default_factory=list)


class SearXNGSearch:
    """A `SearchBackend` of a SearXNG. Belongs to one event loop."""

    name = NAME

    def __init__(self, client: SearchClient) -> None:
        self._client = client
        self._path = f"{client.endpoint.path}/search"

    async def search(self, query: SearchQuery) -> list[SearchHit]:
        """See `SearchBackend`."""
        sites = site_words(query.allowed_domains, query.blocked_domains, _MAX_SITES)
        asked = {"q": cut(query.text, _MAX_QUERY) + sites, "format": "json"}
        answer = await self._client.get(f"{self._path}?{urlencode(asked)}")
        check_status(answer, denied=_DENIED)
        found = decode(answer.body, _SearXNGAnswer)
        if not found.results and found.unresponsive:
            raise SearchError(
                "unavailable",
                f"nothing was found, and {len(found.unresponsive)} of its engines did not answer",
            )
        hits = (
            make_hit(one.url, plain(one.title), plain(one.content), one.published)
            for one in found.results
        )
        return usable(hits, query.max_results)

    async def close(self) -> None:
        """See `SearchBackend`."""
        await self._client.close()
