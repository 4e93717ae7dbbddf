"""Answers on their way to the client: streams as SSE bytes, refusals in the client's terms."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from ...errors import ProxyError, UpstreamRefusal, from_refusal, hide_keys
from ...protocol.answer import sse
from ...protocol.answer.cost import dollars
from ...protocol.answer.edits import with_applied_edits, with_cost
from ...protocol.answer.events import Event
from ...upstream.base import AnswerStream
from ..admission.lease import Lease
from ..exchange import Exchange
from .pacing import PacedStream
from .reply import Headers

_MOST_TOLD: Final = 32
_MOST_TOLD_BYTES: Final = 2000
_LONGEST_TOLD: Final = 200
_UNPRINTABLE: Final = re.compile(r"[^ -~]")
_log = logging.getLogger("anthropic_bedrock_proxy.gateway")


class Relay:
    """A streamed answer as SSE bytes, until its end, whatever that is (a `ByteSource`)."""

    __slots__ = (
        "_applied_edits",
        "_exchange",
        "_lease",
        "_paced",
        "_report_cost",
        "_request_body",
        "_spent",
        "_stream",
        "done",
    )

    def __init__(
        self,
        exchange: Exchange,
        stream: AnswerStream,
        paced: PacedStream,
        lease: Lease,
        *,
        applied_edits: list[dict[str, Any]] | None = None,
        spent: Callable[[], Event] | None = None,
        report_cost: bool = False,
        request_body: bytes = b"",
    ) -> None:
        """`spent` tells the usage of finished model calls when the turn is left before its end.

        `request_body` is kept until the first events have come: for an answer that begins without
        telling its input.
        """
        self._exchange = exchange
        self._stream = stream
        self._paced = paced
        self._lease = lease
        self._applied_edits = applied_edits
        self._spent = spent
        self._report_cost = report_cost
        self._request_body = request_body
        self.done = False

    async def read(self) -> bytes | None:
        """Returns the next events. Settles the lease before it returns the last of them."""
        if self.done:
            return None
        try:
            events = await self._paced.read()
        except UpstreamRefusal as refusal:
            self.done = True
            self._count_spent()
            error = refused(self._exchange, refusal, self._lease)
            return sse.encode([error_event(error, self._exchange.request_id)])
        except ProxyError as error:  # a further call of a turn is not admitted
            self.done = True
            self._count_spent()
            self._exchange.error_type = error.type
            self._lease.settle()
            return sse.encode([error_event(error, self._exchange.request_id)])
        if events is None:
            return None
        observe = self._exchange.meter.observe
        for event in events:
            observe(event)
        if self._request_body:
            self._exchange.meter.assume_input(self._request_body)  # unless it was told
            self._request_body = b""
        if self._applied_edits is not None:
            events = [_with_edits(event, self._applied_edits) for event in events]
        if self._report_cost and (cost := self._lease.price()) is not None:
            events = [_with_cost(event, cost) for event in events]
        if events[-1][0] == b"message_stop":
            self.done = True
            if self._stream.usage_estimated:
                self._exchange.meter.assume_usage()
            self._lease.settle()
        return sse.encode(events)

    def close(self) -> None:
        """Stops the model if it still talks, and settles."""
        self._stream.close()
        if not self.done:
            self.done = True
            self._count_spent()
        self._lease.settle()

    def _count_spent(self) -> None:
        if self._spent is not None:
            count_spent(self._exchange, self._spent())


def error_event(error: ProxyError, request_id: str) -> Event:
    """Returns the SSE form of an error that comes after the HTTP status is gone."""
    return b"error", error.body(request_id)


def _with_edits(event: Event, applied_edits: list[dict[str, Any]]) -> Event:
    if event[0] != b"message_delta":
        return event
    return event[0], with_applied_edits(event[1], applied_edits)


def _with_cost(event: Event, cost: int) -> Event:
    if event[0] != b"message_delta":
        return event
    return event[0], with_cost(event[1], dollars(cost))


def count_spent(exchange: Exchange, spent: Event) -> None:
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


def answer_lines(exchange: Exchange) -> bytes:
    """Returns the header lines of every answer: see `Reply.lines`."""
    if exchange.upstream_request_id is None:
        return exchange.rate_lines
    told = exchange.upstream_request_id.encode("ascii")
    return b"%bx-amzn-requestid: %b\r\n" % (exchange.rate_lines, told)


def answer_headers(exchange: Exchange) -> Headers:
    """Returns the headers that only some answers have."""
    headers: Headers = []
    if exchange.warnings:
        headers.append((b"x-proxy-warning", "; ".join(told(exchange.warnings)).encode("ascii")))
    return headers


def told(items: Sequence[str]) -> list[str]:
    """Returns as many of `items` as a log line takes, printable, and how many more there are.

    A client's own words are in them: a request may cause any number of any length.
    """
    shown: list[str] = []
    left = _MOST_TOLD_BYTES
    for item in items[:_MOST_TOLD]:
        text = hide_keys(_UNPRINTABLE.sub("?", item[:_LONGEST_TOLD]))
        left -= len(text) + 2
        if left < 0:
            break
        shown.append(text)
    if (more := len(items) - len(shown)) > 0:
        shown.append(f"and {more} more")
    return shown
