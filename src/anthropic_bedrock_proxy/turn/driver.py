"""The beginning of a turn: what its history left open is run, then the first model call is opened.

The two are apart because the second may fail and be done elsewhere, and the first is done once.
"""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec

from ..errors import InvalidRequestError, UnavailableError
from ..protocol.request.messages import MessagesRequest
from ..timeline import Timeline
from ..tools.calls import Outcome
from ..tools.toolset import Toolset
from .actions import Action, CallOutcome, End, RunCall
from .loop import Turn
from .run_call import NewTimeout, run_calls
from .stream import OpenCall, TurnStream


class BegunTurn(msgspec.Struct, frozen=True, eq=False):
    """A turn whose history is complete: `actions` are a model call, or all of a short answer.

    `outcomes` are those of the calls that the history had left open, by their ids. Calls are noted
    in `timeline`.
    """

    turn: Turn
    toolset: Toolset
    actions: list[Action]
    outcomes: dict[str, Outcome]
    timeline: Timeline

    @property
    def needs_no_model(self) -> bool:
        """Tells whether the answer is complete without a model call."""
        return isinstance(self.actions[-1], End)


async def begin_turn(
    request: MessagesRequest,
    toolset: Toolset,
    key_id: str = "",
    *,
    earlier: BegunTurn | None = None,
    timeline: Timeline | None = None,
    new_timeout: NewTimeout = asyncio.timeout,
) -> BegunTurn:
    """Begins a turn: runs what its history left open, all at once. No model is called.

    `earlier` is a turn of the same request: what it has run is not run again. Raises
    `InvalidRequestError` with the path, and whatever `ProxyError` a tool has against the request.
    """
    timeline = timeline or Timeline()
    await toolset.ready()
    run = partial(run_calls, new_timeout=new_timeout, timeline=timeline)
    turn = Turn(request, toolset, key_id, run=run)
    try:
        await _check(turn)
    except UnavailableError:
        if not turn.provides_code:
            raise
        # Nobody has asked for code: its tools can do without.
        turn = Turn(request, toolset.without_code(), key_id, run=run)
        await _check(turn)
    actions = turn.begin()
    outcomes = {} if earlier is None else dict(earlier.outcomes)
    calls = {action.call.id: action for action in actions if isinstance(action, RunCall)}
    ids = [identifier for identifier in calls if identifier not in outcomes]
    ran = await run([calls[one] for one in ids])
    outcomes.update(zip(ids, ran, strict=True))
    for identifier in calls:
        actions = turn.feed(CallOutcome(identifier, outcomes[identifier]))
    return BegunTurn(turn, toolset, actions, outcomes, timeline)


async def _check(turn: Turn) -> None:
    for check in turn.checks():
        await check()


async def open_turn(
    begun: BegunTurn, open_call: OpenCall, *, new_timeout: NewTimeout = asyncio.timeout
) -> TurnStream:
    """Opens the first model call of a turn that has begun; returns the turn's answer.

    `open_call` makes one model call of a request in the client's language; if it fails, the turn
    can be opened elsewhere. Raises `InvalidRequestError` with the paths of the client's request,
    and whatever `open_call` raises.
    """
    if begun.needs_no_model:
        return TurnStream(
            begun.turn,
            None,
            open_call,
            new_timeout,
            actions=begun.actions,
            timeline=begun.timeline,
        )
    try:
        first = await open_call(begun.turn.request)
    except InvalidRequestError as error:
        raise begun.turn.in_clients_words(error) from None
    return TurnStream(begun.turn, first, open_call, new_timeout, timeline=begun.timeline)
