"""Whole answers of turns: their events are folded to a message, and only then settled."""

from __future__ import annotations

import asyncio
import json

import pytest
from streams import EVENTS, MESSAGE, encode

from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.errors import APIError, RateLimitError, UpstreamTimeoutError
from anthropic_bedrock_proxy.gateway.answer.stream import AnswerEvents
from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.protocol.answer.events import PING
from anthropic_bedrock_proxy.timeline import UpstreamRequest

SPENT = (b"message_delta", encode({"type": "message_delta", "usage": {"output_tokens": 9}}))


class Source:
    """Events in pieces; an error may be one of them."""

    usage_estimated = False

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.closed = 0

    async def read(self):
        piece = self.pieces.pop(0) if self.pieces else None
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self):
        self.closed += 1


class Lease:
    """Notes what the exchange's error was when it was settled, once."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.settled = []

    def settle(self):
        if not self.settled:
            self.settled.append(self.exchange.error_type)


def answer(source):
    exchange = Exchange("req_1", started=0.0, at_ms=0)
    lease = Lease(exchange)
    events = AnswerEvents(exchange, source, source, lease, spent=lambda: SPENT, whole=True)
    return events, lease


def test_events_become_the_message_and_the_source_is_let_go():
    source = Source(EVENTS[:1], [PING], EVENTS[1:])
    events, lease = answer(source)
    assert json.loads(asyncio.run(events.folded())) == json.loads(encode(MESSAGE))
    assert source.closed == 1
    assert lease.settled == [None]


def test_events_that_are_no_message_are_an_error_in_the_record_too():
    unknown = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}}
    broken = [*EVENTS[:2], (b"content_block_delta", encode(unknown)), *EVENTS[-2:]]
    events, lease = answer(source := Source(broken))
    with pytest.raises(APIError, match="not a message"):
        asyncio.run(events.folded())
    assert source.closed == 1
    assert lease.settled == ["api_error"], "and not the success that its end looked like"
    assert events._exchange.meter.estimated


def test_an_answer_that_breaks_says_so_and_is_let_go():
    events, lease = answer(source := Source(EVENTS[:1], RateLimitError("slow")))
    with pytest.raises(RateLimitError, match="slow"):
        asyncio.run(events.folded())
    assert source.closed == 1
    assert lease.settled == ["rate_limit_error"]


@pytest.mark.parametrize("error", [UpstreamRefusal("TooLate", "silent"), KeyError("a fault")])
def test_why_an_answer_ends_is_noted_of_what_was_asked(error):
    events, _ = answer(Source(EVENTS[:1], error))
    made = UpstreamRequest("default", "m", "invoke", 1, began=1.0, sent=1.0)
    events._exchange.timeline.upstream.append(made)
    with pytest.raises((UpstreamTimeoutError, KeyError)):
        asyncio.run(events.folded())
    assert made.code == getattr(error, "code", "KeyError")
    assert made.ended
