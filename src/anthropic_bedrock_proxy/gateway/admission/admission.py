"""Admission: may this caller do that, within which limits, from which budgets. Grants leases.

It comes before everything that others would notice: a call of the model, a count by Bedrock, a
look-up of an inference profile, the fetch of a URL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ...bounded import Bounded
from ...errors import InvalidRequestError, PermissionDeniedError, ProxyError, UnavailableError
from ...models.registry import Route
from ...protocol.request.messages import MessagesRequest
from ...protocol.tokens import estimate_quickly
from ...store.base.callers import Caller
from ...store.base.ledger import DAY_MS
from ..exchange import Exchange
from .budget_slice import Budget, Hold, budgets_of
from .holds import NOTHING
from .lease import Counters, Lease
from .periods import today
from .permissions import check_model, check_request
from .rate_limits import LimitPlan, Ticket
from .unpriced import is_unpriced

MODEL_UNPRICED: Final = "model_unpriced"
_MAX_REMEMBERED: Final = 4096


class _CallerPlan(msgspec.Struct, frozen=True):
    """The limits and budgets that apply to a caller, for a day."""

    caller: Caller
    day: int  # since the epoch
    plan: LimitPlan | None
    budgets: Sequence[Budget]  # every one that its requests are paid from


class Admission:
    """Grants leases."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._known: Bounded[str, _CallerPlan] = Bounded(_MAX_REMEMBERED)

    async def admit(
        self, exchange: Exchange, request: MessagesRequest, route: Route, body: bytes | bytearray
    ) -> Lease:
        """Grants a lease to a request that is about to call the model.

        Raises `PermissionDeniedError` for what the key may not do and for a budget that is used
        up, `RateLimitError`, and `UnavailableError` where nobody can tell.
        """
        caller, counters = exchange.caller, self._counters
        if caller is None:  # nobody's request: the master key, or no key at all
            return Lease(exchange, counters)
        key = caller.key
        if key.allowed_models or key.allowed_tools:
            check_request(key, request, route)
        known = self._known_of(caller, exchange.at_ms)
        plan = known.plan
        ticket: Ticket | None = None
        if plan is not None:
            ticket = await counters.limits.take(
                plan,
                input_tokens=estimate_quickly(body) if plan.counts_tokens else 0,
                max_tokens=asked if isinstance(asked := request.view.max_tokens, int) else 0,
            )
        hold: Hold | None = None
        try:
            if ticket is not None:
                exchange.limits = counters.limits.states(ticket.plan, ticket.decision)
            if known.budgets:
                amount = NOTHING
                if not route.opaque:  # else see `confirm`
                    self._check_priced(route)
                    amount = counters.holds.amount(key.id, route.targets, request)
                hold = await counters.budgets.take(known.budgets, amount.nano)
                hold.input_nano = amount.input_nano
                exchange.slices = hold.slices
        except BaseException as error:
            if ticket is not None:
                counters.limits.undo(ticket)
            if isinstance(error, ProxyError):  # where the caller stands can be told all the same
                error.limits = exchange.limits
                slices = counters.budgets.slices
                exchange.slices = [
                    slices[budget.account] for budget in known.budgets if budget.account in slices
                ]
            raise
        exchange.admitted = counters.monotonic()
        return Lease(exchange, counters, ticket, hold)

    async def confirm(
        self, exchange: Exchange, request: MessagesRequest, route: Route, lease: Lease
    ) -> None:
        """Admits again, once it is known what is behind an opaque route. Raises as `admit`."""
        if exchange.caller is not None:
            check_model(exchange.caller.key, route)
            if self._known_of(exchange.caller, exchange.at_ms).budgets:
                self._check_priced(route)
            await lease.cover(route.targets, request)

    async def admit_count(self, exchange: Exchange, request: MessagesRequest, route: Route) -> bool:
        """Tells whether others may be asked for the sake of a count; False: only estimate it.

        So it is when a budget is used up: counting is free, but orders nothing from anybody then.
        Counts have a rate limit of their own, as high as that of requests. Raises
        `PermissionDeniedError` for what the key may not do, and `RateLimitError`.
        """
        caller, counters = exchange.caller, self._counters
        if caller is None:
            return True
        key = caller.key
        if key.allowed_models or key.allowed_tools:
            check_request(key, request, route)
        known = self._known_of(caller, exchange.at_ms)
        plan = None if known.plan is None else counters.limits.plan_of_counts(known.plan)
        if plan is not None:
            await counters.limits.take(plan, input_tokens=0, max_tokens=0)
        if route.opaque and key.allowed_models:
            return False  # nobody knows yet whether the key may use it
        try:
            counters.budgets.settle(await counters.budgets.take(known.budgets, 0), 0)
        except (PermissionDeniedError, UnavailableError):
            return False
        return True

    def _check_priced(self, route: Route) -> None:
        """Raises `InvalidRequestError` for what no budget could count, if that is not served."""
        counters = self._counters
        if not counters.serves_unpriced and is_unpriced(route, counters.pricing):
            raise InvalidRequestError(
                f"model: {route.requested_model[:200]} has no known price, so the budgets of this "
                "key could not count it. The operator sets one with `prices set` or `prices "
                "sync`; choose another model until then.",
                error_code=MODEL_UNPRICED,
                cause=MODEL_UNPRICED,
            )

    def _known_of(self, caller: Caller, at_ms: int) -> _CallerPlan:
        """Looks up once a day, or after a change, what applies to a caller."""
        known = self._known.get(caller.key.id)
        if known is None or known.caller is not caller or known.day != at_ms // DAY_MS:
            known = self._learn(caller, at_ms)
        return known

    def _learn(self, caller: Caller, at_ms: int) -> _CallerPlan:
        budgets = budgets_of(caller, today(at_ms / 1000))
        known = _CallerPlan(caller, at_ms // DAY_MS, self._counters.limits.plan(caller), budgets)
        self._known[caller.key.id] = known
        return known
