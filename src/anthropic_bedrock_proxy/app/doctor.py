"""The checks of `doctor`, as the settings describe the installation. Nothing is changed or made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from ..aws.resolver.resolver import Resolver
from ..config import Settings
from ..diagnosis.checks import Check, CheckResult, DaemonThreads, ok, run_checks, warn
from ..diagnosis.machine import check_folder, check_log, check_open_files
from ..diagnosis.network import Way, check_egress_proxy, check_endpoint, check_tls_roots
from ..models.registry import DEFAULT_PROVIDER
from ..upstream.provider import Provider
from ..upstream.providers import Providers
from .bedrock import (
    default_provider,
    make_network,
    make_providers,
    make_resolver,
    read_providers,
)
from .doctor_credentials import check_credentials
from .doctor_models import ModelChecks
from .doctor_sandboxes import check_sandboxes
from .doctor_search import SEARCH_SECONDS, check_search
from .doctor_store import check_store
from .doctor_web import READ_SECONDS, check_seals, check_web_fetch
from .logs import log_path

_WALLS_SECONDS: Final = 8.0  # a first sandbox on a slow disk
_Run = Callable[[], Awaitable[Sequence[CheckResult]]]
_MODEL_SECONDS: Final = 9.5  # of all, with what the store has to be asked first


async def diagnose(
    settings: Settings, *, models: Sequence[str] = (), call_models: bool = True
) -> list[CheckResult]:
    """Runs every check. `models` are called, too; none is without `call_models`."""
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    resolver = make_resolver(settings)
    providers = make_providers(settings, resolver)
    try:
        return await run_checks(_checks(settings, providers, resolver, models, call_models))
    finally:
        await providers.close()
        await resolver.close()


def _checks(
    settings: Settings,
    providers: Providers,
    resolver: Resolver,
    models: Sequence[str],
    call_models: bool,
) -> list[Check]:
    network = make_network(settings)
    known = {DEFAULT_PROVIDER: default_provider(settings), **read_providers(settings)}
    urls = {name: network.runtime_url(provider) for name, provider in known.items()}
    way = Way(
        ca_bundle=network.ca_bundle, https_proxy=network.https_proxy, no_proxy=network.no_proxy
    )
    secure = any(url.startswith("https:") for url in urls.values())
    checks = [Check("settings", lambda: _settings(settings))]
    for name, provider in known.items():
        suffix = "" if len(known) == 1 else f" {name}"
        checks += [
            Check(f"credentials{suffix}", _credentials(settings, providers, name, provider)),
            Check(f"endpoint{suffix}", _endpoint(urls[name], way)),
        ]
    checks += [
        Check("egress proxy", lambda: check_egress_proxy(way, list(urls.values()))),
        Check("TLS roots", lambda: check_tls_roots(way, needed=secure)),
        Check("store", lambda: check_store(settings, resolver)),
        Check("limits", lambda: _limits(settings)),
        Check("journal", lambda: _journal(settings)),
        Check("sandboxes", lambda: check_sandboxes(settings), _WALLS_SECONDS),
        Check(
            "web search",
            lambda: check_search(settings, resolver, call=call_models),
            SEARCH_SECONDS,
        ),
        Check("web fetch", lambda: check_web_fetch(settings), READ_SECONDS),
        Check("seals", lambda: check_seals(settings)),
        Check("open files", lambda: _open_files(settings)),
    ]
    if (log := log_path(settings)) is not None:
        checks.append(Check("log", lambda: _log(log)))
    if call_models:
        calls = ModelChecks(settings, providers, resolver)
        checks.append(Check("models", lambda: calls.run(models), _MODEL_SECONDS))
    return checks


async def _settings(settings: Settings) -> list[CheckResult]:
    lines = [
        warn(warning, "correct the name or the value, or remove it")
        for warning in settings.warnings
    ]
    lines += [
        warn(f"{one.name} has no effect: {one.reason}", "remove it") for one in settings.no_effect
    ]
    return lines or [ok("all are known and in force")]


def _credentials(settings: Settings, providers: Providers, name: str, provider: Provider) -> _Run:
    return lambda: check_credentials(settings, providers, name, provider)


def _endpoint(url: str, way: Way) -> _Run:
    return lambda: check_endpoint(url, way)


async def _limits(settings: Settings) -> list[CheckResult]:
    if settings.limits.url == "memory://":
        folder = await asyncio.to_thread(check_folder, settings.store.data_path)
        if folder.state == "fail":
            return [folder]
        return [ok("counted on this machine, in a file")]
    from ..diagnosis.redis import check_redis  # noqa: PLC0415  # an extra

    return [await check_redis(settings.limits.url)]


async def _journal(settings: Settings) -> list[CheckResult]:
    return [await asyncio.to_thread(check_folder, settings.store.journal_path)]


async def _log(path: Path) -> list[CheckResult]:
    return [await asyncio.to_thread(check_log, path)]


async def _open_files(settings: Settings) -> list[CheckResult]:
    return [check_open_files(settings.server.max_connections)]
