"""The gateway as the settings describe it: messages, token counts, failover, tools."""

from __future__ import annotations

import asyncio
import time

from ..config import Settings
from ..fetch.base import NoFetcher, Pages
from ..gateway.admission.admission import Admission
from ..gateway.answer.pacing import Pacing
from ..gateway.counting import Counting
from ..gateway.failover.failover import Failover, FailoverOptions
from ..gateway.messages import Messages
from ..gateway.sources import Sources
from ..models.registry import Registry
from ..tools.kinds import code_execution, tool_search, web_fetch, web_search
from ..tools.toolset import Toolset
from ..turn.turnstile import Turnstile
from ..upstream.providers import Providers
from .catalog import CatalogUpdates
from .models import make_policy
from .sandbox import OnDemandSandbox, make_options
from .seals import OnDemandSeals
from .search import OnDemandSearcher, make_search_options
from .url_fetcher import OnDemandFetcher
from .web_pages import make_fetch_options


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
