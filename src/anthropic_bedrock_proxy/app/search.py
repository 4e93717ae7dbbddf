"""Web search as the settings describe it: back ends, made at the first search, and their health."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from ..config import Settings
from ..http.search_health import SearchHealth
from ..money import nano
from ..search.base import SearchError, SearchHit, SearchQuery
from ..search.state import BackendState
from ..tools.web.search_options import WebSearchOptions
from .search_plan import SearchPlan, plan_search

if TYPE_CHECKING:
    from ..search.base import SearchBackend
    from ..search.chain import SearchChain
    from .network import Wiring


def make_search_options(settings: Settings) -> WebSearchOptions:
    """Makes the options of the web search tool."""
    web = settings.web
    return WebSearchOptions(
        max_results=web.web_search_max_results,
        default_max_uses=web.web_search_default_max_uses,
        shortcut=web.web_search_shortcut,
    )


def search_price_nano(settings: Settings) -> int:
    """Returns what a search costs whoever asked for it, in nano-dollars."""
    return nano(Decimal(settings.web.web_search_price))


def make_backends(settings: Settings, plan: SearchPlan, wiring: Wiring) -> list[SearchBackend]:
    """Makes the back ends of a plan, in their order. Needs a running loop."""
    seconds = settings.web.web_search_timeout_seconds
    return [_backend(name, plan, wiring, seconds) for name in plan.names]


def home_of(name: str, plan: SearchPlan, wiring: Wiring) -> str:
    """Returns the URL at which a back end of a plan is asked."""
    from ..search import agentcore, brave, exa, tavily  # noqa: PLC0415  # most never search

    homes = {
        tavily.NAME: tavily.URL,
        brave.NAME: brave.URL,
        exa.NAME: exa.URL,
        agentcore.NAME: wiring.agentcore_url(plan.region),
    }
    return plan.urls.get(name) or homes[name]


def _backend(name: str, plan: SearchPlan, wiring: Wiring, seconds: float) -> SearchBackend:
    from ..search import (  # noqa: PLC0415  # most never search
        agentcore,
        agentcore_gateway,
        brave,
        exa,
        searxng,
        tavily,
    )

    client = wiring.search_client(home_of(name, plan, wiring), timeout_seconds=seconds)
    key = plan.keys.get(name, "")
    path = client.endpoint.path
    if name == tavily.NAME:
        return tavily.TavilySearch(client, key)
    if name == brave.NAME:
        return brave.BraveSearch(client, key)
    if name == exa.NAME:
        return exa.ExaSearch(client, key)
    if name == searxng.NAME:
        return searxng.SearXNGSearch(client)
    if name == agentcore.NAME:
        signed = wiring.signed_search_client(client, region=plan.region, denied=agentcore.DENIED)
        return agentcore.AgentCoreSearch(signed, path)
    if key:
        door = agentcore_gateway.BearerDoor(client, key)
        return agentcore_gateway.AgentCoreGatewaySearch(door, path)
    region = agentcore_gateway.region_of(client.endpoint.host) or plan.region
    signed = wiring.signed_search_client(client, region=region, denied=agentcore_gateway.DENIED)
    return agentcore_gateway.AgentCoreGatewaySearch(signed, path)


class OnDemandSearcher:
    """A `Searcher` that is built at its first search: back ends cost memory, and few search.

    `enabled` tells whether there is a back end, `reason` why there is none, or one less than named:
    both as the `plan` has it.
    """

    def __init__(self, settings: Settings, new_wiring: Callable[[], Wiring]) -> None:
        """Raises `SettingsError` for settings that cannot work together."""
        self._settings = settings
        self._new_wiring = new_wiring
        self.plan = plan_search(settings)
        self._chain: SearchChain | None = None
        self.enabled = bool(self.plan.names)
        self.reason = self.plan.reason

    async def search(self, query: SearchQuery, *, key: str) -> list[SearchHit]:
        """Searches as `Searcher` says, with back ends that are made at the first call."""
        if not self.enabled:
            raise SearchError("unavailable", self.reason)
        if self._chain is None:
            self._chain = self._make()
        return await self._chain.search(query, key=key)

    def states(self) -> list[BackendState]:
        """Returns at once what is known of each back end; makes none."""
        if self._chain is None:
            return [BackendState(name=name) for name in self.plan.names]
        return self._chain.states()

    def health(self) -> SearchHealth:
        """Makes the page that tells how web search is."""
        web = self._settings.web
        config: dict[str, object] = {
            "max_results": web.web_search_max_results,
            "timeout_seconds": web.web_search_timeout_seconds,
            "cache_seconds": web.web_search_cache_seconds,
            "rate_limit": web.web_search_rate_limit,
        }
        return SearchHealth(self.states if self.enabled else None, config, self.reason)

    async def close(self) -> None:
        """Lets go of what was built."""
        if self._chain is not None:
            await self._chain.close()

    def _make(self) -> SearchChain:
        from ..search.chain import ChainOptions, SearchChain  # noqa: PLC0415  # most never search

        web = self._settings.web
        return SearchChain(
            make_backends(self._settings, self.plan, self._new_wiring()),
            ChainOptions(
                timeout_seconds=web.web_search_timeout_seconds,
                cache_seconds=web.web_search_cache_seconds,
                per_minute=web.web_search_rate_limit,
            ),
        )
