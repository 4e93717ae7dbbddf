"""Turns of several model calls, for requests whose tools the proxy runs: the gateway's side.

A request has one turn, whatever targets it is tried on: what its history had pending is run once.
"""

from __future__ import annotations

import msgspec

from ..tools.toolset import Toolset
from ..turn.driver import begin_turn, open_turn
from ..turn.stream import TurnStream
from .attempt import Attempt


async def opened_turn(attempt: Attempt, toolset: Toolset) -> TurnStream:
    """Opens the turn's first model call. Raises `UpstreamRefusal`, `InvalidRequestError`."""
    exchange = attempt.exchange
    if exchange.turn is None:
        exchange.turn = await begin_turn(attempt.request, toolset, exchange.key_id)
    attempt.options = msgspec.structs.replace(attempt.options, stream=True)
    return await open_turn(exchange.turn, attempt.open_call)
