"""The answer of a whole turn as a stream: it does what the turn asks for (turn/actions.py).

While calls run, the model is read on, so whichever comes first is taken first: its events, or the
outcome of a call. Silence is told as silence whatever is waited for.

Tasks are waited for in one frame and their results taken in another, so that no frame of a failure
holds the task that holds it (docs/decisions/0020).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, Final

import msgspec

from ..aws_errors import NOT_AN_ANSWER, NOT_CONVERTIBLE, UpstreamRefusal
from ..errors import InvalidRequestError
from ..protocol.answer.events import Event, GrammarError
from ..protocol.raw import MISSHAPEN
from ..protocol.request.messages import MessagesRequest
from ..timeline import Timeline
from ..tools.calls import Outcome
from ..upstream.base import AnswerStream
from .actions import Action, CallModel, CallOutcome, RunCall, Tell
from .loop import Turn
from .run_call import NewTimeout, run_call
from .suspended import SuspendedTurn

OpenCall = Callable[[MessagesRequest], Awaitable[AnswerStream]]
_NO_MESSAGE: Final = (GrammarError, *MISSHAPEN)
_encode = msgspec.json.Encoder().encode


class TurnStream:
    """The answer of a whole turn (an `AnswerStream`). Its ids are those of the first call."""

    def __init__(
        self,
        turn: Turn,
        first: AnswerStream | None,
        open_call: OpenCall,
        new_timeout: NewTimeout,
        *,
        actions: Sequence[Action] = (),
        timeline: Timeline | None = None,
    ) -> None:
        """`first` is None for a turn that ends without a model call; `actions` are all of it.

        Calls are noted in `timeline`, if somebody wants to read it.
        """
        self._timeline = timeline or Timeline()
        self.upstream_request_id = None if first is None else first.upstream_request_id
        self.service_tier = None if first is None else first.service_tier
        self.suspended: SuspendedTurn | None = None  # known at the end
        self._turn = turn
        self._stream = first
        self._source = first  # the same, until nothing more comes of it
        self._open_call = open_call
        self._new_timeout = new_timeout
        self._told: list[Event] = []
        self._opening: asyncio.Future[AnswerStream] | None = None
        self._reading: asyncio.Future[list[Event] | None] | None = None  # while calls run
        self._running: dict[str, asyncio.Future[Outcome]] = {}
        self._estimated = False
        self._perform(actions)

    @property
    def usage_estimated(self) -> bool:
        """Tells, at the end, whether the usage of any call is an estimate."""
        return self._estimated or (self._stream is not None and self._stream.usage_estimated)

    def spent(self) -> Event:
        """Returns a `message_delta` with the usage so far, for whoever lets go before the end."""
        usage = {"output_tokens": 0, **self._turn.spent()}
        delta = {"stop_reason": None, "stop_sequence": None}
        return b"message_delta", _encode({"type": "message_delta", "delta": delta, "usage": usage})

    async def read(self, timeout: float) -> list[Event] | None:  # noqa: ASYNC109  # as AnswerStream
        """Reads the client's next events; [] after `timeout` seconds of silence; None at the end.

        Raises `UpstreamRefusal` when a stream breaks or a further call cannot be opened.
        """
        deadline = monotonic() + timeout
        left = timeout
        while not self._told:
            if self._opening is not None or self._reading is not None or self._running:
                if not await self._wait(left):
                    return []
                self._collect()
            elif self._source is None:
                return None
            else:
                events = await self._source.read(left)
                if not events:
                    return events
                self._hear(events)
            left = deadline - monotonic()
            if left <= 0 and not self._told:
                return []
        told, self._told = self._told, []
        return told

    def close(self) -> None:
        """Stops the model, the opening of a further call, and the tools that run. Idempotent."""
        running, self._running = self._running, {}
        for call in running.values():
            call.cancel()
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            opening.add_done_callback(_let_go)
        self._hang_up()

    async def _wait(self, seconds: float) -> bool:
        """Waits for whatever comes first; tells whether something did."""
        awaited: list[asyncio.Future[Any]] = [*self._running.values()]
        if self._opening is not None:
            awaited.append(self._opening)
        if self._reading is None and self._source is not None:
            self._reading = asyncio.ensure_future(self._source.read(seconds))
        if self._reading is not None:
            awaited.append(self._reading)
        done, _ = await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)

    def _collect(self) -> None:
        """Takes whatever has come; outcomes first, for the model may have broken after them.

        Raises `UpstreamRefusal`.
        """
        for identifier in [key for key, call in self._running.items() if call.done()]:
            outcome = self._running.pop(identifier).result()
            self._feed(CallOutcome(identifier, outcome))
        if self._reading is not None and self._reading.done() and not self._told:
            self._take_events(self._reading)
        if self._opening is not None and self._opening.done():
            self._take_stream(self._opening)

    def _take_events(self, reading: asyncio.Future[list[Event] | None]) -> None:
        self._reading = None
        try:
            events = reading.result()
        finally:
            del reading  # it holds an exception: docs/decisions/0020
        if events is None:
            self._source = None
        else:
            self._hear(events)

    def _take_stream(self, opening: asyncio.Future[AnswerStream]) -> None:
        self._opening = None
        try:
            self._stream = self._source = opening.result()
        except InvalidRequestError as error:
            # The client's request was fine, and its HTTP status is gone.
            raise UpstreamRefusal(NOT_CONVERTIBLE, error.message) from None
        finally:
            del opening  # as above

    def _hear(self, events: Sequence[Event]) -> None:
        """Feeds events of the model, and does not wait for any behind the last one."""
        if events and events[-1][0] == b"message_stop":
            self._source = None
        self._feed(events)

    def _feed(self, given: Sequence[Event] | CallOutcome) -> None:
        try:
            actions = self._turn.feed(given)
        except _NO_MESSAGE as error:
            raise _no_message(error) from None
        self._perform(actions)

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Tell():
                    self._told += action.events
                case RunCall():
                    running = run_call(action, self._new_timeout, self._timeline)
                    self._running[action.call.id] = asyncio.ensure_future(running)
                case CallModel():
                    self._estimated = self.usage_estimated
                    self._hang_up()
                    self._timeline.spent += (self._turn.spent(),)
                    self._opening = asyncio.ensure_future(self._open_call(action.request))
                case _:  # End
                    self.suspended = action.suspended

    def _hang_up(self) -> None:
        """Lets go of the model call that is open."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            reading.add_done_callback(_forget)
        self._source = None
        if self._stream is not None:
            self._stream.close()


def _no_message(error: Exception) -> UpstreamRefusal:
    return UpstreamRefusal(NOT_AN_ANSWER, f"not a message: {error}")


def _forget(reading: asyncio.Future[list[Event] | None]) -> None:
    """Looks at a failure that nobody waits for any more, or asyncio would report it."""
    if not reading.cancelled():
        reading.exception()


def _let_go(opening: asyncio.Future[AnswerStream]) -> None:
    """Closes a call that opened after all, though nobody waits for it any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
