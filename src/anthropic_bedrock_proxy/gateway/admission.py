"""The lease that brackets every request which reaches the model.

Taken before the upstream call, settled exactly once whatever happens: the answer ended, the
upstream refused, the client left, the server is stopping. Settling writes the usage record to the
journal before the last byte of the answer is sent, so that what a client has read is on disk.
Limits and budgets will be taken here and given back here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..store.records import UsageRecord
from .exchange import Exchange


class Recorder(Protocol):
    """Where usage records go; it never raises and never waits."""

    def append(self, record: UsageRecord) -> None:
        """Takes a record for good."""
        ...


class Lease:
    """Permission for one request, until it is settled."""

    __slots__ = ("_exchange", "_monotonic", "_recorder", "_settled")

    def __init__(
        self, exchange: Exchange, recorder: Recorder, monotonic: Callable[[], float]
    ) -> None:
        self._exchange = exchange
        self._recorder = recorder
        self._monotonic = monotonic
        self._settled = False

    def settle(self) -> None:
        """Records what the request used. Only the first call counts."""
        if self._settled:
            return
        self._settled = True
        exchange = self._exchange
        target = exchange.target
        if target is None:
            return
        meter = exchange.meter
        usage = meter.usage
        cache = usage.cache_creation
        self._recorder.append(
            UsageRecord(
                id=exchange.request_id,
                key_id=exchange.key_id,
                at_ms=exchange.at_ms,
                model=exchange.model,
                bedrock_model_id=target.bedrock_model_id,
                dialect=target.dialect,
                stream=exchange.stream,
                input_tokens=usage.input_tokens or 0,
                output_tokens=meter.output_tokens,
                cache_read_input_tokens=usage.cache_read_input_tokens or 0,
                cache_creation_input_tokens=usage.cache_creation_input_tokens or 0,
                cache_creation_5m_input_tokens=(cache and cache.ephemeral_5m_input_tokens) or 0,
                cache_creation_1h_input_tokens=(cache and cache.ephemeral_1h_input_tokens) or 0,
                service_tier=exchange.service_tier or usage.service_tier,
                error=exchange.error_type,
                estimated=meter.estimated,
                disconnected=exchange.client_gone,
                latency_ms=round((self._monotonic() - exchange.started) * 1000),
                ttft_ms=exchange.ttft_ms,
            )
        )


class Admission:
    """Grants leases."""

    def __init__(self, recorder: Recorder, *, monotonic: Callable[[], float]) -> None:
        self._recorder = recorder
        self._monotonic = monotonic

    def admit(self, exchange: Exchange) -> Lease:
        """A lease for a request that is about to call the model."""
        return Lease(exchange, self._recorder, self._monotonic)
