"""Metrics as the settings describe them: the board, what is written to it, and how it is read."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from ..config import Settings, SettingsError
from ..gateway.admission.budgets import Budgets
from ..gateway.failover.failover import Failover
from ..models.geography import base_model_id
from ..models.registry import Registry
from ..money import NANO_PER_USD
from ..store.journal import Journal
from ..telemetry.metrics.board import Board, Slab
from ..telemetry.metrics.facts import OTHER
from ..telemetry.metrics.labels import label
from ..telemetry.metrics.request_counter import RequestCounter
from ..telemetry.metrics.states import State, States
from .sandbox import OnDemandSandbox

if TYPE_CHECKING:
    from ..http.application import Application
    from ..telemetry.ended_requests import EndedRequests
    from ..telemetry.metrics.exposition import Exposition

_log = logging.getLogger("anthropic_bedrock_proxy.telemetry")
_BREAKERS: Final = {"closed": 0.0, "half_open": 1.0, "open": 2.0}


def make_board(settings: Settings) -> Board | None:
    """Makes the memory that workers count in, before they are forked; None without metrics."""
    return Board(settings.server.workers) if settings.telemetry.enable_metrics else None


def make_metrics(settings: Settings, board: Board | None, registry: Registry) -> Metrics | None:
    """Makes the metrics of one worker; None if there are none."""
    if board is None:
        return None
    try:
        slab = board.take()
    except OSError as error:  # too many workers that leave: it serves, /metrics too
        _log.error("a worker's requests are not counted: %s", error)
        slab = board.unread()
    return Metrics(settings, board, slab, registry)


def check_metrics(settings: Settings) -> None:
    """Raises `SettingsError` for names of dashboards that nobody knows."""
    asked = settings.telemetry.metrics_compat
    if not asked:
        return
    from ..telemetry.metrics.compat import COMPAT  # noqa: PLC0415  # off by default

    unknown = [name for name in asked if name not in COMPAT]
    if unknown:
        known = ", ".join(COMPAT)
        raise SettingsError([f"METRICS_COMPAT: {name!r} is none of {known}" for name in unknown])


class Metrics:
    """The metrics of one worker: it counts in its slab, and reads those of all."""

    def __init__(self, settings: Settings, board: Board, slab: Slab, registry: Registry) -> None:
        telemetry = settings.telemetry
        self._board = board
        self._compat = telemetry.metrics_compat
        self._with_keys = telemetry.metrics_key_label
        self._slab = slab
        self._registry = registry
        self._exposition: Exposition | None = None
        self._states = States(slab, ())
        self._count_waiting: Callable[[], None] = lambda: None
        self.counter = RequestCounter(slab, betas=registry.known_betas(), with_keys=self._with_keys)

    def watch(
        self,
        application: Application,
        ended: EndedRequests,
        *,
        failover: Failover,
        journal: Journal,
        budgets: Budgets,
        sandbox: OnDemandSandbox,
    ) -> None:
        """Names the parts whose states are told, and the requests that wait to be counted."""
        self._count_waiting = ended.flush
        self._states = States(
            self._slab,
            (
                lambda: [("http_requests_in_flight", "", "", float(application.in_flight))],
                lambda: _of_journal(journal),
                lambda: _of_targets(failover, self._registry),
                lambda: _of_budgets(budgets, time.time(), with_keys=self._with_keys),
                lambda: _of_sandboxes(sandbox),
            ),
        )

    async def run(self) -> None:
        """Writes states once a second, until cancelled."""
        await self._states.run()

    def close(self) -> None:
        """Ends its states; what it has counted stays."""
        self._slab.release()

    async def render(self, accept: str) -> tuple[bytes, str]:
        """Renders the metrics of all workers, beside the loop."""
        self._count_waiting()
        self._states.write()
        return await asyncio.to_thread(self._rendered, accept)

    def _rendered(self, accept: str) -> tuple[bytes, str]:
        if self._exposition is None:
            from ..telemetry.metrics.exposition import (  # noqa: PLC0415  # heavy; if scraped at all
                Exposition,
            )

            self._exposition = Exposition(
                self._board, compat=self._compat, with_keys=self._with_keys
            )
        return self._exposition.render(accept)


def _of_journal(journal: Journal) -> Iterable[State]:
    yield "usage_journal_records", "", "", float(journal.undelivered)
    yield "usage_delivery_failing", "", "", float(journal.failing)


def _of_targets(failover: Failover, registry: Registry) -> Iterable[State]:
    """Tells of targets by their models; the ids that clients have made up are told together."""
    states: dict[tuple[str, str], float] = {}
    if failover.all_breakers:
        listed = registry.listed_ids()
        for (provider, model), breakers in failover.all_breakers.items():
            key = (provider, label(model) if base_model_id(model) in listed else OTHER)
            states[key] = max(states.get(key, 0.0), _BREAKERS[breakers.state])
    return [("breaker_state", *key, state) for key, state in states.items()]


def _of_budgets(budgets: Budgets, now: float, *, with_keys: bool) -> Iterable[State]:
    """Tells of the budgets of this time that this worker has asked the ledger about."""
    least: dict[tuple[str, str], float] = {}
    exhausted: dict[tuple[str, str], int] = {}
    for account, slice_ in budgets.slices.items():
        budget, left = slice_.budget, slice_.remaining
        if left is None or not budget.nano or (budget.resets_at or math.inf) <= now:
            continue
        if with_keys:
            yield "budget_left_usd", account.owner, budget.period, left / NANO_PER_USD
        kind = (account.owner.partition(":")[0], budget.period)
        least[kind] = min(least.get(kind, 1.0), left / budget.nano)
        exhausted[kind] = exhausted.get(kind, 0) + (left == 0)
    for kind, ratio in least.items():
        yield "budget_left_ratio", *kind, ratio
        yield "budgets_exhausted", *kind, float(exhausted[kind])


def _of_sandboxes(sandbox: OnDemandSandbox) -> Iterable[State]:
    """Tells of executors that were reached: nothing is started or asked for its sake."""
    if not sandbox.in_use:
        return
    states = [one for one in sandbox.states().values() if one is not None and one.status != "idle"]
    if not states:
        return
    yield "ptc_executors_ready", "", "", float(sum(one.status == "ready" for one in states))
    yield "ptc_sessions_active", "", "", float(sum(one.containers for one in states))
    yield "ptc_cells", "running", "", float(sum(one.running for one in states))
    yield "ptc_cells", "waiting", "", float(sum(one.waiting for one in states))
    yield "ptc_warm_runners", "", "", float(sum(one.warm for one in states))
    yield "ptc_container_errors", "", "", float(sum(one.errors for one in states))
