"""Exa: POST /search with a key; its hits quote the pages.

Source: Exa's API reference, "Search".
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from .base import SearchHit, SearchQuery
from .client import SearchClient, check_status, decode
from .hits import cut, host_names, make_hit, usable, whole_hosts

NAME: Final = "exa"
URL: Final = "https://api.exa.ai"
_MAX_QUERY: Final = 2000
_MAX_RESULTS: Final = 25
_MAX_DOMAINS: Final = 1200
_MAX_CHARACTERS: Final = 3000  # of each page
_COUNTRY: Final = 2  # letters
_DENIED: Final = "correct WEB_SEARCH_API_KEY, the key of Exa"


class _ExaResult(msgspec.Struct, frozen=True):
    url: str | None = None
    title: str | None = None
    text: str | None = None
    published: str | None = msgspec.field(name="publishedDate", default=None)


class _ExaAnswer(msgspec.Struct, frozen=True):
    results: list[_ExaResult]


class ExaSearch:
    """A `SearchBackend` of Exa. Belongs to one event loop."""

    name = NAME

    def __init__(self, client: SearchClient, key: str) -> None:
        self._client = client
        self._path = f"{client.endpoint.path}/search"
        self._headers = (("x-api-key", key),)

    async def search(self, query: SearchQuery) -> list[SearchHit]:
        """See `SearchBackend`."""
        document: dict[str, Any] = {
            "query": cut(query.text, _MAX_QUERY),
            "type": "auto",
            "numResults": min(query.max_results, _MAX_RESULTS),
            "contents": {"text": {"maxCharacters": _MAX_CHARACTERS}},
        }
        if include := host_names(query.allowed_domains, _MAX_DOMAINS):
            document["includeDomains"] = include
        if exclude := whole_hosts(query.blocked_domains, _MAX_DOMAINS):
            document["excludeDomains"] = exclude
        country = query.location.country if query.location is not None else None
        if country is not None and len(country) == _COUNTRY:
            document["userLocation"] = country.upper()
        answer = await self._client.post(self._path, document, self._headers)
        check_status(answer, denied=_DENIED)
        found = decode(answer.body, _ExaAnswer)
        hits = (make_hit(one.url, one.title, one.text, one.published) for one in found.results)
        return usable(hits, query.max_results)

    async def close(self) -> None:
        """See `SearchBackend`."""
        await self._client.close()
