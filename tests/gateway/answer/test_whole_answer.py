"""Whole answers: the model's own bytes, or the fold of the events of a turn."""

from __future__ import annotations

import asyncio
import json

import pytest
from streams import EVENTS, MESSAGE, encode

from anthropic_bedrock_proxy.errors import APIError, RateLimitError
from anthropic_bedrock_proxy.gateway.answer.stream import whole
from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.protocol.answer.events import PING


class Source:
    """Events in pieces; an error may be one of them."""

    done = False

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
    """Counts how often it was settled."""

    settled = 0

    def settle(self):
        self.settled += 1


def folded(source, lease=None):
    exchange = Exchange("req_1", started=0.0, at_ms=0)
    return asyncio.run(whole(source, exchange, lease or Lease()))


def test_bytes_stay_as_they_are():
    assert folded(b" {} ") == b" {} "


def test_events_become_the_message_and_the_source_is_let_go():
    source = Source(EVENTS[:1], [PING], EVENTS[1:])
    assert json.loads(folded(source)) == json.loads(encode(MESSAGE))
    assert source.closed == 1


@pytest.mark.parametrize("pieces", [[[(b"message_start", b"")]], [EVENTS[:-1]], []])
def test_events_that_are_no_message_are_an_error_and_settled(pieces):
    source, lease = Source(*pieces), Lease()
    with pytest.raises(APIError, match="not a message"):
        folded(source, lease)
    assert (source.closed, lease.settled) == (1, 1)


def test_an_answer_that_breaks_says_so_and_is_let_go():
    source = Source(EVENTS[:1], RateLimitError("slow"))
    with pytest.raises(RateLimitError, match="slow"):
        folded(source)
    assert source.closed == 1
