"""Prompts and answers in spans: their form, their bounds, and what is never told."""

from __future__ import annotations

import json

import pytest

from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.redaction import hide_keys
from anthropic_bedrock_proxy.telemetry.tracing.content import (
    MAX_ATTRIBUTE,
    ContentTracing,
    answered,
    asked,
)
from anthropic_bedrock_proxy.timeline import TraceContext, TracedContent

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}}


def told(**fields):
    found = asked(TracedContent(json.dumps(fields).encode()), hide_keys)
    return {name.removeprefix("gen_ai."): json.loads(value) for name, value in found.items()}


def says(content, role="user"):
    return {"role": role, "content": content}


def test_messages_have_the_form_of_the_conventions():
    call = {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {"word": "heron"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a bird"}
    found = told(
        system="Be brief.",
        tools=[{"name": "find", "description": "Finds", "input_schema": {"type": "object"}}],
        messages=[says("Hi"), says([call], "assistant"), says([result, IMAGE])],
    )
    assert found == {
        "system_instructions": [{"type": "text", "content": "Be brief."}],
        "tool.definitions": [
            {"type": "function", "name": "find", "description": "Finds",
             "parameters": {"type": "object"}}
        ],
        "input.messages": [
            {"role": "user", "parts": [{"type": "text", "content": "Hi"}]},
            {"role": "assistant", "parts": [
                {"type": "tool_call", "id": "toolu_1", "name": "find",
                 "arguments": {"word": "heron"}}]},
            {"role": "user", "parts": [
                {"type": "tool_call_response", "id": "toolu_1",
                 "response": [{"type": "text", "content": "a bird"}]},
                {"type": "image"}]},
        ],
    }  # fmt: skip


def test_of_a_long_history_the_latest_messages_are_told():
    history = [says(f"{number} {'x ' * 500}") for number in range(200)]
    messages = told(messages=history)["input.messages"]
    assert 50 < len(messages) < 66
    assert messages[-1]["parts"][0]["content"].startswith("199 ")
    assert len(json.dumps(messages)) < 1.1 * MAX_ATTRIBUTE


@pytest.mark.parametrize("size", [MAX_ATTRIBUTE, 2 << 20])
def test_a_message_that_is_too_large_says_only_how_large_it_was(size):
    (one,) = told(messages=[says("x " * (size // 2))])["input.messages"]
    assert size < one["left_out_bytes"] < size + 100


@pytest.mark.parametrize("size", [MAX_ATTRIBUTE, 2 * MAX_ATTRIBUTE, 2 << 20])
def test_so_do_instructions_and_an_answer(size):
    text = "x " * (size // 2)
    (one,) = told(system=text)["system_instructions"]
    assert size < one["left_out_bytes"] < size + 100
    body = json.dumps({"content": [{"type": "text", "text": text}]}).encode()
    (one,) = json.loads(answered(TracedContent(b"", body), hide_keys)["gen_ai.output.messages"])
    assert size < one["left_out_bytes"] < size + 100


def test_an_attribute_is_filled_to_its_bound_and_no_further():
    def size(*lengths):
        fields = {"messages": [says(("x " * length)[:length]) for length in lengths]}
        content = TracedContent(json.dumps(fields).encode())
        return len(asked(content, hide_keys)["gen_ai.input.messages"])

    room = MAX_ATTRIBUTE - size(0)
    assert size(room) == MAX_ATTRIBUTE
    assert size(room + 1) < 100
    one_more = size(2, 0) - size(0)
    assert size(2, room - one_more) == MAX_ATTRIBUTE


def test_keys_are_hidden():
    key = "sk-" + "Ab1_" * 10
    assert key not in str(told(system=f"Use {key}.", messages=[says(f"My key is {key}.")]))


@pytest.mark.parametrize("messages", [7, [7], [{}], [says(7)], [says([{}])]])
def test_what_is_misshapen_breaks_nothing(messages):
    told(messages=messages, system=messages, tools=messages)


def test_a_stream_is_told_as_its_message_also_if_it_was_cut():
    events = [
        (b"content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        (b"content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "A he"}}),
        (b"content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "ron."}}),
        (b"message_delta", {"delta": {"stop_reason": "end_turn"}}),
    ]
    content = TracedContent(b"", [(name, json.dumps(data).encode()) for name, data in events])
    found = json.loads(answered(content, hide_keys)["gen_ai.output.messages"])
    part = {"type": "text", "content": "A heron."}
    assert found == [{"role": "assistant", "parts": [part], "finish_reason": "end_turn"}]


def test_a_whole_answer_is_told_and_garbage_is_not():
    body = b'{"content":[{"type":"thinking","thinking":"hm"}],"stop_reason":"end_turn"}'
    found = json.loads(answered(TracedContent(b"", body), hide_keys)["gen_ai.output.messages"])
    assert found[0]["parts"] == [{"type": "reasoning", "content": "hm"}]
    for none in (b"{", b""):
        assert answered(TracedContent(b"", none), hide_keys) == {}
        assert asked(TracedContent(none), hide_keys) == {}


PDF = "QUJD" * 1000


def test_files_are_left_out_wherever_they_stand():
    fetched = {"type": "web_fetch_result", "content": {"type": "document", "source": {
        "type": "base64", "media_type": "application/pdf", "data": PDF}}}  # fmt: skip
    result = {"type": "web_fetch_tool_result", "tool_use_id": "srvtoolu_1", "content": fetched}
    call = {"type": "tool_use", "id": "toolu_1", "name": "save", "input": {"data": PDF}}
    block = {"type": "text", "text": f"data:image/png;base64,{PDF[:40]} and"}
    found = told(messages=[says([result]), says([call], "assistant")], system=[block])
    assert "QUJDQUJD" not in str(found)
    assert str(found).count("(4000 characters)") == 2
    assert found["system_instructions"][0]["content"].endswith("base64,(40 characters) and")
    answer = {"content": [call], "stop_reason": "tool_use"}
    content = TracedContent(b"", json.dumps(answer).encode())
    assert "QUJDQUJD" not in str(answered(content, hide_keys))


def test_a_request_is_kept_with_its_trace():
    exchange, content = Exchange("req_1", 0.0, 0), ContentTracing()
    assert not content.wants(exchange)
    content.request(exchange, b"{}")
    content.answer(exchange, b"{}")
    assert exchange.timeline.trace is None
    exchange.timeline.trace = TraceContext("a" * 32, "b" * 16)
    assert content.wants(exchange)
    content.request(exchange, b"{}")
    content.answer(exchange, [(b"ping", b"{}")])
    assert exchange.timeline.trace.content == TracedContent(b"{}", [(b"ping", b"{}")])
