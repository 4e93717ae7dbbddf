"""The only I/O of a turn: its model calls one after the other, and the tools in between.

An exception is never kept in a local or an attribute while it is raised: its traceback refers to
the frames that refer to it, and the cycle would keep the request's body until the collector looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic
from typing import Any, Final

import msgspec

from ..aws_errors import UpstreamRefusal
from ..errors import InvalidRequestError
from ..protocol.answer.events import Event, GrammarError, fold
from ..protocol.raw import MISSHAPEN
from ..protocol.request.messages import MessagesRequest
from ..tools.base import Json
from ..tools.work import Pause
from ..upstream.base import AnswerStream
from .loop import Turn

OpenCall = Callable[[MessagesRequest], Awaitable[AnswerStream]]
_NO_MESSAGE: Final = (GrammarError, *MISSHAPEN)
_encode = msgspec.json.Encoder().encode


async def begin_turn(request: MessagesRequest, pause: Pause) -> Turn:
    """Begins a turn: runs what its history had pending, so that the first model call can be made.

    Work that takes long awaits `pause`. Raises `InvalidRequestError` with the path.
    """
    turn = Turn(request, pause)
    while (call := turn.pending) is not None:
        turn.answer(await call.run(call.name, call.input))
    turn.next_request()
    return turn


async def open_turn(turn: Turn, open_call: OpenCall) -> TurnStream:
    """Opens the first model call of a turn that has begun; returns the turn's answer.

    `open_call` makes one model call of a request in the client's language; if it fails, the turn
    can be opened elsewhere. Raises `InvalidRequestError` with the paths of the client's request,
    and whatever `open_call` raises.
    """
    try:
        stream = await open_call(turn.request)
    except InvalidRequestError as error:
        raise turn.in_clients_words(error) from None
    return TurnStream(turn, stream, open_call)


class TurnStream:
    """The answer of a whole turn (an `AnswerStream`). Its ids are those of the first call."""

    def __init__(self, turn: Turn, first: AnswerStream, open_call: OpenCall) -> None:
        self.upstream_request_id = first.upstream_request_id
        self.service_tier = first.service_tier
        self._turn = turn
        self._stream: AnswerStream = first
        self._open_call = open_call
        self._opening: asyncio.Future[AnswerStream] | None = None
        self._running: asyncio.Future[Json] | None = None
        self._estimated = False

    @property
    def usage_estimated(self) -> bool:
        """Tells, at the end, whether the usage of any call is an estimate."""
        return self._estimated or self._stream.usage_estimated

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
        while True:
            out: list[Event] = []
            if self._opening is not None:
                await asyncio.wait((self._opening,), timeout=left)
                if not self._opening.done():
                    return []
                self._take(self._opening)
            elif self._running is not None:
                await asyncio.wait((self._running,), timeout=left)
                if not self._running.done():
                    return []
                content, self._running = self._running.result(), None
                out = self._go_on(partial(self._turn.answer, content))
            else:
                events = await self._stream.read(left)
                if not events:
                    return events
                out = self._go_on(partial(self._turn.feed, events))
            if out:
                return out
            left = deadline - monotonic()
            if left <= 0:
                return []

    def close(self) -> None:
        """Stops the model, the opening of a further call, and a tool that runs. Idempotent."""
        self._stream.close()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            opening.add_done_callback(_let_go)

    def _go_on(self, step: Callable[[], list[Event]]) -> list[Event]:
        """Returns the client's events; begins what the turn wants then: a tool or a model call."""
        try:
            out = step()
        except _NO_MESSAGE as error:
            raise _no_message(error) from None
        call = self._turn.pending
        if call is not None:
            self._running = asyncio.ensure_future(call.run(call.name, call.input))
        elif (request := self._turn.next_request()) is not None:
            self._estimated |= self._stream.usage_estimated
            self._stream.close()
            self._opening = asyncio.ensure_future(self._open_call(request))
        return out

    def _take(self, opening: asyncio.Future[AnswerStream]) -> None:
        """Takes the call that has been opened. Raises `UpstreamRefusal`."""
        self._opening = None
        try:
            self._stream = opening.result()
        except InvalidRequestError as error:
            # The client's request was fine, and its HTTP status is gone.
            raise UpstreamRefusal("ValidationException", error.message) from None
        finally:
            del opening  # it holds the exception whose traceback holds this frame


async def whole(read: Callable[[], Awaitable[list[Event] | None]]) -> dict[str, Any]:
    """Builds the message of a stream, for requests that want it whole.

    `read` gives events (pings may be among them) until None. Raises `UpstreamRefusal`.
    """
    events: list[Event] = []
    while (some := await read()) is not None:
        events += some
    try:
        return fold(events)
    except _NO_MESSAGE as error:
        raise _no_message(error) from None


def _no_message(error: Exception) -> UpstreamRefusal:
    return UpstreamRefusal("InternalServerException", f"not a message: {error}")


def _let_go(opening: asyncio.Future[AnswerStream]) -> None:
    """Closes a call that opened after all, though nobody waits for it any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
