"""Admission: may this caller do that, within which limits, from which budgets. Grants leases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...errors import ProxyError
from ...protocol.messages import MessagesRequest
from ...protocol.tokens import estimate_input
from ...store.records import Caller
from ..exchange import Exchange
from ..routing import Route
from .lease import Desk, Lease
from .limiting import Ticket
from .periods import Today, today
from .permissions import check_request
from .purse import Budget, Hold, budgets_of

_LARGE: Final = 65_536  # bytes; in a smaller body, images are not looked for
_BYTES_PER_TOKEN: Final = 4
_MAX_REMEMBERED: Final = 4096


class Admission:
    """Grants leases."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._known: dict[str, tuple[Caller, Today, Sequence[Budget]]] = {}

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
            input_tokens = _estimate(body) if plan.counts_tokens else 0
            ticket = await desk.limits.take(
                plan, input_tokens=input_tokens, max_tokens=_max_tokens(request)
            )
        try:
            if ticket is not None:
                exchange.rate_headers = desk.limits.headers(ticket.plan, ticket.decision)
            hold = None
            if budgets := self._budgets(caller, exchange.at_ms):
                hold = await self._hold(budgets, request, route)
        except BaseException as error:
            if ticket is not None:
                desk.limits.undo(ticket)
                if isinstance(error, ProxyError):
                    error.extra_headers = exchange.rate_headers
            raise
        return Lease(exchange, desk, ticket, hold)

    def _budgets(self, caller: Caller, at_ms: int) -> Sequence[Budget]:
        """Every budget that a request of this caller is paid from, remembered for the day."""
        known = self._known.get(caller.key.id)
        if known is not None and known[0] is caller and not known[2]:
            return ()
        day = today(at_ms / 1000)
        if known is None or known[0] is not caller or known[1] is not day:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            known = self._known[caller.key.id] = (caller, day, budgets_of(caller, day))
        return known[2]

    async def _hold(
        self, budgets: Sequence[Budget], request: MessagesRequest, route: Route
    ) -> Hold:
        desk, most = self._desk, 0
        if desk.budgets.holds:
            most = max(desk.pricing.most(target, request) for target in route.targets)
        return await desk.budgets.take(budgets, most)


def _max_tokens(request: MessagesRequest) -> int:
    asked = request.view.max_tokens
    return asked if isinstance(asked, int) else 0


def _estimate(body: bytes | bytearray) -> int:
    return len(body) // _BYTES_PER_TOKEN if len(body) < _LARGE else estimate_input(body)
