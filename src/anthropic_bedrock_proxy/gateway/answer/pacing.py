"""Bounds of silence: pings for the client, deadlines for the model.

One timer per wait, none per event. Claude Code gives a stream up after 300 s without a byte, and
Bedrock never sends pings, so the proxy fills silences itself.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ...aws_errors import TOO_LATE, UpstreamRefusal
from ...protocol.answer.events import PING, Event
from ...upstream.base import AnswerStream


class Pacing(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds in seconds."""

    ping_seconds: float = 15.0
    idle_seconds: float = 300.0
    total_seconds: float = 1800.0


class PacedStream:
    """An answer's events with pings in its silences, until a deadline passes."""

    __slots__ = ("_deadline", "_heard", "_monotonic", "_pacing", "_stream")

    def __init__(
        self,
        stream: AnswerStream,
        pacing: Pacing,
        monotonic: Callable[[], float],
        *,
        started: float,
    ) -> None:
        """`started` is when the request was, on the clock of `monotonic`."""
        self._stream = stream
        self._pacing = pacing
        self._monotonic = monotonic
        self._heard = started
        self._deadline = started + pacing.total_seconds

    async def read(self) -> list[Event] | None:
        """The next events, a ping, or None at the end. Raises `UpstreamRefusal`."""
        pacing = self._pacing
        if self._heard > self._deadline:  # what had come by then was still delivered
            raise UpstreamRefusal(TOO_LATE, "The model did not finish its answer in time.")
        events = await self._stream.read(min(pacing.ping_seconds, pacing.idle_seconds))
        now = self._monotonic()
        if events:
            self._heard = now
        elif events is not None:
            if now > self._deadline or now - self._heard >= pacing.idle_seconds:
                raise UpstreamRefusal(TOO_LATE, "The model fell silent.")
            return [PING]
        return events
