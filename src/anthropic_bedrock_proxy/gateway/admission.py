"""Admission: may this caller do that, within which limits, from which budgets. Grants leases."""

from __future__ import annotations

from typing import Final

from ..errors import ProxyError
from ..protocol.cost import most_nano
from ..protocol.messages import MessagesRequest
from ..protocol.tokens import bound_input, estimate_input
from .exchange import Exchange
from .lease import Desk, Lease
from .limiting import Ticket
from .periods import today
from .permissions import check_request
from .purse import Budget, Hold, budgets_of
from .routing import Route

_LARGE: Final = 65_536  # bytes; in a smaller body, images are not looked for
_BYTES_PER_TOKEN: Final = 4


class Admission:
    """Grants leases."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def admit(
        self, exchange: Exchange, request: MessagesRequest, route: Route, body: bytes | bytearray
    ) -> Lease:
        """A lease for a request that is about to call the model.

        Raises `PermissionDeniedError` for what the key may not do and for a budget that is used
        up, `RateLimitError`, and `UnavailableError` where nobody can tell.
        """
        caller, desk = exchange.caller, self._desk
        if caller is None:  # nobody's request: the master key, or no key at all
            return Lease(exchange, desk)
        key = caller.key
        if key.allowed_models or key.allowed_tools:
            check_request(key, request, route)
        ticket: Ticket | None = None
        plan = desk.limits.plan(caller)
        if plan is not None:
            input_tokens = 0 if plan.counts_only_requests else _estimate(body)
            ticket = await desk.limits.take(
                plan, input_tokens=input_tokens, max_tokens=_max_tokens(request)
            )
            exchange.rate_headers = desk.limits.headers(plan, ticket.decision)
        budgets = budgets_of(caller, today(exchange.at_ms / 1000))
        if not budgets:
            return Lease(exchange, desk, ticket)
        try:
            hold = await self._hold(budgets, request, route, body)
        except BaseException as error:
            if ticket is not None:
                desk.limits.undo(ticket)
                if isinstance(error, ProxyError):
                    error.extra_headers = exchange.rate_headers
            raise
        return Lease(exchange, desk, ticket, hold)

    async def _hold(
        self, budgets: list[Budget], request: MessagesRequest, route: Route, body: bytes | bytearray
    ) -> Hold:
        desk, most = self._desk, 0
        if desk.budgets.holds:
            for target in route.targets:
                rates = desk.pricing.rates(target)
                if rates is not None:
                    tokens = _max_tokens(request)
                    # Priority is the dearest tier; which one serves it is Bedrock's choice.
                    most = max(most, most_nano(bound_input(body), tokens, rates, tier="priority"))
        return await desk.budgets.take(budgets, most)


def _max_tokens(request: MessagesRequest) -> int:
    asked = request.view.max_tokens
    return asked if isinstance(asked, int) else 0


def _estimate(body: bytes | bytearray) -> int:
    return len(body) // _BYTES_PER_TOKEN if len(body) < _LARGE else estimate_input(body)
