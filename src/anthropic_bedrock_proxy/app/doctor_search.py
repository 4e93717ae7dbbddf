"""The check of web search, for `doctor`: one real search by each back end."""

from __future__ import annotations

import asyncio
from typing import Final

from ..aws.connect import Endpoint
from ..aws.resolver.resolver import Resolver
from ..config import Settings
from ..config.load import DEFAULT
from ..diagnosis.checks import CheckResult, fail, ok, warn
from ..search import agentcore
from ..search.base import SearchBackend, SearchError, SearchQuery
from ..search.regions import REGIONS
from .bedrock import make_wiring
from .search import home_of, make_backends
from .search_plan import is_missed, plan_search

SEARCH_SECONDS: Final = 8.0
_ANSWER_SECONDS: Final = 6.0
_QUERY: Final = SearchQuery("Amazon Bedrock documentation", max_results=1)
_WHO: Final = ("WEB_SEARCH_PROVIDER", "WEB_SEARCH_API_KEY", "WEB_SEARCH_URL")


async def check_search(settings: Settings, resolver: Resolver, *, call: bool) -> list[CheckResult]:
    """Searches once by each back end; without `call` tells only which there are."""
    plan = plan_search(settings)
    lines = []
    if plan.reason:
        line = warn if is_missed(settings, plan) else ok
        lines.append(line(f"{'left out' if plan.names else 'not served'}: {plan.reason}"))
    if not call or not plan.names:
        return lines + ([ok(f"{', '.join(plan.names)}: not asked")] if plan.names else [])
    # Who never asked for searches need not miss them: all else is served.
    unasked = all(settings.sources[name] == DEFAULT for name in _WHO)
    wiring = make_wiring(settings, resolver)
    backends = make_backends(settings, plan, wiring)
    hosts = [Endpoint.from_url(home_of(name, plan, wiring)).authority for name in plan.names]
    try:
        asked = zip(backends, hosts, strict=True)
        tried = await asyncio.gather(
            *(_try(one, host, plan.region, unasked=unasked) for one, host in asked)
        )
    finally:
        for backend in backends:
            await backend.close()
    return [*lines, *tried]


async def _try(backend: SearchBackend, host: str, region: str, *, unasked: bool) -> CheckResult:
    line = warn if unasked else fail
    who = f"{backend.name} at {host}"
    mend = "see the how-to on web search; or turn it off (ENABLE_WEB_SEARCH=false)"
    if backend.name == agentcore.NAME and region not in REGIONS:
        regions = ", ".join(sorted(REGIONS))
        mend = f"AWS may not search in {region}: name one of {regions} in WEB_SEARCH_REGION"
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            hits = await backend.search(_QUERY)
    except SearchError as error:
        return line(f"{who}: {error.reason}", mend)
    except TimeoutError:
        return line(f"{who}: no answer in {_ANSWER_SECONDS:g} s", mend)
    if not hits:
        return warn(f"{who}: it answers, and finds nothing", mend)
    return ok(f"{backend.name}: a search was answered")
