"""The only I/O of a turn: opens its model calls one after the other and reads them as one answer.

An exception is never kept in a local or an attribute while it is raised: its traceback refers to
the frames that refer to it, and the cycle would keep the request's body until the collector looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Final

import msgspec

from ..errors import InvalidRequestError, UpstreamRefusal
from ..protocol.events import Event, GrammarError, fold
from ..protocol.messages import MessagesRequest
from ..protocol.raw import MISSHAPEN
from ..upstream.base import AnswerStream
from .loop import Turn

OpenCall = Callable[[MessagesRequest], Awaitable[AnswerStream]]
_NO_MESSAGE: Final = (GrammarError, *MISSHAPEN)
_encode = msgspec.json.Encoder().encode


async def open_turn(request: MessagesRequest, open_call: OpenCall) -> TurnStream:
    """The answer to `request`, with its first model call open.

    `open_call` makes one model call of a request in the client's language. Raises
    `InvalidRequestError` with the paths of `request`, and whatever `open_call` raises.
    """
    turn = Turn(request)
    first = turn.next_request()
    assert first is not None  # noqa: S101  # a turn begins with a call
    try:
        stream = await open_call(first)
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
        self._estimated = False

    @property
    def usage_estimated(self) -> bool:
        """At the end: whether the usage of any call is an estimate."""
        return self._estimated or self._stream.usage_estimated

    def spent(self) -> Event:
        """A `message_delta` with the usage so far, for whoever lets go before the end."""
        usage = {"output_tokens": 0, **self._turn.spent()}
        delta = {"stop_reason": None, "stop_sequence": None}
        return b"message_delta", _encode({"type": "message_delta", "delta": delta, "usage": usage})

    async def read(self, timeout: float) -> list[Event] | None:  # noqa: ASYNC109  # as AnswerStream
        """The client's next events; [] after `timeout` seconds of silence; None at the end.

        Raises `UpstreamRefusal` when a stream breaks or a further call cannot be opened.
        """
        deadline = monotonic() + timeout
        left = timeout
        while True:
            if self._opening is not None:
                await asyncio.wait((self._opening,), timeout=left)
                if not self._opening.done():
                    return []
                self._take(self._opening)
            else:
                events = await self._stream.read(left)
                if not events:
                    return events
                if out := self._feed(events):
                    return out
            left = deadline - monotonic()
            if left <= 0:
                return []

    def close(self) -> None:
        """Stops the model, and the opening of a further call. Idempotent."""
        self._stream.close()
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            opening.add_done_callback(_let_go)

    def _feed(self, events: list[Event]) -> list[Event]:
        """The client's events; begins the next model call if the turn wants one."""
        try:
            out = self._turn.feed(events)
        except _NO_MESSAGE as error:
            raise _no_message(error) from None
        request = self._turn.next_request()
        if request is not None:
            self._estimated |= self._stream.usage_estimated
            self._stream.close()
            self._opening = asyncio.ensure_future(self._open_call(request))
        return out

    def _take(self, opening: asyncio.Future[AnswerStream]) -> None:
        """The call that has been opened. Raises `UpstreamRefusal`."""
        self._opening = None
        try:
            self._stream = opening.result()
        except InvalidRequestError as error:
            # The client's request was fine, and its HTTP status is gone.
            raise UpstreamRefusal("ValidationException", error.message) from None
        finally:
            del opening  # it holds the exception whose traceback holds this frame


async def whole(read: Callable[[], Awaitable[list[Event] | None]]) -> dict[str, Any]:
    """The message that a stream builds, for requests that want it whole.

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
    """Of a call that was opened all the same."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
