"""Turns of several model calls, for requests whose tools the proxy runs: the gateway's side.

A request has one turn, whatever targets it is tried on: what its history had pending is run once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ..aws_errors import UpstreamRefusal
from ..protocol.answer.edits import with_applied_edits
from ..protocol.request.messages import MessagesRequest
from ..tools.toolset import Toolset
from ..turn.driver import begin_turn, open_turn
from ..turn.stream import TurnStream, whole
from ..upstream.base import AnswerStream, ModelCall, Upstream
from .answer.pacing import PacedStream
from .answer.stream import count_spent
from .answer.whole import open_stream
from .conversion import Conversion
from .exchange import Exchange
from .overrides.known import OverrideView

_encode = msgspec.json.Encoder().encode


class Calls:
    """The model calls of one turn, all on one target. `applied_edits` are those of the last."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        view: OverrideView | None,
        convert: Callable[[MessagesRequest, OverrideView | None], Conversion],
        learn: Callable[
            [MessagesRequest, ModelCall, UpstreamRefusal, OverrideView | None], OverrideView | None
        ],
        confirm: Callable[[ModelCall, OverrideView], None],
        patient: Callable[[Conversion], Conversion],
        extend: Callable[[MessagesRequest], Awaitable[None]],
    ) -> None:
        """`patient` bounds the first call only: after it the turn cannot move elsewhere.

        `extend` admits each of the others. `view` is what is known when the turn begins; `convert`,
        `learn` and `confirm` are those of `Overrides`.
        """
        self._upstream = upstream
        self._view = view
        self._convert = convert
        self._learn = learn
        self._confirm = confirm
        self._patient = patient
        self._extend = extend
        self._begun = False
        self.applied_edits: list[dict[str, Any]] | None = None
        self.body = b""  # of the call that was made last

    async def open(self, request: MessagesRequest) -> AnswerStream:
        """Opens the next call; once more if its refusal taught what to leave out.

        Raises `UpstreamRefusal`, and whatever conversion and admission raise.
        """
        if self._begun:
            await self._extend(request)
        while True:
            conversion = self._convert(request, self._view)
            if not self._begun:
                conversion = self._patient(conversion)
            self.applied_edits = conversion.applied_edits
            self.body = conversion.call.body
            try:
                stream = await open_stream(self._upstream, conversion)
            except UpstreamRefusal as refusal:
                taught = self._learn(request, conversion.call, refusal, self._view)
                if taught is None:
                    raise
                self._view = taught
            else:
                self._begun = True
                if self._view is not None:
                    self._confirm(conversion.call, self._view)
                return stream


async def opened_turn(
    request: MessagesRequest, calls: Calls, exchange: Exchange, toolset: Toolset
) -> TurnStream:
    """Opens the turn's first call. Raises `UpstreamRefusal`, `InvalidRequestError`."""
    if exchange.turn is None:
        exchange.turn = await begin_turn(request, toolset, exchange.key_id)
    try:
        return await open_turn(exchange.turn, calls.open)
    except UpstreamRefusal as refusal:
        if refusal.sent:
            exchange.meter.assume_input(calls.body)
        raise
    except BaseException:  # the client left, or the server is stopping
        if calls.body:  # else nothing was sent
            exchange.meter.assume_input(calls.body)
        raise


async def whole_turn(
    exchange: Exchange, stream: TurnStream, paced: PacedStream, calls: Calls
) -> bytes:
    """Returns the turn's answer in one piece. Raises `UpstreamRefusal`."""
    try:
        body = _encode(await whole(paced.read))
    except BaseException:
        count_spent(exchange, stream.spent())
        raise
    finally:
        stream.close()
    exchange.meter.observe_message(body)
    exchange.meter.assume_input(calls.body)  # unless the answer told it
    if stream.usage_estimated:
        exchange.meter.assume_usage()
    if calls.applied_edits is not None:
        body = with_applied_edits(body, calls.applied_edits)
    return body
