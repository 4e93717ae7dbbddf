"""The composition root: settings in, a wired application out. Parts open and close in order."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import tomllib
from collections.abc import Coroutine, Mapping, Sequence
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .aws.credentials import CredentialsError, credentials_hint
from .aws.http import PoolOptions
from .backends import make_limiter
from .config import Settings, SettingsError
from .fetch.base import NoFetcher
from .gateway.admission import Admission
from .gateway.budgets import Budgets
from .gateway.chains import parse_chains
from .gateway.counting import Counting
from .gateway.failover import Failover, FailoverOptions
from .gateway.keys import Authenticator, KeyOptions
from .gateway.lease import Desk
from .gateway.limiting import LimitOptions, Limits
from .gateway.messages import Messages
from .gateway.pacing import Pacing
from .gateway.pricing import Pricing
from .gateway.routing import Link, Registry, RoutingOptions
from .gateway.sources import Sources
from .http.asgi import Application
from .http.routes import Routes
from .live import Live, OnDemandFetcher
from .protocol.betas import BetaRules
from .protocol.capabilities import ModelTable, parse_table
from .protocol.terms import Guardrail, Terms
from .store.base import Store, StoreError
from .store.journal import Journal
from .store.retention import expire_usage
from .store.sealing import ProviderCredentials, Seal, SealingError
from .telemetry.logs import AccessLog
from .upstream.bedrock import RetryOptions
from .upstream.place import Place, parse_place
from .upstream.places import Places
from .upstream.wiring import Network, Wiring

if TYPE_CHECKING:
    from .admin.api import AdminAPI
    from .fetch.fetcher import WebFetcher
    from .limits.base import Limiter
    from .upstream.control import ControlPlane

_log = logging.getLogger("anthropic_bedrock_proxy")
_MODELS: Final = Path(__file__).with_name("models.toml")


class App:
    """A running application; `close` ends it in the reverse order of `build`."""

    def __init__(
        self,
        application: Application,
        *,
        store: Store,
        journal: Journal,
        tasks: Sequence[asyncio.Task[None]],
        places: Places,
        live: Live,
        fetcher: OnDemandFetcher,
        budgets: Budgets,
        limiter: Limiter,
        access_log: AccessLog | None,
    ) -> None:
        self.application = application
        self._store = store
        self._journal = journal
        self._tasks = tasks
        self._places = places
        self._live = live
        self._fetcher = fetcher
        self._budgets = budgets
        self._limiter = limiter
        self._access_log = access_log

    async def close(self) -> None:
        """Lets go of AWS, delivers the usage that is left, closes the store."""
        await self._live.close()
        self._fetcher.close()
        await self._places.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._journal.close(self._store.usage)
        await self._budgets.close()
        await self._limiter.close()
        await self._store.close()
        if self._access_log is not None:
            self._access_log.flush()


async def build(settings: Settings, store: Store) -> App:
    """Wires one worker; `store` is not open yet, and need not answer before there are requests."""
    try:
        await store.open()
    except StoreError as error:
        _log.error("the store does not answer yet: %s", error)  # no bug of ours
    journal = Journal(settings.store.journal_path)
    places = make_places(settings)
    registry = make_registry(settings, places.regions)
    limiter = make_limiter(settings)
    budgets = Budgets(
        store.ledger,
        holder=journal.writer,
        now=time.time,
        monotonic=time.monotonic,
        holds=settings.budgets.holds,
        fail_open=settings.budgets.on_failure == "open",
    )
    pricing = Pricing(
        registry.behind,
        lambda place: places.regions.get(place, settings.aws.region),
        now=time.time,
    )
    desk = Desk(journal, pricing, make_limits(settings, limiter), budgets, time.monotonic)
    live = Live(
        store.catalog,
        registry,
        interval_seconds=settings.models.catalog_refresh_seconds,
        new_control=lambda: make_control(settings),
        on_providers=places.replace_stored,
        on_prices=pricing.replace_stored,
    )
    fetcher = OnDemandFetcher(lambda: make_fetcher(settings))
    sources = Sources(fetcher if settings.fetch.enabled else NoFetcher())
    routes = Routes(
        messages=Messages(
            upstreams=places,
            registry=registry,
            failover=make_failover(settings),
            admission=Admission(desk),
            pacing=Pacing(
                ping_seconds=settings.streaming.ping_interval_seconds,
                idle_seconds=settings.upstream.idle_timeout_seconds,
                total_seconds=settings.upstream.total_timeout_seconds,
            ),
            verdicts=live.verdicts,
            sources=sources,
            resolve_backing=live.resolve_backing,
            terms=make_terms(settings),
            report_cost=settings.budgets.report_cost,
            monotonic=time.monotonic,
        ),
        counting=Counting(places, registry, sources, monotonic=time.monotonic),
        registry=registry,
        authenticator=_authenticator(settings, store, settings.auth.key_cache_ttl_seconds),
        max_body_bytes=settings.server.max_body_bytes,
        key_header=settings.auth.api_key_header,
        environment=settings.server.environment,
        trusted_networks=settings.auth.trusted_proxies,
        build_admin=lambda: _build_admin(settings, store),
        admin_authenticator=_authenticator(settings, store, 0.0),
    )
    await live.begin()
    access_log = AccessLog(settings.server.log_format) if settings.server.access_log else None
    tasks = [
        _keep_running(
            "usage no longer reaches the store",
            journal.run(store.usage, interval_seconds=settings.store.journal_interval_seconds),
        ),
        _keep_running("what is borrowed from budgets is no longer renewed", budgets.run()),
        _keep_running("what runs at once is no longer renewed", limiter.run()),
    ]
    if settings.store.usage_ttl_days:
        expiring = expire_usage(store.usage, days=settings.store.usage_ttl_days)
        tasks.append(_keep_running("usage records no longer expire", expiring))
    return App(
        routes.application(
            access_log,
            body_timeout_seconds=settings.server.body_timeout_seconds,
            stall_timeout_seconds=settings.upstream.idle_timeout_seconds,
        ),
        store=store,
        journal=journal,
        tasks=tasks,
        places=places,
        live=live,
        fetcher=fetcher,
        budgets=budgets,
        limiter=limiter,
        access_log=access_log,
    )


def _keep_running(loss: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """A task for as long as the application runs; if it ends before, somebody must hear of it."""

    def report(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            _log.critical("%s until a restart: %r", loss, error)

    task = asyncio.create_task(work)
    task.add_done_callback(report)
    return task


def _authenticator(settings: Settings, store: Store, ttl_seconds: float) -> Authenticator:
    auth = settings.auth
    return Authenticator(
        store.keys,
        KeyOptions(
            require_api_key=auth.require_api_key,
            master_api_key=auth.master_api_key,
            header=auth.api_key_header,
            ttl_seconds=ttl_seconds,
        ),
        monotonic=time.monotonic,
        now=time.time,
    )


def _build_admin(settings: Settings, store: Store) -> AdminAPI:
    from .administration import build_admin  # noqa: PLC0415  # most workers never need it

    return build_admin(settings, store)


def make_limits(settings: Settings, limiter: Limiter) -> Limits:
    """The operator's limits, counted by `limiter`."""
    limits = settings.limits
    return Limits(
        limiter,
        LimitOptions(
            enabled=limits.enabled,
            requests=limits.requests,
            window_seconds=limits.window_seconds,
            output_estimate=limits.output_estimate,
            master_requests=limits.master_requests,
        ),
        now=time.time,
    )


def load_model_table() -> ModelTable:
    """The shipped models.toml."""
    return parse_table(tomllib.loads(_MODELS.read_text(encoding="utf-8")))


def make_registry(settings: Settings, regions: Mapping[str, str] | None = None) -> Registry:
    """The models of the configured region, with the operator's mapping and betas on top.

    `regions` are those of the places beside the default one, now and later; without them, those of
    the settings. Raises `SettingsError`.
    """
    models = settings.models
    configured = read_places(settings)
    if regions is None:
        regions = {name: place.region for name, place in configured.items()}
    return Registry(
        load_model_table(),
        RoutingOptions(
            region=settings.aws.region,
            places=regions,
            chains=read_chains(settings, configured),
            mapping=models.default_model_mapping,
            dialects=models.model_dialects,
            geography=models.inference_geography,
        ),
        BetaRules(
            mapping=models.beta_header_mapping,
            passthrough=frozenset(models.beta_headers_passthrough),
            blocklist=frozenset(models.beta_headers_blocklist),
        ),
    )


def read_places(settings: Settings) -> dict[str, Place]:
    """The places of PROVIDERS. Raises `SettingsError`."""
    places: dict[str, Place] = {}
    problems: list[str] = []
    for name, fields in settings.failover.providers.items():
        try:
            places[name] = parse_place(name, fields)
        except ValueError as error:
            problems.append(f"PROVIDERS, {name!r}: {error}")
    if problems:
        raise SettingsError(problems)
    return places


def read_chains(settings: Settings, places: Mapping[str, Place]) -> dict[str, tuple[Link, ...]]:
    """FAILOVER_CHAINS, unless failover is off. Raises `SettingsError`."""
    if not settings.failover.enabled:
        return {}
    try:
        return parse_chains(settings.failover.chains, places)
    except ValueError as error:
        problems = [f"FAILOVER_CHAINS, {line}" for line in str(error).splitlines()]
        raise SettingsError(problems) from error


def check(settings: Settings) -> None:
    """Raises `SettingsError` for providers, chains and networks that cannot be used."""
    read_chains(settings, read_places(settings))
    try:
        for network in settings.auth.trusted_proxies:
            ip_network(network)
    except ValueError as error:
        raise SettingsError([f"TRUSTED_PROXIES: {error}"]) from error
    if settings.limits.url != "memory://" and find_spec("redis") is None:
        raise SettingsError(
            ["LIMITS_URL: Redis needs its client: pip install 'anthropic-bedrock-proxy[redis]'"]
        )


def default_place(settings: Settings) -> Place:
    """The place of the AWS_* settings."""
    aws = settings.aws
    return Place(
        region=aws.region,
        endpoint_url=aws.bedrock_endpoint_url,
        mantle_endpoint_url=aws.bedrock_mantle_endpoint_url,
        profile=aws.profile,
        access_key_id=aws.access_key_id,
        secret_access_key=aws.secret_access_key,
        session_token=aws.session_token,
        bearer_token=aws.bearer_token,
    )


def bedrock_url(settings: Settings) -> str:
    """The runtime endpoint: BEDROCK_ENDPOINT_URL, or the region's own."""
    return default_place(settings).runtime_url


def describe_credentials(settings: Settings) -> str | None:
    """Where AWS credentials will come from, judged without any network; None: nowhere."""
    aws = settings.aws
    if aws.bearer_token:
        return "AWS_BEARER_TOKEN_BEDROCK"
    if aws.access_key_id:
        return "AWS_ACCESS_KEY_ID"
    return credentials_hint(aws.profile, os.environ)


def make_terms(settings: Settings) -> Terms:
    """What the operator lays down for every request."""
    models = settings.models
    guardrail = None
    if models.guardrail_identifier is not None:
        guardrail = Guardrail(
            identifier=models.guardrail_identifier,
            version=models.guardrail_version,
            trace=models.guardrail_trace,
            stream_mode=models.guardrail_stream_mode,
        )
    return Terms(
        cache=models.prompt_caching_enabled,
        default_cache_ttl=models.default_cache_ttl,
        service_tier=models.default_service_tier,
        latency=models.performance_latency,
        guardrail=guardrail,
        request_metadata=models.request_metadata,
    )


def make_failover(settings: Settings) -> Failover:
    """How long a target may keep a request that another could serve."""
    failover, upstream = settings.failover, settings.upstream
    patience = upstream.first_byte_timeout_seconds
    return Failover(
        FailoverOptions(
            first_byte_seconds=min(failover.first_byte_timeout_seconds, patience),
            answer_seconds=min(failover.answer_timeout_seconds, patience),
            failures=failover.failures,
            cooldown_seconds=failover.cooldown_seconds,
            sticky_seconds=failover.sticky_seconds,
        ),
        monotonic=time.monotonic,
    )


def make_wiring(settings: Settings) -> Wiring:
    """How places are reached."""
    aws, patience = settings.aws, settings.upstream
    network = Network(
        ca_bundle=str(aws.ca_bundle) if aws.ca_bundle else None,
        https_proxy=aws.https_proxy,
        no_proxy=aws.no_proxy,
        pool=PoolOptions(
            max_connections=patience.max_connections,
            max_connecting=patience.max_connecting,
            connect_timeout_seconds=patience.connect_timeout_seconds,
        ),
        retry=RetryOptions(
            max_attempts=patience.max_attempts,
            retry_seconds=patience.retry_seconds,
            first_byte_seconds=patience.first_byte_timeout_seconds,
            idle_seconds=patience.idle_timeout_seconds,
            total_seconds=patience.total_timeout_seconds,
        ),
    )
    return Wiring(default_place(settings), network, os.environ)


def make_places(settings: Settings) -> Places:
    """Bedrock in the configured region, and wherever else. Raises `SettingsError`."""
    wiring = make_wiring(settings)
    seal = Seal(settings.failover.encryption_secret)

    def unseal(token: bytes) -> ProviderCredentials:
        try:
            return seal.open(token)
        except SealingError as error:
            raise CredentialsError(str(error)) from error

    default = wiring.build(wiring.default)
    return Places(default, read_places(settings), build=wiring.build, unseal=unseal)


def make_control(settings: Settings, *, timeout_seconds: float = 5.0) -> ControlPlane:
    """The control endpoint of the configured account and region. Needs a running loop."""
    from .upstream.control import control_url  # noqa: PLC0415  # seldom needed

    aws = settings.aws
    url = control_url(aws.region, aws.bedrock_control_endpoint_url, aws.bedrock_endpoint_url)
    return make_wiring(settings).control(url, timeout_seconds=timeout_seconds)


def make_fetcher(settings: Settings) -> WebFetcher:
    """What fetches the URLs in requests. Belongs to one loop."""
    from .fetch.fetcher import FetchOptions, WebFetcher  # noqa: PLC0415  # seldom needed

    fetch, aws = settings.fetch, settings.aws
    return WebFetcher(
        FetchOptions(
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
    )
