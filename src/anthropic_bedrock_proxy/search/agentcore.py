"""AWS's own web search, AgentCore's InvokeWebSearch: one signed call, and nothing to set up.

Source: the service model of bedrock-agentcore (botocore 1.44), the developer guide's "AgentCore Web
Search request and response".
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from .base import SearchHit, SearchQuery
from .client import decode
from .hits import cut, host_names, make_hit, usable, whole_hosts
from .signed import SignedClient

NAME: Final = "agentcore-api"
DENIED: Final = (
    "let the role of the proxy do bedrock-agentcore:InvokeWebSearch on tool/web-search.v1"
)
MAX_QUERY: Final = 200
MAX_RESULTS: Final = 25
_MAX_DOMAINS: Final = 100
_PATH: Final = "/web-search/web-search.v1/invoke"


class _AgentCoreResult(msgspec.Struct, frozen=True):
    text: str
    title: str | None = None
    url: str | None = None
    published: str | None = msgspec.field(name="publishedAt", default=None)


class _AgentCoreAnswer(msgspec.Struct, frozen=True):
    results: list[_AgentCoreResult]


class AgentCoreSearch:
    """A `SearchBackend` of InvokeWebSearch. Belongs to one event loop."""

    name = NAME

    def __init__(self, client: SignedClient, prefix: str = "") -> None:
        """`prefix` stands before the path of the operation."""
        self._client = client
        self._path = f"{prefix}{_PATH}"

    async def search(self, query: SearchQuery) -> list[SearchHit]:
        """See `SearchBackend`."""
        document: dict[str, Any] = {
            "searchQuery": cut(query.text, MAX_QUERY),
            "maxResults": max(1, min(query.max_results, MAX_RESULTS)),
        }
        if filters := domain_filters(query):
            document["filters"] = filters
        answer = await self._client.post(self._path, document)
        found = decode(answer.body, _AgentCoreAnswer)
        hits = (make_hit(one.url, one.title, one.text, one.published) for one in found.results)
        return usable(hits, query.max_results)

    async def close(self) -> None:
        """See `SearchBackend`."""
        await self._client.close()


def domain_filters(query: SearchQuery) -> dict[str, Any]:
    """Returns the `filters` of a query's domains; empty if there is nothing to filter by."""
    include = host_names(query.allowed_domains, _MAX_DOMAINS)
    exclude = whole_hosts(query.blocked_domains, _MAX_DOMAINS)
    found = {"include": include, "exclude": exclude}
    domains = {name: hosts for name, hosts in found.items() if hosts}
    return {"domainFilter": domains} if domains else {}
