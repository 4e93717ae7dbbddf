"""The lease that brackets every request which may reach the model.

    (nothing) --admit--> OPEN --settle--> SETTLED

Admission takes limits and budget; whatever ends the request settles: the answer ended, the upstream
refused, the client left, the server is stopping. Only the first settling counts. It writes the
usage record to the journal before the last byte of the answer is sent, so that what a client has
read is on disk, and then lets go of what was taken. A process that is killed settles nothing: its
holds and slots lapse, its journal is delivered by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import msgspec

from ...models.registry import Target
from ...protocol.answer.cost import cost_nano
from ...protocol.answer.metering import Usage
from ...protocol.request.messages import MessagesRequest
from ...store.base.usage import MOST, UsageRecord
from ..exchange import Exchange
from .booked_models import BookedModels
from .budget_slice import Hold
from .budgets import Budgets
from .holds import Holds
from .pricing import Pricing
from .rate_limits import RateLimits, Ticket


class Recorder(Protocol):
    """Takes usage records in; it never raises and never waits."""

    def append(self, record: UsageRecord) -> None:
        """Takes a record for good."""
        ...


class Counters(msgspec.Struct, frozen=True):
    """The counters that leases are taken from and settled with; the same for all of a worker."""

    recorder: Recorder
    pricing: Pricing
    limits: RateLimits
    budgets: Budgets
    holds: Holds
    monotonic: Callable[[], float]
    serves_unpriced: bool = True  # of keys with budgets
    search_nano: int = 0  # what one web search costs, in nano-dollars
    names: BookedModels = msgspec.field(default_factory=BookedModels)


class Lease(msgspec.Struct, eq=False):
    """Permission for one request, until it is settled."""

    _exchange: Exchange
    _counters: Counters
    _ticket: Ticket | None = None
    _hold: Hold | None = None
    state: Literal["open", "settled"] = "open"
    _searches: int = 0  # that are covered

    async def extend(self, request: MessagesRequest, searches: int = 0) -> None:
        """Covers one more model call of the same turn, and the searches made until now.

        Raises as admission does.
        """
        target = self._exchange.target
        if target is not None:
            searched = (searches - self._searches) * self._counters.search_nano
            self._searches = searches
            await self.cover((target,), request, searched)

    async def cover(
        self, targets: Sequence[Target], request: MessagesRequest, more_nano: int = 0
    ) -> None:
        """Covers a model call on any of `targets` that nothing is held for, and `more_nano`.

        Raises so too.
        """
        counters = self._counters
        if self._hold is not None:
            amount = counters.holds.amount(self._exchange.key_id, targets, request)
            if nano := amount.nano + (more_nano if counters.holds.mode != "off" else 0):
                await counters.budgets.extend(self._hold, nano)
                self._hold.input_nano += amount.input_nano

    def settle(self) -> None:
        """Records what the request used, and lets go. Only the first call counts."""
        if self.state == "settled":
            return
        self.state = "settled"
        counters, target, meter = self._counters, self._exchange.target, self._exchange.meter
        usage, output_tokens, cost = None, 0, None
        try:
            if target is not None:
                usage, output_tokens = meter.billed(), meter.output_tokens
                cost = self._exchange.cost_nano = self._cost(target, usage, output_tokens)
                counters.recorder.append(self._record(target, usage, output_tokens, cost))
        finally:
            if self._ticket is not None:
                counters.limits.settle(self._ticket, usage, output_tokens)
            if self._hold is not None:
                counters.budgets.settle(self._hold, cost or 0)
                if target is not None and cost:
                    key_id, given = self._exchange.key_id, self._hold.input_nano
                    counters.holds.learn(key_id, target, output_tokens, cost, given)

    def price(self) -> int | None:
        """Returns the cost of what was used so far, in nano-dollars; None: nobody knows."""
        target, meter = self._exchange.target, self._exchange.meter
        if target is None:
            return None
        return self._cost(target, meter.billed(), meter.output_tokens)

    def _cost(self, target: Target, usage: Usage, output_tokens: int) -> int | None:
        exchange, caller = self._exchange, self._exchange.caller
        rates = self._counters.pricing.rates(target)
        if rates is None:
            return None
        cost = cost_nano(
            usage,
            output_tokens,
            rates,
            tier=_tier(exchange, usage),
            writes_for_an_hour=caller is not None and caller.key.cache_ttl == "1h",
        )
        return min(cost + usage.web_searches * self._counters.search_nano, MOST)

    def _record(
        self, target: Target, usage: Usage, output_tokens: int, cost: int | None
    ) -> UsageRecord:
        exchange, caller = self._exchange, self._exchange.caller
        cache, tools = usage.cache_creation, usage.server_tool_use
        return UsageRecord(
            id=exchange.request_id,
            key_id=exchange.key_id,
            at_ms=exchange.at_ms,
            model=exchange.model if exchange.listed else self._counters.names.booked(exchange),
            bedrock_model_id=target.bedrock_model_id,
            dialect=target.dialect,
            stream=exchange.stream,
            input_tokens=usage.input_tokens or 0,
            output_tokens=output_tokens,
            cache_read_input_tokens=usage.cache_read_input_tokens or 0,
            cache_creation_input_tokens=usage.cache_creation_input_tokens or 0,
            cache_creation_5m_input_tokens=(cache and cache.ephemeral_5m_input_tokens) or 0,
            cache_creation_1h_input_tokens=(cache and cache.ephemeral_1h_input_tokens) or 0,
            service_tier=_tier(exchange, usage),
            error=exchange.error_type,
            estimated=exchange.meter.estimated,
            disconnected=exchange.client_gone,
            latency_ms=round((self._counters.monotonic() - exchange.started) * 1000),
            ttft_ms=exchange.ttft_ms,
            cost_nano=cost,
            user_id=caller.key.user_id if caller else None,
            team_id=caller.key.team_id if caller else None,
            place=target.provider,
            upstream_request_id=exchange.upstream_request_id,
            web_search_requests=usage.web_searches,
            web_fetch_requests=(tools and tools.web_fetch_requests) or 0,
            code_execution_requests=(tools and tools.code_execution_requests) or 0,
        )


def _tier(exchange: Exchange, usage: Usage) -> str | None:
    """Returns the tier that served the request, as far as anybody said."""
    return exchange.service_tier or usage.bedrock_service_tier or usage.service_tier
