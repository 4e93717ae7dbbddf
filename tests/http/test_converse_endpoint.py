"""Converse behind the Messages API: usage, whenever it comes, and models that stream no tools."""

from __future__ import annotations

import asyncio

import pytest
from http_client import Client
from streams import encode

from anthropic_bedrock_proxy.protocol.answer.events import Grammar, fold
from anthropic_bedrock_proxy.protocol.aws.eventstream import encode_frame

KEY = {"x-api-key": "sk-master"}
BODY = {
    "model": "amazon.nova-lite-v1:0",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello"}],
}
USAGE = {"inputTokens": 12, "outputTokens": 34, "totalTokens": 46, "cacheReadInputTokens": 5}
WHOLE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hi there"}]}},
    "stopReason": "end_turn",
    "usage": USAGE,
    "metrics": {"latencyMs": 1},
}


def frame(kind, payload):
    headers = {":message-type": "event", ":event-type": kind, ":content-type": "application/json"}
    return encode_frame(headers, encode(payload))


START = frame("messageStart", {"role": "assistant"})
TEXT = frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hi there, you"}})
CLOSE = frame("contentBlockStop", {"contentBlockIndex": 0})
STOP = frame("messageStop", {"stopReason": "end_turn"})
METADATA = frame("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}})


def post(proxy, **changes):
    return asyncio.run(Client(proxy.app, headers=KEY, body={**BODY, **changes}).send())


def check(answer):
    grammar = Grammar()
    for event in answer.events:
        grammar.feed(event)
    grammar.end()
    return fold(answer.events)


@pytest.mark.parametrize(
    "chunks",
    [
        [START + TEXT + CLOSE + STOP + METADATA],
        [START, TEXT, CLOSE, STOP, METADATA],
        [START + TEXT, CLOSE + STOP, b"", b"", METADATA],
    ],
    ids=["together", "alone", "late"],
)
def test_usage_is_right_whenever_it_comes(proxy, chunks):
    proxy.upstream.script.append(chunks)
    message = check(post(proxy, stream=True))
    assert message["content"] == [{"type": "text", "text": "Hi there, you"}]
    (record,) = proxy.records
    assert (record.input_tokens, record.output_tokens) == (12, 34)
    assert record.cache_read_input_tokens == 5
    assert record.estimated is False
    assert message["usage"]["output_tokens"] == 34


def test_usage_that_never_comes_is_estimated_and_flagged(proxy):
    proxy.upstream.script.append([START, TEXT + CLOSE, STOP])
    message = check(post(proxy, stream=True))
    assert message["stop_reason"] == "end_turn"
    (record,) = proxy.records
    assert record.estimated is True
    assert record.input_tokens > 0
    assert record.output_tokens > 0
    assert record.error is None


def test_a_whole_answer(proxy):
    proxy.upstream.script.append(encode(WHOLE))
    answer = post(proxy)
    assert answer.json["content"] == [{"type": "text", "text": "Hi there"}]
    assert answer.json["model"] == BODY["model"]
    assert answer.json["id"].startswith("msg_")
    (record,) = proxy.records
    assert (record.dialect, record.input_tokens, record.output_tokens) == ("converse", 12, 34)


def test_a_model_that_streams_no_tools_is_called_whole(proxy):
    tool = {"name": "t", "input_schema": {"type": "object"}}
    proxy.upstream.script.append(encode(WHOLE))
    answer = post(proxy, model="us.meta.llama3-3-70b-instruct-v1:0", tools=[tool], stream=True)
    assert check(answer)["content"] == [{"type": "text", "text": "Hi there"}]
    assert proxy.upstream.calls[0].operation == "converse"
    assert proxy.records[0].output_tokens == 34
    proxy.upstream.script.append([START, TEXT, CLOSE, STOP, METADATA])
    post(proxy, model="us.meta.llama3-3-70b-instruct-v1:0", stream=True)
    assert proxy.upstream.calls[1].operation == "converse-stream"


def test_warnings_reach_the_client(proxy):
    proxy.upstream.script.append(encode(WHOLE))
    answer = post(proxy, tools=[{"name": "t", "input_schema": {}}], tool_choice="sometimes")
    assert "tool_choice" in answer.headers["x-proxy-warning"]


def test_what_is_no_converse_answer_is_an_error(proxy):
    proxy.upstream.script.append(b"{}")
    assert post(proxy).status == 500
