"""The checks of `doctor`, as the settings describe the installation. Nothing is changed or made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ..aws.credentials import CredentialsError
from ..aws.resolver.resolver import Resolver
from ..aws_errors import UpstreamRefusal
from ..config import Settings
from ..diagnosis.checks import Check, CheckResult, DaemonThreads, Grade, run_checks
from ..diagnosis.machine import check_folder, check_open_files, check_sqlite
from ..diagnosis.network import Way, check_egress_proxy, check_endpoint, check_tls_roots
from ..models.registry import DEFAULT_PROVIDER
from ..store.base.errors import StoreError
from ..upstream.provider import Provider
from ..upstream.providers import Providers
from .bedrock import (
    default_provider,
    describe_credentials,
    make_network,
    make_providers,
    make_resolver,
    read_providers,
)
from .doctor_models import ModelChecks
from .doctor_sandboxes import check_sandboxes
from .health import judged
from .store import make_dynamodb, table_names

_GIVE_KEYS: Final = (
    "give AWS_BEARER_TOKEN_BEDROCK, AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or "
    "a role of the machine, container or pod"
)
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
        Check("store", lambda: _store(settings, resolver)),
        Check("limits", lambda: _limits(settings)),
        Check("journal", lambda: _journal(settings)),
        Check("sandboxes", lambda: check_sandboxes(settings), _WALLS_SECONDS),
        Check("open files", lambda: _open_files(settings)),
    ]
    if call_models:
        calls = ModelChecks(settings, providers, resolver)
        checks.append(Check("models", lambda: calls.run(models), _MODEL_SECONDS))
    return checks


async def _settings(settings: Settings) -> list[CheckResult]:
    lines = [
        CheckResult(state="warn", found=warning, mend="correct the name or the value, or remove it")
        for warning in settings.warnings
    ]
    lines += [
        CheckResult(state="warn", found=f"{one.name} has no effect: {one.reason}", mend="remove it")
        for one in settings.no_effect
    ]
    return lines or [CheckResult(state="ok", found="all are known and in force")]


def _credentials(settings: Settings, providers: Providers, name: str, provider: Provider) -> _Run:
    async def run() -> list[CheckResult]:
        where = describe_credentials(settings) if name == DEFAULT_PROVIDER else None
        if name == DEFAULT_PROVIDER and where is None:
            return [CheckResult(state="fail", found="none are configured", mend=_GIVE_KEYS)]
        try:
            state = await providers[name].look_at_credentials()
        except (UpstreamRefusal, CredentialsError) as error:
            words = error.message if isinstance(error, UpstreamRefusal) else str(error)
            return [CheckResult(state="fail", found=f"{where or name}: {words}", mend=_GIVE_KEYS)]
        finding = judged(state, time.time())
        found = f"{where or 'found'}, region {provider.region}"
        if state.expires_at is not None:
            found += f", expire in {_lasting(state.expires_at - time.time())}"
        if finding.state == "ok":
            return [CheckResult(state="ok", found=found)]
        grade: Grade = "fail" if finding.state == "failed" else "warn"
        return [CheckResult(state=grade, found=f"{found}: {finding.reason}", mend=_GIVE_KEYS)]

    return run


def _lasting(seconds: float) -> str:
    minutes = max(0, int(seconds // 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004  # minutes of an hour


def _endpoint(url: str, way: Way) -> _Run:
    return lambda: check_endpoint(url, way)


async def _store(settings: Settings, resolver: Resolver) -> list[CheckResult]:
    path = settings.store.sqlite_path
    if path is not None:
        from ..store.sqlite.schema import SQL  # noqa: PLC0415  # one of the stores

        names = [file.name for file in (SQL / "migrations").glob("*.sql")]
        return [await asyncio.to_thread(check_sqlite, path, names)]
    if settings.store.url != "dynamodb://":
        return [CheckResult(state="warn", found="in memory: all is lost at a restart")]
    return await _tables(settings, resolver)


async def _tables(settings: Settings, resolver: Resolver) -> list[CheckResult]:
    from ..store.dynamodb.schema import NEEDED, missing_tables  # noqa: PLC0415  # one of the stores

    client = make_dynamodb(settings, resolver)
    try:
        missing = await missing_tables(client, table_names(settings))
    except StoreError as error:
        return [
            CheckResult(
                state="fail",
                found=f"DynamoDB: {error}",
                mend="check DYNAMODB_ENDPOINT_URL, the credentials, and that the role may use "
                "dynamodb:* on the tables",
            )
        ]
    finally:
        await client.close()
    if missing:
        return [
            CheckResult(
                state="fail",
                found=f"DynamoDB has no table {', '.join(missing)}",
                mend="run `tables create`, or correct DYNAMODB_*_TABLE",
            )
        ]
    return [CheckResult(state="ok", found=f"DynamoDB: all {len(NEEDED)} tables are active")]


async def _limits(settings: Settings) -> list[CheckResult]:
    if settings.limits.url == "memory://":
        folder = await asyncio.to_thread(check_folder, settings.store.data_path)
        if folder.state == "fail":
            return [folder]
        return [CheckResult(state="ok", found="counted on this machine, in a file")]
    from ..diagnosis.redis import check_redis  # noqa: PLC0415  # an extra

    return [await check_redis(settings.limits.url)]


async def _journal(settings: Settings) -> list[CheckResult]:
    return [await asyncio.to_thread(check_folder, settings.store.journal_path)]


async def _open_files(settings: Settings) -> list[CheckResult]:
    return [check_open_files(settings.server.max_connections)]
