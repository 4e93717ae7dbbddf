"""The composition root: settings in, a wired application out. Parts open and close in order.

The other files of this folder make the parts; each says in its first line which.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from ..config import Settings, SettingsError
from ..gateway.admission.admission import Admission
from ..gateway.admission.budgets import Budgets
from ..health.components import Components
from ..http.application import Application
from ..http.health import Health
from ..http.server.bounds import ConnectionBounds
from ..limits.select import check_url as check_limits_url
from ..store.base.errors import StoreError
from ..store.base.store import Store
from ..store.journal import Journal
from ..telemetry.access_log import AccessLog
from ..telemetry.ended_requests import EndedRequests
from ..telemetry.request_log.writer import RequestLog
from ..telemetry.watchdog import Watchdog
from ..upstream.providers import Providers
from .admission import make_counters, make_limiter
from .bedrock import make_control, make_providers, make_wiring, read_providers
from .catalog import CatalogUpdates
from .gateway import make_failover, make_gateway
from .health import check_health, make_health
from .http import check_http, make_application, make_bounds
from .metrics import Metrics, check_metrics, make_metrics
from .models import make_registry, read_chains
from .observers import (
    make_access_log,
    make_content_observers,
    make_ended_requests,
    make_observers,
    make_request_log,
)
from .sandbox import OnDemandSandbox
from .seals import OnDemandSeals
from .search import OnDemandSearcher
from .search_plan import plan_search
from .start_note import note_missed_search, note_unpriced
from .syncs import check_syncs, make_syncs
from .tracing import Tracing, check_tracing, make_tracing
from .url_fetcher import OnDemandFetcher, make_fetcher
from .web_pages import OnDemandPages

if TYPE_CHECKING:
    from ..aws.resolver.resolver import Resolver
    from ..limits.base import Limiter
    from ..sandbox.child import OwnExecutor
    from ..telemetry.metrics.board import Board
    from ..telemetry.output import LogOutput
    from .start_note import FirstWorker

_RESTART_SECONDS: Final = 5.0
_OPEN_SECONDS: Final = 1.0
_log = logging.getLogger("anthropic_bedrock_proxy")


class Inherited(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that are made before workers are forked, and what holds for all of them.

    `own_executor` is that of this installation, if it has one; `board` is what its workers count
    in, if they do.
    """

    store: Store
    resolver: Resolver
    own_executor: OwnExecutor | None = None
    board: Board | None = None
    output: LogOutput  # of log lines
    stored_providers: bool = True  # whether those of the store are called
    first: FirstWorker | None = None  # who tells what need not be told by each


class App:
    """A running application; `close` ends it in the reverse order of `build`."""

    def __init__(
        self,
        application: Application,
        health: Health,
        components: Components,
        *,
        bounds: ConnectionBounds,
        store: Store,
        journal: Journal,
        resolver: Resolver,
        tasks: Sequence[asyncio.Task[None]],
        providers: Providers,
        updates: CatalogUpdates,
        fetcher: OnDemandFetcher,
        pages: OnDemandPages,
        sandbox: OnDemandSandbox,
        searcher: OnDemandSearcher,
        budgets: Budgets,
        limiter: Limiter,
        ended: EndedRequests,
        metrics: Metrics | None,
        access_log: AccessLog | None,
        request_log: RequestLog | None,
        tracing: Tracing | None,
        watchdog: Watchdog,
    ) -> None:
        self.application = application
        self._health = health
        self._components = components
        self.bounds = bounds
        self._store = store
        self._journal = journal
        self._resolver = resolver
        self._tasks = tasks
        self._providers = providers
        self._updates = updates
        self._fetcher = fetcher
        self._pages = pages
        self._sandbox = sandbox
        self._searcher = searcher
        self._budgets = budgets
        self._limiter = limiter
        self._ended = ended
        self._metrics = metrics
        self._access_log = access_log
        self._request_log = request_log
        self._tracing = tracing
        self._watchdog = watchdog

    @property
    def in_flight(self) -> int:
        """Returns the number of requests that have not ended."""
        return self.application.in_flight

    def drain(self) -> None:
        """Notes that no new requests are welcome, though each that comes is served."""
        self._health.draining = True

    async def close(self) -> None:
        """Lets go of AWS, delivers the usage that is left, closes the store, ends the logs."""
        try:
            await self._let_go()
        finally:  # whatever fails, of every request is told
            self._ended.flush()
            if self._metrics is not None:
                self._metrics.close()
            if self._access_log is not None:
                self._access_log.close()
            if self._request_log is not None:
                self._request_log.close()
            if self._tracing is not None:
                await self._tracing.close()

    async def _let_go(self) -> None:
        self._watchdog.stop()
        await self._components.close()
        await self._updates.close()
        self._fetcher.close()
        await self._pages.close()
        await self._sandbox.close()
        await self._searcher.close()
        await self._providers.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._journal.finish(self._store.usage)
        await self._budgets.close()
        self._journal.close()  # not before: whoever takes over the files sets these holds, too
        await self._limiter.close()
        await self._store.close()
        await self._resolver.close()


def check(settings: Settings) -> None:
    """Raises `SettingsError` for settings that cannot be used together, or here."""
    check_http(settings)
    check_metrics(settings)
    check_health(settings)
    check_tracing(settings)
    check_syncs(settings)
    plan_search(settings)
    read_chains(settings, read_providers(settings))
    try:
        check_limits_url(settings.limits.url)
    except ValueError as error:
        raise SettingsError([f"LIMITS_URL: {error}"]) from error


async def build(
    settings: Settings,
    inherited: Inherited,
) -> App:
    """Wires one worker; its store is not open yet, and need not answer before requests come."""
    store, resolver, board = inherited.store, inherited.resolver, inherited.board
    providers = make_providers(settings, resolver)
    opening = await _open(store)
    journal = Journal(settings.store.journal_path, store.ledger)
    registry = make_registry(settings, providers.regions)
    limiter = make_limiter(settings)
    counters = make_counters(
        settings,
        journal=journal,
        ledger=store.ledger,
        limiter=limiter,
        registry=registry,
        providers=providers,
    )
    updates = CatalogUpdates(
        store.catalog,
        registry,
        interval_seconds=settings.models.catalog_refresh_seconds,
        new_control=lambda: make_control(settings, resolver),
        on_providers=providers.replace_stored if inherited.stored_providers else lambda _: None,
        on_prices=counters.pricing.replace_stored,
    )
    fetcher = OnDemandFetcher(lambda: make_fetcher(settings))
    pages = OnDemandPages(settings)
    sandbox = OnDemandSandbox(settings, inherited.own_executor)
    searcher = OnDemandSearcher(settings, lambda: make_wiring(settings, resolver))
    failover = make_failover(settings)
    messages, counting = make_gateway(
        settings,
        registry=registry,
        providers=providers,
        admission=Admission(counters),
        updates=updates,
        fetcher=fetcher,
        pages=pages if pages.enabled else None,
        sandbox=sandbox,
        searcher=searcher,
        seals=OnDemandSeals(settings, store.kept_secrets),
        failover=failover,
    )
    metrics = make_metrics(settings, board, registry)
    access_log = make_access_log(settings, inherited.output)
    request_log = make_request_log(settings)
    ended = make_ended_requests(settings, access_log, request_log, metrics)
    tracing = make_tracing(settings)
    health, components = make_health(
        settings,
        store=store,
        limiter=limiter,
        providers=providers,
        sandbox=sandbox,
    )
    application = make_application(
        settings,
        store=store,
        registry=registry,
        messages=messages,
        counting=counting,
        health=health,
        sandbox_health=sandbox.health(),
        search_health=searcher.health(),
        server_tools=_server_tools(sandbox, searcher, pages),
        files=sandbox.client if sandbox.enabled else None,
        content=make_content_observers(settings, tracing),
        render_metrics=metrics.render if metrics is not None else None,
        observers=make_observers(ended, tracing),
        begin_trace=tracing.begin if tracing is not None else None,
    )
    tasks = _start_tasks(settings, store, journal, counters.budgets, limiter)
    for sync in make_syncs(settings, store, resolver, providers.regions.values):
        tasks.append(_keep_running("prices or names are no longer synced", sync.run))
    if metrics is not None:
        metrics.watch(
            application,
            ended,
            failover=failover,
            journal=journal,
            budgets=counters.budgets,
            sandbox=sandbox,
        )
        tasks.append(_keep_running("states are no longer measured", metrics.run))
    await updates.begin()
    if inherited.first is not None and inherited.first.claim():
        note_missed_search(settings, searcher.plan)
        refuses = not counters.serves_unpriced
        note = note_unpriced(registry, counters.pricing, refuses=refuses)
        tasks.append(asyncio.create_task(note))
    watchdog = Watchdog()
    watchdog.start()
    return App(
        application,
        health,
        components,
        bounds=make_bounds(settings),
        store=store,
        journal=journal,
        resolver=resolver,
        tasks=[*opening, *tasks],
        providers=providers,
        updates=updates,
        fetcher=fetcher,
        pages=pages,
        sandbox=sandbox,
        searcher=searcher,
        budgets=counters.budgets,
        limiter=limiter,
        ended=ended,
        metrics=metrics,
        access_log=access_log,
        request_log=request_log,
        tracing=tracing,
        watchdog=watchdog,
    )


def _server_tools(
    sandbox: OnDemandSandbox, searcher: OnDemandSearcher, pages: OnDemandPages
) -> list[str]:
    """Returns the names of the tools that the proxy runs, as the list of models tells them."""
    kinds = {
        "code_execution": sandbox.enabled,
        "web_search": searcher.enabled,
        "web_fetch": pages.enabled,
    }
    return [name for name, is_served in kinds.items() if is_served]


def _start_tasks(
    settings: Settings, store: Store, journal: Journal, budgets: Budgets, limiter: Limiter
) -> list[asyncio.Task[None]]:
    """Starts what runs beside the requests of a worker."""
    interval, days = settings.store.journal_interval_seconds, settings.store.usage_ttl_days
    tasks = [
        _keep_running(
            "usage no longer reaches the store",
            lambda: journal.run(store.usage, interval_seconds=interval),
        ),
        _keep_running("what is borrowed from budgets is no longer renewed", budgets.run),
        _keep_running("what runs at once is no longer renewed", limiter.run),
    ]
    if days:
        from ..store.retention import expire_usage  # noqa: PLC0415  # off by default

        tasks.append(
            _keep_running(
                "usage records no longer expire", lambda: expire_usage(store.usage, days=days)
            )
        )
    return tasks


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
