"""The answer stream: a model's events on their way to the client, until their end.

One place decorates them all, whether one model call answers or a turn of several: pings in its
silences (pacing.py), metering, added fields, cost, and the settling of the lease. Whatever breaks
is raised as the `ProxyError` that the client is told, after the lease was settled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Protocol

import msgspec

from ...aws_errors import NOT_AN_ANSWER, UpstreamRefusal, from_refusal
from ...errors import ProxyError
from ...money import dollars
from ...protocol.answer.bedrock_words import DEFAULT_TIER
from ...protocol.answer.edits import with_added, with_cost, with_tier
from ...protocol.answer.events import Event, GrammarError, fold
from ...protocol.raw import MISSHAPEN
from ...upstream.base import AnswerStream
from ..admission.lease import Lease
from ..exchange import Exchange
from .pacing import PacedStream

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("anthropic_bedrock_proxy.gateway")


class EventSource(Protocol):
    """Events for a client that come over time."""

    @property
    def done(self) -> bool:
        """Tells whether nothing follows, as far as is known: a look spares a write."""
        ...

    async def read(self) -> list[Event] | None:
        """Reads the next events; None at the end. Raises `ProxyError`, and ends with that."""
        ...

    def close(self) -> None:
        """Lets go at once, read to the end or not. Idempotent."""
        ...


class AnswerEvents:
    """The events of one answer (an `EventSource`)."""

    __slots__ = (
        "_added",
        "_exchange",
        "_lease",
        "_paced",
        "_report_cost",
        "_request_body",
        "_spent",
        "_stream",
        "_tier",
        "_whole",
        "done",
    )

    def __init__(
        self,
        exchange: Exchange,
        stream: AnswerStream,
        paced: PacedStream,
        lease: Lease,
        *,
        added: Callable[[], Mapping[str, Any]] | None = None,
        spent: Callable[[], Event] | None = None,
        report_cost: bool = False,
        request_body: bytes = b"",
        whole: bool = False,
    ) -> None:
        """`spent` tells the usage of finished model calls when the turn is left before its end.

        `added` are fields that the answer gets, asked for at the end: those of the last model
        call. Of what is wanted `whole`, the end settles nothing yet: it may be no message.
        `request_body` is kept until the first events have come: for an answer that begins without
        telling its input.
        """
        self._exchange = exchange
        self._stream = stream
        self._paced = paced
        self._lease = lease
        self._added = added
        self._spent = spent
        self._report_cost = report_cost
        self._request_body = request_body
        self._whole = whole
        served = exchange.service_tier
        self._tier = served if served != DEFAULT_TIER else None
        self.done = False

    async def read(self) -> list[Event] | None:
        """Returns the next events. Settles the lease before it returns the last of them.

        Raises `ProxyError`.
        """
        if self.done:
            return None
        try:
            events = await self._paced.read()
        except Exception as error:  # noqa: BLE001  # noted, and raised
            raise self._failed(error) from None
        if events is None:
            return None
        observe = self._exchange.meter.observe
        for event in events:
            observe(event)
        if self._request_body:
            self._exchange.meter.assume_input(self._request_body)  # unless it was told
            self._request_body = b""
        if self._tier is not None:
            events = [_with_tier(event, self._tier) for event in events]
        if self._added is not None and (added := self._added()):
            events = [_with_added(event, added) for event in events]
        if self._report_cost and (cost := self._lease.price()) is not None:
            events = [_with_cost(event, cost) for event in events]
        if events[-1][0] == b"message_stop":
            self.done = True
            if self._stream.usage_estimated:
                self._exchange.meter.assume_usage()
            if not self._whole:
                self._lease.settle()
        return events

    def close(self) -> None:
        """Stops the model if it still talks, and settles."""
        self._stream.close()
        if not self.done:
            self.done = True
            self._count_spent()
        self._lease.settle()

    async def folded(self) -> bytes:
        """Reads to the end; returns the message that the events are. Raises `ProxyError`."""
        events: list[Event] = []
        try:
            while (some := await self.read()) is not None:
                events += some
            try:
                return _encode(fold(events))
            except (GrammarError, *MISSHAPEN) as error:
                self._count_spent()
                refusal = UpstreamRefusal(NOT_AN_ANSWER, f"not a message: {error}")
                raise refused(self._exchange, refusal, self._lease) from None
        finally:
            self.close()

    def _failed(self, error: Exception) -> Exception:
        """Settles, unless that is left to `close`; returns the error to be raised."""
        self._exchange.timeline.fail(monotonic(), error)
        if not isinstance(error, UpstreamRefusal | ProxyError):
            return error  # a fault of ours
        self.done = True
        self._count_spent()
        if isinstance(error, UpstreamRefusal):
            return refused(self._exchange, error, self._lease)
        self._exchange.error_type = error.type  # a further call of a turn is not admitted
        self._lease.settle()
        return error

    def _count_spent(self) -> None:
        if self._spent is not None:
            _count_spent(self._exchange, self._spent())


def _with_added(event: Event, added: Mapping[str, Any]) -> Event:
    if event[0] != b"message_delta":
        return event
    return event[0], with_added(event[1], added)


def _with_tier(event: Event, served: str) -> Event:
    if event[0] not in {b"message_start", b"message_delta"}:
        return event
    return event[0], with_tier(event[1], served)


def _with_cost(event: Event, cost: int) -> Event:
    if event[0] != b"message_delta":
        return event
    return event[0], with_cost(event[1], dollars(cost))


def _count_spent(exchange: Exchange, spent: Event) -> None:
    """Charges what the finished model calls of a turn used that did not come to its end."""
    exchange.meter.observe(spent)
    exchange.meter.assume_usage()


def refused(exchange: Exchange, refusal: UpstreamRefusal, lease: Lease) -> ProxyError:
    """Returns the error that the client gets for a refusal; settles, and logs it."""
    error = from_refusal(refusal)
    exchange.error_type = error.type
    lease.settle()
    _log.warning(
        "upstream refused",
        extra={
            "request_id": exchange.request_id,
            "code": refusal.code,
            "upstream_status": refusal.status,
        },
    )
    return error
