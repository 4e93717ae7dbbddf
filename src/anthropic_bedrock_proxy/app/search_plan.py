"""The back ends of web search, read off the settings: which, in what order, and what is missing."""

from __future__ import annotations

from typing import Final

import msgspec

from ..config import Settings, SettingsError
from ..config.aws_files import ProfileError
from ..config.load import DEFAULT
from ..config.rules import by_searcher
from ..search.regions import REGIONS
from .bedrock import describe_aws_keys
from .web_extra import lack_of

_KEYED: Final = ("tavily", "brave", "exa")
_LOCATED: Final = ("searxng", "agentcore")  # they are wherever the operator has them
_PREDECESSOR: Final = "tavily"  # whose key it is, if nothing says so
_OFF: Final = "ENABLE_WEB_SEARCH is false"
_MOVED: Final = (
    "models are called elsewhere than at AWS (the simulator, or BEDROCK_ENDPOINT_URL), so AWS is "
    "not asked to search either: name who is, in WEB_SEARCH_PROVIDER"
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


def is_missed(settings: Settings, plan: SearchPlan) -> bool:
    """Tells whether the operator has named who searches, and not all of them can."""
    named = settings.sources["WEB_SEARCH_PROVIDER"] != DEFAULT and settings.web.enable_web_search
    return bool(plan.reason) and (bool(plan.names) or named)


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
