from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.telemetry.overhead import (
    request_seconds,
    response_seconds,
    upstream_seconds,
)
from anthropic_bedrock_proxy.timeline import CANCELLED, OK, UpstreamRequest


def exchange(*upstream, **fields):
    made = Exchange("req_1", started=100.0, at_ms=0)
    made.timeline.upstream += upstream
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def made(sent, ended, *, first=0.0, code=OK, operation="invoke"):
    return UpstreamRequest("default", "m", operation, 1, sent, sent, first, ended, code)


def streamed(sent, ended, **fields):
    return made(sent, ended, operation="invoke-with-response-stream", **fields)


def test_the_first_half_ends_when_bedrock_is_asked():
    told = exchange(made(100.5, 103.0), received=100.4, ended=103.25)
    assert request_seconds(told) == pytest.approx(0.1)
    assert request_seconds(exchange(made(100.5, 103.0))) == pytest.approx(0.5)  # it has no body
    assert request_seconds(exchange(made(0.0, 103.0, code="NoCredentials"))) is None
    assert request_seconds(exchange()) is None


def test_the_second_half_of_a_whole_answer_begins_at_its_last_byte():
    told = exchange(made(100.5, 102.0, code="Throttling"), made(102.5, 103.0), ended=103.25)
    assert response_seconds(told) == pytest.approx(0.25)
    refused = exchange(made(100.5, 102.0, code="Throttling"), ended=103.25)
    assert response_seconds(refused) is None


def test_the_second_half_of_a_stream_is_that_of_its_first_event():
    refused = streamed(100.1, 101.0, code="Throttling")
    answered = streamed(101.5, 110.0, first=102.0)
    later = streamed(111.0, 112.0, first=111.5)
    told = exchange(refused, answered, later, stream=True, told=102.125)
    assert response_seconds(told) == pytest.approx(0.125)
    at_once = exchange(answered, stream=True, ended=102.5)
    assert response_seconds(at_once) == pytest.approx(0.5)
    assert response_seconds(exchange(refused, stream=True, ended=102.5)) is None


def test_a_whole_answer_that_is_told_as_a_stream_begins_at_its_last_byte():
    refused = made(100.1, 101.0, first=100.5, code="Unreachable")
    told = exchange(refused, made(101.5, 110.0, first=102.0), stream=True, told=110.25)
    assert response_seconds(told) == pytest.approx(0.25)
    assert response_seconds(exchange(refused, stream=True, ended=102.5)) is None


def test_who_has_left_was_handed_nothing():
    left = exchange(made(100.5, 102.0, code=CANCELLED), ended=102.0, client_gone=True)
    assert response_seconds(left) is None
    assert response_seconds(exchange(ended=102.0)) is None


def test_bedrock_was_waited_for_in_every_try():
    told = exchange(made(100.0, 101.0, code="Throttling"), made(101.5, 0.0), ended=103.0)
    assert upstream_seconds(told) == pytest.approx(2.5)
    assert upstream_seconds(exchange(made(0.0, 101.0))) == 0.0
