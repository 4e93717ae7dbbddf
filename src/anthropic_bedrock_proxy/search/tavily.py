"""Tavily: POST /search with a bearer key; its hits quote the pages.

Source: Tavily's API reference, "Search". A search of the depth `basic` costs one credit; the
predecessor's `advanced` costs two.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from .base import SearchHit, SearchQuery
from .client import SearchClient, check_status, decode
from .hits import cut, host_names, make_hit, usable, whole_hosts

NAME: Final = "tavily"
URL: Final = "https://api.tavily.com"
_MAX_QUERY: Final = 400
_MAX_RESULTS: Final = 20
_MAX_INCLUDED: Final = 300
_MAX_EXCLUDED: Final = 150
_DENIED: Final = "correct WEB_SEARCH_API_KEY, the key of Tavily"
# Tavily knows countries by name. Those that most people search from; a country is only a hint.
_NAMES: Final = (
    "AE=united arab emirates,AR=argentina,AT=austria,AU=australia,BE=belgium,BG=bulgaria,"
    "BR=brazil,CA=canada,CH=switzerland,CL=chile,CN=china,CO=colombia,CZ=czech republic,"
    "DE=germany,DK=denmark,EE=estonia,EG=egypt,ES=spain,FI=finland,FR=france,"
    "GB=united kingdom,GR=greece,HR=croatia,HU=hungary,ID=indonesia,IE=ireland,IL=israel,"
    "IN=india,IS=iceland,IT=italy,JP=japan,KE=kenya,KR=south korea,LT=lithuania,"
    "LU=luxembourg,LV=latvia,MA=morocco,MX=mexico,MY=malaysia,NG=nigeria,NL=netherlands,"
    "NO=norway,NZ=new zealand,PE=peru,PH=philippines,PK=pakistan,PL=poland,PT=portugal,"
    "QA=qatar,RO=romania,RS=serbia,SA=saudi arabia,SE=sweden,SG=singapore,SI=slovenia,"
    "SK=slovakia,TH=thailand,TR=turkey,TW=taiwan,UA=ukraine,US=united states,UY=uruguay,"
    "VN=vietnam,ZA=south africa"
)
_COUNTRIES: Final = dict(pair.split("=") for pair in _NAMES.split(","))


class _TavilyResult(msgspec.Struct, frozen=True):
    url: str | None = None
    title: str | None = None
    content: str | None = None
    published_date: str | None = None


class _TavilyAnswer(msgspec.Struct, frozen=True):
    results: list[_TavilyResult]


class TavilySearch:
    """A `SearchBackend` of Tavily. Belongs to one event loop."""

    name = NAME

    def __init__(self, client: SearchClient, key: str) -> None:
        self._client = client
        self._path = f"{client.endpoint.path}/search"
        self._headers = (("authorization", f"Bearer {key}"),)

    async def search(self, query: SearchQuery) -> list[SearchHit]:
        """See `SearchBackend`."""
        document: dict[str, Any] = {
            "query": cut(query.text, _MAX_QUERY),
            "search_depth": "basic",
            "max_results": min(query.max_results, _MAX_RESULTS),
        }
        if include := host_names(query.allowed_domains, _MAX_INCLUDED):
            document["include_domains"] = include
        if exclude := whole_hosts(query.blocked_domains, _MAX_EXCLUDED):
            document["exclude_domains"] = exclude
        if query.location is not None and query.location.country is not None:
            country = _COUNTRIES.get(query.location.country.upper())
            document |= {"country": country} if country is not None else {}
        answer = await self._client.post(self._path, document, self._headers)
        check_status(answer, denied=_DENIED)
        found = decode(answer.body, _TavilyAnswer)
        hits = (
            make_hit(one.url, one.title, one.content, one.published_date) for one in found.results
        )
        return usable(hits, query.max_results)

    async def close(self) -> None:
        """See `SearchBackend`."""
        await self._client.close()
