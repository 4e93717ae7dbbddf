"""The language between a turn, which does nothing, and its driver, which knows nothing.

The driver feeds events of the model and `CallOutcome`s; the turn returns what to do about them, in
order. There is nothing to cancel: who lets go of a turn lets go of all that it asked for.
"""

from __future__ import annotations

import msgspec

from ..protocol.answer.events import Event
from ..protocol.request.messages import MessagesRequest
from ..tools.base import Run, ServerTool
from ..tools.calls import Outcome, RequestContext, ToolCall
from .suspended import SuspendedTurn


class Tell(msgspec.Struct, frozen=True):
    """The client gets these events."""

    events: list[Event]


class RunCall(msgspec.Struct, frozen=True):
    """`run` this call, or resume it if it has results; its outcome comes as a `CallOutcome`."""

    call: ToolCall
    tool: ServerTool
    run: Run
    context: RequestContext


class CallModel(msgspec.Struct, frozen=True):
    """Make this model call, and feed its events; the last call, if there was one, has ended."""

    request: MessagesRequest


class End(msgspec.Struct, frozen=True):
    """The client has its whole answer; `suspended` if calls go on with the next request."""

    suspended: SuspendedTurn | None = None


Action = Tell | RunCall | CallModel | End


class CallOutcome(msgspec.Struct, frozen=True):
    """The outcome of the call of this id; its tool can read what it says."""

    id: str
    outcome: Outcome
