"""Attempts: model calls at one target, what they learn, and whole answers as streams."""

from __future__ import annotations

import asyncio

import pytest
from streams import encode

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.gateway.attempt import AdmittedRequest, Attempt, whole_as_stream
from anthropic_bedrock_proxy.gateway.conversion import Conversion, ConversionOptions
from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.gateway.failover.attempts import SingleTarget
from anthropic_bedrock_proxy.gateway.overrides.overrides import Overrides
from anthropic_bedrock_proxy.models.registry import DEFAULT_PROVIDER, Registry, RoutingOptions
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.protocol.request.policy import DEFAULT_POLICY
from anthropic_bedrock_proxy.upstream.base import ModelAnswer, ModelCall

REGISTRY = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
HELLO = {"role": "user", "content": "Hello"}


class Upstream:
    def __init__(self, body):
        self.body = body

    async def call(self, call):
        return ModelAnswer(body=self.body)


def conversion():
    return Conversion(
        call=ModelCall(operation="converse", bedrock_model_id="m", body=b"{}"),
        new_decoder=None,
        finish=lambda body: body,
        dropped=[],
        warnings=[],
        added={},
        whole_only=True,
    )


def test_numbers_stay_as_the_model_wrote_them():
    numbers = b'{"a":1.10,"b":0.1234567890123456789,"c":1e400}'
    body = (
        b'{"content":[{"type":"tool_use","id":"t","name":"n","input":%b}],"stop_reason":"tool_use",'
        b'"usage":{"input_tokens":1,"output_tokens":2}}' % numbers
    )
    stream = asyncio.run(whole_as_stream(Upstream(body), conversion()))
    events = asyncio.run(stream.read(1))
    assert any(numbers.replace(b'"', b'\\"') in data for _, data in events)


@pytest.mark.parametrize("body", [b"[]", b"{}", b"{", b'{"usage":1}'])
def test_what_is_no_message_is_a_refusal(body):
    with pytest.raises(UpstreamRefusal, match="not a message"):
        asyncio.run(whole_as_stream(Upstream(body), conversion()))


class Admission:
    """A lease that counts the calls that it is extended for."""

    extended = 0

    async def extend(self, request, searches=0):
        self.extended += 1


def make_attempt(overrides=None, attempts=None):
    body = {"model": "claude-haiku-4-5", "max_tokens": 9, "metadata": {}, "messages": [HELLO]}
    request = parse_request(encode(body), "2023-06-01")
    exchange = Exchange("req_1", started=0.0, at_ms=0)
    options = ConversionOptions(
        flags=[], rules=REGISTRY.betas, policy=DEFAULT_POLICY, stream=True, request_id="req_1"
    )
    admitted = AdmittedRequest(exchange, request, options, Admission())
    target = REGISTRY.route("claude-haiku-4-5").targets[0]
    overrides = overrides or Overrides(REGISTRY.betas.needed_for)
    upstreams = {DEFAULT_PROVIDER: "the upstream"}
    return Attempt(admitted, attempts or SingleTarget(target), upstreams, overrides)


def refusal(message):
    return UpstreamRefusal("ValidationException", message, status=400)


def test_a_refusal_that_teaches_something_asks_for_the_call_once_more_without():
    attempt, bodies = make_attempt(), []

    async def send(upstream, conversion):
        bodies.append(conversion.call.body)
        if len(bodies) == 1:
            raise refusal("metadata: Extra inputs are not permitted")
        return upstream

    async def main():
        assert await attempt.call(attempt.request, send) is None
        assert await attempt.call(attempt.request, send) == "the upstream"

    asyncio.run(main())
    assert [b"metadata" in body for body in bodies] == [True, False]
    assert attempt.exchange.target is attempt.target


def test_a_refusal_that_teaches_nothing_is_raised():
    attempt = make_attempt()

    async def send(upstream, conversion):
        raise refusal("no")

    with pytest.raises(UpstreamRefusal, match="no"):
        asyncio.run(attempt.call(attempt.request, send))
    assert attempt.exchange.meter.usage.input_tokens is None


def test_a_call_that_is_cancelled_is_assumed_to_be_billed():
    attempt = make_attempt()

    async def send(upstream, conversion):
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(attempt.call(attempt.request, send))
    assert attempt.exchange.meter.usage.input_tokens > 0


def test_deadlines_hold_and_admission_is_done_until_and_from_the_first_answer_on():
    class Bounding(SingleTarget):
        bounded = 0

        def with_deadlines(self, conversion):
            self.bounded += 1
            return conversion

    attempts = Bounding(REGISTRY.route("claude-haiku-4-5").targets[0])
    attempt = make_attempt(attempts=attempts)

    class Streaming:
        async def stream(self, call, new_decoder):
            return call

    attempt._upstream = Streaming()

    async def main():
        for _ in range(3):
            await attempt.open_call(attempt.request)

    asyncio.run(main())
    assert (attempts.bounded, attempt.lease.extended) == (1, 2)
