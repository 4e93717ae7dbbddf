"""Brave Search: GET /res/v1/web/search with a subscription token; its hits are snippets.

Domains are words of the query, as the API has no field for them. An answer without `web` found
nothing. Source: Brave's API documentation, "Web search".
"""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import urlencode

import msgspec

from .base import SearchHit, SearchLocation, SearchQuery
from .client import SearchClient, check_status, decode
from .hits import cut, make_hit, plain, site_words, usable

NAME: Final = "brave"
URL: Final = "https://api.search.brave.com"
_MAX_QUERY: Final = 400
_MAX_WORDS: Final = 50
_MAX_SITES: Final = 200  # characters of the query that domains may take
_MAX_RESULTS: Final = 20
_DENIED: Final = "correct WEB_SEARCH_API_KEY, the key of Brave Search"
# The countries that it searches for; any other is a 422.
_COUNTRIES: Final = frozenset(
    (
        *("AR", "AT", "AU", "BE", "BR", "CA", "CH", "CL", "CN", "DE", "DK", "ES", "FI", "FR"),
        *("GB", "GR", "HK", "ID", "IN", "IT", "JP", "KR", "MX", "MY", "NL", "NO", "NZ", "PH"),
        *("PL", "PT", "RU", "SA", "SE", "TR", "TW", "US", "ZA"),
    )
)


class _BraveResult(msgspec.Struct, frozen=True):
    url: str | None = None
    title: str | None = None
    description: str | None = None
    extra_snippets: list[str] | None = None
    age: str | None = None
    page_age: str | None = None


class _BraveWeb(msgspec.Struct, frozen=True):
    results: list[_BraveResult]


class _BraveAnswer(msgspec.Struct, frozen=True):
    type: Literal["search"]
    web: _BraveWeb | None = None


class BraveSearch:
    """A `SearchBackend` of Brave Search. Belongs to one event loop."""

    name = NAME

    def __init__(self, client: SearchClient, key: str) -> None:
        self._client = client
        self._path = f"{client.endpoint.path}/res/v1/web/search"
        self._headers = (("x-subscription-token", key),)

    async def search(self, query: SearchQuery) -> list[SearchHit]:
        """See `SearchBackend`."""
        sites = site_words(query.allowed_domains, query.blocked_domains, _MAX_SITES)
        words = max(1, _MAX_WORDS - len(sites.split()))
        asked = {
            "q": cut(query.text, _MAX_QUERY - len(sites), words=words) + sites,
            "count": str(min(query.max_results, _MAX_RESULTS)),
            "result_filter": "web",
            "text_decorations": "false",
            "extra_snippets": "true",
        }
        country = query.location.country if query.location is not None else None
        if country is not None and country.upper() in _COUNTRIES:
            asked["country"] = country.upper()
        place = _place(query.location) if query.location is not None else ()
        answer = await self._client.get(
            f"{self._path}?{urlencode(asked)}", (*self._headers, *place)
        )
        check_status(answer, denied=_DENIED)
        found = decode(answer.body, _BraveAnswer)
        results = found.web.results if found.web is not None else []
        return usable(map(_hit, results), query.max_results)

    async def close(self) -> None:
        """See `SearchBackend`."""
        await self._client.close()


def _hit(one: _BraveResult) -> SearchHit:
    texts = dict.fromkeys([plain(one.description), *map(plain, one.extra_snippets or ())])
    quoted = "\n".join(text for text in texts if text)
    return make_hit(one.url, plain(one.title), quoted, one.age or one.page_age)


def _place(location: SearchLocation) -> tuple[tuple[str, str], ...]:
    """Returns the headers that tell where the user is; only what a header can carry."""
    named = {
        "x-loc-city": location.city,
        "x-loc-state-name": location.region,
        "x-loc-country": location.country,
        "x-loc-timezone": location.timezone,
    }
    return tuple(
        (name, value)
        for name, value in named.items()
        if value is not None and re.fullmatch(r"[!-~](?:[ -~]{0,98}[!-~])?", value)
    )
