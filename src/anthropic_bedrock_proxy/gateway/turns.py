"""Turns of several model calls, for requests whose tools the proxy runs: the gateway's side.

A request has one turn, whatever targets it is tried on: what its history had pending is run once.
A target that lacks a tool which the turn leaves to the model is given another, with what has run.
"""

from __future__ import annotations

import msgspec

from ..models.registry import Target
from ..protocol.raw import encode
from ..tools.toolset import Toolset
from ..turn.driver import begin_turn, open_turn
from ..turn.run_call import searches_made
from ..turn.stream import TurnStream
from .attempt import Attempt
from .exchange import Exchange


async def opened_turn(attempt: Attempt, tools: Toolset) -> TurnStream:
    """Opens the turn's first model call; `tools` are those that the target's model has not.

    Raises `UpstreamRefusal`, `InvalidRequestError`.
    """
    exchange = attempt.exchange
    begun = exchange.turn
    if begun is None or not begun.toolset.covers(tools):
        begun = await begin_turn(
            attempt.request,
            tools,
            exchange.key_id,
            earlier=begun,
            timeline=exchange.timeline,
        )
        exchange.turn = begun
    if begun.needs_no_model:
        count_searches(exchange, attempt.target)
    attempt.warnings = begun.turn.warnings
    attempt.options = msgspec.structs.replace(attempt.options, stream=True)
    return await open_turn(begun, attempt.open_call)


def count_searches(exchange: Exchange, target: Target) -> None:
    """Charges the searches of a turn whose model was not asked, or gave no answer.

    They have their price all the same; `target` is whose record they stand in, if no other is.
    """
    searches = searches_made(exchange.timeline)
    if not searches:
        return
    exchange.target = exchange.target or target
    usage = {"server_tool_use": {"web_search_requests": searches}}
    if exchange.turn is not None:
        usage = exchange.turn.turn.spent()
    exchange.meter.observe((b"message_delta", encode({"type": "message_delta", "usage": usage})))
