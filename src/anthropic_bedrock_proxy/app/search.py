"""Web search as the settings describe it: who searches, in which order, and how that goes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from ..config import Settings, SettingsError
from ..config.aws_files import ProfileError
from ..config.rules import by_searcher
from ..http.search_health import SearchHealth
from ..money import nano
from ..search.base import SearchError, SearchHit, SearchQuery
from ..search.state import BackendState
from ..tools.web.search_options import WebSearchOptions
from .bedrock import describe_aws_keys
from .web_extra import lack_of

if TYPE_CHECKING:
    from ..search.base import SearchBackend
    from ..search.chain import SearchChain
    from .network import Wiring

_KEYED: Final = ("tavily", "brave", "exa")
_LOCATED: Final = ("searxng", "agentcore")  # they are wherever the operator has them
_PREDECESSOR: Final = "tavily"  # whose key it is, if nothing says so
_OFF: Final = "ENABLE_WEB_SEARCH is false"
_MOVED: Final = (
    "BEDROCK_ENDPOINT_URL leads elsewhere than to AWS, so AWS is not asked to search either: name "
    "who is, in WEB_SEARCH_PROVIDER"
)
_NO_KEYS: Final = (
    "an Amazon Bedrock API key cannot search: give AWS keys or a role as well, or name another "
    "provider in WEB_SEARCH_PROVIDER"
)
_ELSEWHERE: Final = (
    "AWS has no web search in {region}: name a region in WEB_SEARCH_REGION that queries may go to "
    "({regions}), or another provider in WEB_SEARCH_PROVIDER"
)


class SearchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The back ends that the settings name, each with its key, its URL and its region.

    `reason` says what is missing, so that there are none, or fewer than were named.
    """

    names: tuple[str, ...] = ()
    keys: dict[str, str] = {}
    urls: dict[str, str] = {}
    region: str = "us-east-1"
    reason: str = ""


def plan_search(settings: Settings) -> SearchPlan:
    """Reads who searches: nobody, where what searches need is not installed.

    Raises `SettingsError` for settings that cannot work together.
    """
    plan = _as_named(settings)
    lack = lack_of("web_search") if plan.names else ""
    return SearchPlan(reason=lack) if lack else plan


def _as_named(settings: Settings) -> SearchPlan:
    web = settings.web
    if not web.enable_web_search:
        return SearchPlan(reason=_OFF)
    keys = by_searcher(web.web_search_api_key) if web.web_search_api_key else {}
    urls = by_searcher(web.web_search_url) if web.web_search_url else {}
    if web.web_search_provider != "auto":
        names = tuple(web.web_search_provider.split(","))
    elif keys:
        names = tuple(keys) if "" not in keys else (_PREDECESSOR,)
    elif urls:
        named = [name for name in urls if name]
        if not named:
            raise SettingsError(["WEB_SEARCH_URL: say whose it is, in WEB_SEARCH_PROVIDER"])
        names = tuple(named)
    else:
        return _by_aws(settings)
    keys = _assigned("WEB_SEARCH_API_KEY", keys, names, _KEYED, ("agentcore",))
    urls = _assigned("WEB_SEARCH_URL", urls, names, _LOCATED, names)
    missing = [
        f"WEB_SEARCH_PROVIDER={name} needs its key in WEB_SEARCH_API_KEY"
        for name in names
        if name in _KEYED and name not in keys
    ] + [
        f"WEB_SEARCH_PROVIDER={name} needs its address in WEB_SEARCH_URL"
        for name in names
        if name in _LOCATED and name not in urls
    ]
    return SearchPlan(
        names=tuple(name for name in names if _is_whole(name, keys, urls)),
        keys=keys,
        urls=urls,
        region=settings.web.web_search_region or settings.aws.region,
        reason="; ".join(missing),
    )


def _is_whole(name: str, keys: dict[str, str], urls: dict[str, str]) -> bool:
    return (name not in _KEYED or name in keys) and (name not in _LOCATED or name in urls)


def _by_aws(settings: Settings) -> SearchPlan:
    """Plans AWS's own search, which is there without a setting."""
    if settings.aws.bedrock_endpoint_url is not None:
        return SearchPlan(reason=_MOVED)
    if settings.aws.bearer_token is not None and not _has_aws_keys(settings):
        return SearchPlan(reason=_NO_KEYS)
    from ..search.agentcore import REGIONS  # noqa: PLC0415  # most never search

    region = settings.web.web_search_region or settings.aws.region
    if settings.web.web_search_region is None and region not in REGIONS:
        regions = ", ".join(sorted(REGIONS))
        return SearchPlan(reason=_ELSEWHERE.format(region=region, regions=regions))
    return SearchPlan(names=("agentcore-api",), region=region)


def _has_aws_keys(settings: Settings) -> bool:
    try:
        return describe_aws_keys(settings) is not None
    except ProfileError:
        return False


def _assigned(
    setting: str,
    given: dict[str, str],
    names: tuple[str, ...],
    needy: tuple[str, ...],
    others: tuple[str, ...],
) -> dict[str, str]:
    """Gives values to back ends: a bare one to the only one that needs it, or could use it."""
    if "" not in given:
        if unasked := [name for name in given if name not in names]:
            raise SettingsError(
                [f"{setting} names {unasked[0]}, which is not in WEB_SEARCH_PROVIDER"]
            )
        return given
    takers = [name for name in names if name in needy] or [name for name in names if name in others]
    if len(takers) > 1:
        example = ",".join(f"{name}=…" for name in takers)
        raise SettingsError([f"{setting}: say whose it is: {example}"])
    return {takers[0]: given[""]} if takers else {}


def check_search(settings: Settings) -> None:
    """Raises `SettingsError` for settings of web search that cannot be used together."""
    plan_search(settings)


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


def _backend(name: str, plan: SearchPlan, wiring: Wiring, seconds: float) -> SearchBackend:
    from ..search import (  # noqa: PLC0415  # most never search
        agentcore,
        agentcore_gateway,
        brave,
        exa,
        searxng,
        tavily,
    )

    homes = {
        tavily.NAME: tavily.URL,
        brave.NAME: brave.URL,
        exa.NAME: exa.URL,
        agentcore.NAME: wiring.agentcore_url(plan.region),
    }
    client = wiring.search_client(plan.urls.get(name) or homes[name], timeout_seconds=seconds)
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

    `enabled` tells whether there is a back end, `reason` why there is none, or one less than named.
    """

    def __init__(self, settings: Settings, new_wiring: Callable[[], Wiring]) -> None:
        """Raises `SettingsError` for settings that cannot work together."""
        self._settings = settings
        self._new_wiring = new_wiring
        self._plan = plan_search(settings)
        self._chain: SearchChain | None = None
        self.enabled = bool(self._plan.names)
        self.reason = self._plan.reason

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
            return [BackendState(name=name) for name in self._plan.names]
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
            make_backends(self._settings, self._plan, self._new_wiring()),
            ChainOptions(
                timeout_seconds=web.web_search_timeout_seconds,
                cache_seconds=web.web_search_cache_seconds,
                per_minute=web.web_search_rate_limit,
            ),
        )
