"""Admission as the settings describe it: who may do what, how often and for how much."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..config import Settings
from ..gateway.admission.authenticator import Authenticator, KeyOptions
from ..gateway.admission.brute_force import BruteForceGuard
from ..gateway.admission.budgets import Budgets
from ..gateway.admission.holds import Holds
from ..gateway.admission.lease import Counters
from ..gateway.admission.pricing import Pricing
from ..gateway.admission.rate_limits import LimitOptions, RateLimits
from ..models.registry import Registry
from ..store.base.keys import KeyStore
from ..store.base.ledger import Ledger
from ..store.journal import Journal
from ..upstream.providers import Providers
from .models import load_prices
from .search import search_price_nano

if TYPE_CHECKING:
    from ..limits.base import Limiter


def make_counters(
    settings: Settings,
    *,
    journal: Journal,
    ledger: Ledger,
    limiter: Limiter,
    registry: Registry,
    providers: Providers,
) -> Counters:
    """Makes what leases are taken from: limits, budgets, prices, the usage journal."""
    budgets = Budgets(
        ledger,
        journal,
        now=time.time,
        monotonic=time.monotonic,
        at_least_one=settings.budgets.holds == "expected",
        fail_open=settings.budgets.on_failure == "open",
    )
    pricing = Pricing(
        registry.names.behind,
        lambda provider: providers.regions.get(provider, settings.aws.region),
        load_prices(),
        now=time.time,
    )
    serves = settings.budgets.unpriced_models == "serve"
    holds = Holds(settings.budgets.holds, pricing)
    limits = make_limits(settings, limiter)
    return Counters(
        journal,
        pricing,
        limits,
        budgets,
        holds,
        time.monotonic,
        serves,
        search_nano=search_price_nano(settings),
    )


def make_authenticator(
    settings: Settings, keys: KeyStore, guard: BruteForceGuard, *, ttl_seconds: float
) -> Authenticator:
    """Makes what finds the key of a request, and remembers it for `ttl_seconds`."""
    auth = settings.auth
    return Authenticator(
        keys,
        KeyOptions(
            require_api_key=auth.require_api_key,
            master_api_key=auth.master_api_key,
            header=auth.api_key_header,
            ttl_seconds=ttl_seconds,
        ),
        monotonic=time.monotonic,
        now=time.time,
        guard=guard,
    )


def make_limiter(settings: Settings) -> Limiter:
    """Makes the limiter of a worker; call it inside that."""
    from ..limits.select import limiter_from_url  # noqa: PLC0415  # after the fork

    limits = settings.limits
    return limiter_from_url(
        limits.url,
        directory=settings.store.data_path,
        timeout_seconds=limits.timeout_seconds,
        fail=limits.on_failure,
    )


def make_limits(settings: Settings, limiter: Limiter) -> RateLimits:
    """Makes the operator's limits, counted by `limiter`."""
    limits = settings.limits
    return RateLimits(
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
