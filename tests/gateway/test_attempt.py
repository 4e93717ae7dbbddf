"""Whole answers as streams."""

from __future__ import annotations

import asyncio

import pytest

from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.gateway.attempt import whole_as_stream
from anthropic_bedrock_proxy.gateway.conversion import Conversion
from anthropic_bedrock_proxy.upstream.base import ModelAnswer, ModelCall


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
        applied_edits=None,
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
