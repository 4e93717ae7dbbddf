"""The proxy's own share of a request's time, in two halves, from its timeline.

    received ── request half ──> the first upstream request is sent
    Bedrock answers ── response half ──> the client is handed the answer

Bedrock has answered with the first event of a stream, and with the last byte of a whole answer; the
client is handed the first event, or the last byte; of a whole answer that it is told as a stream,
the first event. What lies between belongs to Bedrock, and to
tools that were run; failed tries and waits between them belong to neither half.
"""

from __future__ import annotations

from ..gateway.exchange import Exchange
from ..timeline import OK


def request_seconds(exchange: Exchange) -> float | None:
    """Returns the half before the first upstream request; None if none was sent."""
    upstream = exchange.timeline.upstream
    if not upstream or not (sent := upstream[0].sent):
        return None
    return sent - (exchange.received or exchange.started)


def response_seconds(exchange: Exchange) -> float | None:
    """Returns the half behind Bedrock's answer; None if there was none."""
    upstream = exchange.timeline.upstream
    if not upstream or exchange.client_gone:
        return None
    if not exchange.stream:
        last = upstream[-1]
        return exchange.ended - last.ended if last.ended and last.code == OK else None
    for made in upstream:  # the one whose events were handed out: those before it were refused
        answered = made.first if made.streamed else made.ended if made.code == OK else 0.0
        if answered:
            return (exchange.told or exchange.ended) - answered
    return None


def upstream_seconds(exchange: Exchange) -> float:
    """Returns how long Bedrock was waited for, all upstream requests together."""
    return sum(
        (made.ended or exchange.ended) - made.sent
        for made in exchange.timeline.upstream
        if made.sent
    )
