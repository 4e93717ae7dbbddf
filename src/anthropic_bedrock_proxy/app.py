"""The composition root: settings in, a wired application out. Parts open and close in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Final

from .backends import make_limiter
from .config import Settings
from .fetch.base import NoFetcher
from .gateway.admission.admission import Admission
from .gateway.admission.attempts import Attempts
from .gateway.admission.budgets import Budgets
from .gateway.admission.keys import Authenticator, KeyOptions
from .gateway.admission.lease import Desk
from .gateway.admission.pricing import Pricing
from .gateway.counting import Counting
from .gateway.messages import Messages
from .gateway.pacing import Pacing
from .gateway.sources import Sources
from .http.application import Application
from .http.routes import Routes
from .http.server.bounds import ConnectionBounds
from .live import Live, OnDemandFetcher
from .parts import (
    make_bounds,
    make_control,
    make_cors,
    make_failover,
    make_fetcher,
    make_limits,
    make_places,
    make_registry,
    make_terms,
)
from .store.base import Store, StoreError
from .store.journal import Journal
from .store.retention import expire_usage
from .telemetry.logs import AccessLog
from .telemetry.watchdog import Watchdog
from .upstream.places import Places

if TYPE_CHECKING:
    from .admin.api import AdminAPI
    from .aws.resolver.resolver import Resolver
    from .limits.base import Limiter

_RESTART_SECONDS: Final = 5.0
_OPEN_SECONDS: Final = 1.0
_log = logging.getLogger("anthropic_bedrock_proxy")


class App:
    """A running application; `close` ends it in the reverse order of `build`."""

    def __init__(
        self,
        application: Application,
        *,
        bounds: ConnectionBounds,
        store: Store,
        journal: Journal,
        resolver: Resolver,
        tasks: Sequence[asyncio.Task[None]],
        places: Places,
        live: Live,
        fetcher: OnDemandFetcher,
        budgets: Budgets,
        limiter: Limiter,
        access_log: AccessLog | None,
        watchdog: Watchdog,
    ) -> None:
        self.application = application
        self.bounds = bounds
        self._store = store
        self._journal = journal
        self._resolver = resolver
        self._tasks = tasks
        self._places = places
        self._live = live
        self._fetcher = fetcher
        self._budgets = budgets
        self._limiter = limiter
        self._access_log = access_log
        self._watchdog = watchdog

    async def close(self) -> None:
        """Lets go of AWS, delivers the usage that is left, closes the store."""
        self._watchdog.stop()
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
        await self._resolver.close()
        if self._access_log is not None:
            self._access_log.flush()


async def build(settings: Settings, store: Store, resolver: Resolver) -> App:
    """Wires one worker; `store` is not open yet, and need not answer before there are requests."""
    places = make_places(settings, resolver)
    opening = await _open(store)
    journal = Journal(settings.store.journal_path, store.ledger)
    registry = make_registry(settings, places.regions)
    limiter = make_limiter(settings)
    budgets = Budgets(
        store.ledger,
        journal,
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
        new_control=lambda: make_control(settings, resolver),
        on_providers=places.replace_stored,
        on_prices=pricing.replace_stored,
    )
    fetcher = OnDemandFetcher(lambda: make_fetcher(settings))
    sources = Sources(fetcher if settings.fetch.enabled else NoFetcher())
    admission = Admission(desk)
    attempts = Attempts()
    routes = Routes(
        messages=Messages(
            upstreams=places,
            registry=registry,
            failover=make_failover(settings),
            admission=admission,
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
        counting=Counting(places, registry, sources, admission, monotonic=time.monotonic),
        registry=registry,
        authenticator=_authenticator(
            settings, store, settings.auth.key_cache_ttl_seconds, attempts
        ),
        max_body_bytes=settings.server.max_body_bytes,
        key_header=settings.auth.api_key_header,
        environment=settings.server.environment,
        trusted_networks=settings.auth.trusted_proxies,
        build_admin=lambda: _build_admin(settings, store),
        admin_authenticator=_authenticator(settings, store, 0.0, attempts),
    )
    await live.begin()
    access_log = _access_log(settings) if settings.server.access_log else None
    tasks = [
        *opening,
        _keep_running(
            "usage no longer reaches the store",
            lambda: journal.run(
                store.usage, interval_seconds=settings.store.journal_interval_seconds
            ),
        ),
        _keep_running("what is borrowed from budgets is no longer renewed", budgets.run),
        _keep_running("what runs at once is no longer renewed", limiter.run),
    ]
    if settings.store.usage_ttl_days:
        days = settings.store.usage_ttl_days
        tasks.append(
            _keep_running(
                "usage records no longer expire", lambda: expire_usage(store.usage, days=days)
            )
        )
    watchdog = Watchdog()
    watchdog.start()
    return App(
        routes.application(access_log, cors=make_cors(settings)),
        bounds=make_bounds(settings),
        store=store,
        journal=journal,
        resolver=resolver,
        tasks=tasks,
        places=places,
        live=live,
        fetcher=fetcher,
        budgets=budgets,
        limiter=limiter,
        access_log=access_log,
        watchdog=watchdog,
    )


async def _open(store: Store) -> list[asyncio.Task[None]]:
    """Opens the store; returns the task if that takes long, for nobody waits at a start."""
    opening = asyncio.create_task(store.open())
    _, late = await asyncio.wait((opening,), timeout=_OPEN_SECONDS)
    error = TimeoutError("no answer in time") if late else opening.exception()
    if isinstance(error, StoreError | TimeoutError):
        _log.error("the store does not answer yet: %s", error)  # no bug of ours
    elif error is not None:
        raise error
    return list(late)


def _keep_running(loss: str, work: Callable[[], Coroutine[None, None, None]]) -> asyncio.Task[None]:
    """Starts a task that lasts as long as the application.

    If it fails, its `loss` is logged and it begins anew after a pause.
    """

    async def run() -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001  # whatever it is, the application goes on
                _log.critical("%s for %g s: %r", loss, _RESTART_SECONDS, error)
            else:
                return  # there was nothing to keep running
            await asyncio.sleep(_RESTART_SECONDS)

    return asyncio.create_task(run())


def _authenticator(
    settings: Settings, store: Store, ttl_seconds: float, attempts: Attempts
) -> Authenticator:
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
        attempts=attempts,
    )


def _access_log(settings: Settings) -> AccessLog:
    master = settings.auth.master_api_key
    return AccessLog(settings.server.log_format, secrets=[master] if master else [])


def _build_admin(settings: Settings, store: Store) -> AdminAPI:
    from .administration import build_admin  # noqa: PLC0415  # most workers never need it

    return build_admin(settings, store)
