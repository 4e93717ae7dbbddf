"""The golden folder: what a client sends, what Bedrock gets, what was left out, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from streams import decode, encode, messages

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.protocol.anthropic_invoke import to_invoke
from anthropic_bedrock_proxy.protocol.messages import parse_request

GOLDEN = sorted((Path(__file__).parent / "golden" / "invoke").glob("*.json"))


def convert(registry, request, *, betas=(), version="2023-06-01"):
    parsed = parse_request(encode(request), version)
    route = registry.route(request["model"])
    return to_invoke(parsed, list(betas), route.generation, registry.betas)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(path, registry):
    case = json.loads(path.read_text())
    given_ = {"betas": case["betas"], "version": case["version"]}
    if "error" in case:
        with pytest.raises(InvalidRequestError) as refused:
            convert(registry, case["request"], **given_)
        assert refused.value.message.startswith(case["error"])
        return
    converted = convert(registry, case["request"], **given_)
    assert decode(converted.body) == case["invoke"]
    assert sorted(converted.dropped) == sorted(case["dropped"])


def test_the_client_s_bytes_are_forwarded_where_nothing_is_edited(registry):
    messages = b'[ {"role":"user" ,"content":"a"} ]'
    body = b'{"model":"claude-haiku-4-5","max_tokens":1,"messages":%b,"x":1.50}' % messages
    route = registry.route("claude-haiku-4-5")
    converted = to_invoke(parse_request(body, "2023-06-01"), [], route.generation, registry.betas)
    assert messages in converted.body
    assert b'"x":1.50' in converted.body


@given(messages)
def test_an_echoed_answer_is_accepted_as_history(message):
    registry = _registry()
    content = [{**block, "caller": {"type": "direct"}} for block in message["content"]]
    history = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": content},
    ]
    request = {"model": "claude-opus-4-8", "max_tokens": 5, "messages": history}
    converted = decode(convert(registry, request).body)
    assert converted["messages"][1]["content"] == message["content"]


def _registry():
    from anthropic_bedrock_proxy.app import load_model_table  # noqa: PLC0415
    from anthropic_bedrock_proxy.gateway.routing import Registry  # noqa: PLC0415

    return Registry(load_model_table(), region="us-east-1")
