"""The gateway as the settings describe it: messages, token counts, failover, fetched URLs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config import Settings
from ..fetch.base import Fetched, NoFetcher, Pages
from ..gateway.admission.admission import Admission
from ..gateway.answer.pacing import Pacing
from ..gateway.counting import Counting
from ..gateway.failover.failover import Failover, FailoverOptions
from ..gateway.messages import Messages
from ..gateway.sources import Sources
from ..models.registry import Registry
from ..tools.kinds import code_execution, tool_search, web_fetch, web_search
from ..tools.toolset import Toolset
from ..tools.web.fetch_options import WebFetchOptions
from ..turn.turnstile import Turnstile
from ..upstream.providers import Providers
from .catalog import CatalogUpdates
from .models import make_policy
from .sandbox import OnDemandSandbox, make_options
from .seals import OnDemandSeals
from .search import OnDemandSearcher, make_search_options

if TYPE_CHECKING:
    from ..fetch.cache import CachedFetcher
    from ..fetch.fetcher import FetchOptions


def make_gateway(
    settings: Settings,
    *,
    registry: Registry,
    providers: Providers,
    admission: Admission,
    updates: CatalogUpdates,
    fetcher: OnDemandFetcher,
    pages: Pages | None,
    sandbox: OnDemandSandbox,
    searcher: OnDemandSearcher,
    seals: OnDemandSeals,
    failover: Failover,
) -> tuple[Messages, Counting]:
    """Makes what serves messages, and what counts tokens."""
    sources = Sources(fetcher if settings.fetch.enabled else NoFetcher())
    toolset = make_toolset(settings, sandbox, searcher, seals, pages)
    messages = Messages(
        upstreams=providers,
        registry=registry,
        failover=failover,
        admission=admission,
        pacing=Pacing(
            ping_seconds=settings.streaming.ping_interval_seconds,
            idle_seconds=settings.upstream.idle_timeout_seconds,
            total_seconds=settings.upstream.total_timeout_seconds,
        ),
        overrides=updates.overrides,
        sources=sources,
        resolve_profile=updates.resolve_profile,
        policy=make_policy(settings),
        toolset=toolset,
        report_cost=settings.budgets.report_cost,
        monotonic=time.monotonic,
    )
    counting = Counting(providers, registry, sources, admission, toolset, monotonic=time.monotonic)
    return messages, counting


def make_toolset(
    settings: Settings,
    sandbox: OnDemandSandbox,
    searcher: OnDemandSearcher,
    seals: OnDemandSeals,
    pages: Pages | None,
) -> Toolset:
    """Makes the set of server-side tools that the proxy runs itself; `pages` are fetched."""
    kinds = [tool_search(Turnstile().wait, asyncio.Lock)]
    if sandbox.enabled:
        kinds.append(code_execution(sandbox.client, make_options(settings), asyncio.Lock))
    if searcher.enabled:
        kinds.append(web_search(searcher, seals.load, make_search_options(settings)))
    if pages is not None:
        kinds.append(web_fetch(pages, make_fetch_options(settings)))
    return Toolset(kinds, max_model_calls=settings.sandbox.standalone_max_iterations)


def make_fetch_options(settings: Settings) -> WebFetchOptions:
    """Makes the options of the web fetch tool."""
    return WebFetchOptions(
        default_max_uses=settings.web.web_fetch_default_max_uses,
        default_max_tokens=settings.web.web_fetch_default_max_content_tokens,
    )


def make_failover(settings: Settings) -> Failover:
    """Makes the failover, which bounds the time of a target while others could serve."""
    failover = settings.failover
    longest = settings.upstream.first_byte_timeout_seconds
    return Failover(
        FailoverOptions(
            first_byte_seconds=min(failover.first_byte_timeout_seconds, longest),
            answer_seconds=min(failover.answer_timeout_seconds, longest),
            failures=failover.failures,
            cooldown_seconds=failover.cooldown_seconds,
            sticky_seconds=failover.sticky_seconds,
        ),
        monotonic=time.monotonic,
    )


def fetch_options(settings: Settings) -> FetchOptions:
    """Makes the options of a fetcher of clients' URLs."""
    from ..fetch.fetcher import FetchOptions  # noqa: PLC0415  # seldom needed

    fetch, aws = settings.fetch, settings.aws
    return FetchOptions(
        max_bytes=fetch.max_bytes,
        timeout_seconds=fetch.timeout_seconds,
        connect_timeout_seconds=fetch.connect_timeout_seconds,
        max_redirects=fetch.max_redirects,
        max_concurrent=fetch.max_concurrent,
        allow_http=fetch.allow_http,
        allowed_ports=tuple(int(port) for port in fetch.allowed_ports),
        allowed_hosts=fetch.allowed_hosts,
        blocked_hosts=fetch.blocked_hosts,
        allow_private=fetch.allow_private,
        https_proxy=aws.https_proxy,
        no_proxy=aws.no_proxy,
        trust_proxy=fetch.trust_proxy,
        ca_bundle=str(aws.ca_bundle) if aws.ca_bundle else None,
    )


def make_fetcher(settings: Settings) -> CachedFetcher:
    """Makes the fetcher of the URLs in requests. Belongs to one loop."""
    from ..fetch.cache import CachedFetcher  # noqa: PLC0415  # seldom needed
    from ..fetch.fetcher import WebFetcher  # noqa: PLC0415  # seldom needed

    return CachedFetcher(WebFetcher(fetch_options(settings)))


class OnDemandFetcher:
    """A `Fetcher` that is built at its first fetch: TLS and its roots cost memory."""

    def __init__(self, new_fetcher: Callable[[], CachedFetcher]) -> None:
        self._new_fetcher = new_fetcher
        self._fetcher: CachedFetcher | None = None

    async def fetch(self, url: str, *, accept: frozenset[str], max_bytes: int, key: str) -> Fetched:
        """Fetches as `Fetcher` says, with one that is made at the first call."""
        if self._fetcher is None:
            self._fetcher = self._new_fetcher()
        return await self._fetcher.fetch(url, accept=accept, max_bytes=max_bytes, key=key)

    def close(self) -> None:
        """Lets go of what was built."""
        if self._fetcher is not None:
            self._fetcher.close()
