"""The names of models that usage is booked under: never as many as clients can think of.

A name that the operator, the model table or Bedrock has named is booked as the client says it, and
so is any other once a model has answered to it. A request that failed under any other name is
booked as `unknown`; its record still tells the id that Bedrock was asked for.
"""

from __future__ import annotations

from typing import Final

from ...bounded import Bounded
from ..exchange import Exchange

UNKNOWN: Final = "unknown"
_MAX_REMEMBERED: Final = 1024


class BookedModels:
    """The names of models that this worker has seen answered."""

    def __init__(self) -> None:
        self._answered: Bounded[str, None] = Bounded(_MAX_REMEMBERED)

    def booked(self, exchange: Exchange) -> str:
        """Returns the name for the record of an ended request, if its own is not listed."""
        name = exchange.model
        if name in self._answered:
            return name
        if exchange.upstream_request_id is None and not exchange.meter.final:
            return UNKNOWN
        self._answered[name] = None
        return name
