"""A desk for leases: no limits, no budgets spent, every price of the shipped table."""

from __future__ import annotations

import time

from deliveries import Delivered

from anthropic_bedrock_proxy.gateway.admission.budgets import Budgets
from anthropic_bedrock_proxy.gateway.admission.lease import Desk
from anthropic_bedrock_proxy.gateway.admission.pricing import Pricing
from anthropic_bedrock_proxy.gateway.admission.rate_limits import LimitOptions, RateLimits
from anthropic_bedrock_proxy.limits.memory import MemoryLimiter
from anthropic_bedrock_proxy.store.memory.store import MemoryStore


def make_desk(recorder, registry, *, monotonic, store=None, limits=None, holds=False) -> Desk:
    """`recorder` has an `append`; `limits` are `LimitOptions`."""
    ledger = (store or MemoryStore()).ledger
    return Desk(
        recorder,
        Pricing(registry.behind, lambda _: "us-east-1", now=time.time),
        RateLimits(MemoryLimiter(), limits or LimitOptions(enabled=False), now=time.time),
        Budgets(ledger, Delivered("w"), now=time.time, monotonic=monotonic, holds=holds),
        monotonic,
    )
