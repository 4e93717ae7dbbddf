"""Which targets to try for a request, in which order, and what their failures mean for the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..errors import NotFoundError, UpstreamRefusal, rule_for
from ..protocol.messages import MessagesRequest
from .exchange import Exchange
from .routing import Route, Target

_NO_SUCH_ENDPOINT: Final = frozenset((404, 405, 501))


class Failover:
    """Chooses among the targets of a route."""

    def order(self, route: Route, exchange: Exchange, request: MessagesRequest) -> Sequence[Target]:
        """The targets to try, best first."""
        return route.targets

    def failed(self, target: Target, refusal: UpstreamRefusal, rest: Sequence[Target]) -> bool:
        """Takes note of a failure; whether one of `rest` may do better."""
        return bool(rest) and _is_elsewhere(target, refusal)

    def succeeded(self, target: Target) -> None:
        """Takes note of an answer."""


def _is_elsewhere(target: Target, refusal: UpstreamRefusal) -> bool:
    """Whether the endpoint itself is missing: the same place may speak another dialect."""
    return target.dialect in ("messages", "mantle") and (
        refusal.status in _NO_SUCH_ENDPOINT or rule_for(refusal).error is NotFoundError
    )
