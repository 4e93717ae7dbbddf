"""Converse and ConverseStream through boto3, and what they refuse."""

from __future__ import annotations

import json

import pytest

SONNET_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_48 = "us.anthropic.claude-opus-4-8"
NOVA = "amazon.nova-lite-v1:0"
TOOLS = {"tools": [{"toolSpec": {"name": "run", "inputSchema": {"json": {
    "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}}}]}  # fmt: skip
CALL = {"toolUse": {"toolUseId": "t1", "name": "run", "input": {"n": 1}}}
RESULT = {"toolResult": {"toolUseId": "t1", "content": [{"text": "ok"}], "status": "success"}}


def user(*blocks):
    return {"role": "user", "content": list(blocks) or [{"text": "hello"}]}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


@pytest.mark.parametrize("model", [SONNET_45, NOVA])
def test_a_plain_answer(boto, sim, model):
    response = boto().converse(modelId=model, messages=[user()], system=[{"text": "Be brief"}])
    assert response["output"]["message"]["content"][0]["text"].endswith("You said: hello")
    assert response["stopReason"] == "end_turn"
    usage = response["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    assert sim.requests()[0]["operation"] == "Converse"


def test_a_forced_tool(boto, sim):
    choice = {**TOOLS, "toolChoice": {"any": {}}}
    response = boto().converse(modelId=SONNET_45, messages=[user()], toolConfig=choice)
    [block] = response["output"]["message"]["content"]
    assert block["toolUse"]["input"] == {"n": 0}
    assert response["stopReason"] == "tool_use"


def test_the_stream(boto, sim):
    content = [
        {"type": "thinking", "thinking": "hm hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "text", "text": "Let me look."},
        {"type": "tool_use", "id": "t1", "name": "run", "input": {"n": 12345678901234567890}},
    ]
    usage = {"input_tokens": 1, "output_tokens": 2, "cache_creation_5m_input_tokens": 3}
    reply = {"content": content, "usage": usage, "stop_sequence": "END"}
    sim.script([{"reply": reply, "times": 2}])
    ask = {
        "modelId": SONNET_45,
        "messages": [user()],
        "toolConfig": TOOLS,
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }
    events = list(boto().converse_stream(**ask)["stream"])
    names = [next(iter(event)) for event in events]
    assert names[0] == "messageStart"
    assert names[-2:] == ["messageStop", "metadata"]
    assert names.count("contentBlockStart") == 1
    assert names.count("contentBlockStop") == 4
    start = events[names.index("contentBlockStart")]["contentBlockStart"]
    assert start == {
        "start": {"toolUse": {"toolUseId": "t1", "name": "run"}},
        "contentBlockIndex": 3,
    }
    deltas = [event["contentBlockDelta"] for event in events if "contentBlockDelta" in event]
    text = "".join(delta["delta"]["text"] for delta in deltas if delta["contentBlockIndex"] == 2)
    assert text == "Let me look."
    partial = "".join(
        delta["delta"]["toolUse"]["input"] for delta in deltas if delta["contentBlockIndex"] == 3
    )
    assert json.loads(partial) == content[3]["input"]
    reasoning = [delta["delta"]["reasoningContent"] for delta in deltas[:3]]
    assert reasoning == [{"text": "hm"}, {"text": " hm"}, {"signature": "c2ln"}]
    assert deltas[3]["delta"]["reasoningContent"]["redactedContent"] == b"opaque"
    stop = events[-2]["messageStop"]
    assert stop["stopReason"] == "tool_use"
    assert stop["additionalModelResponseFields"] == {"stop_sequence": "END"}
    whole = boto().converse(**ask)
    assert events[-1]["metadata"]["usage"] == whole["usage"]
    assert whole["usage"]["cacheDetails"] == [{"ttl": "5m", "inputTokens": 3}]
    blocks = whole["output"]["message"]["content"]
    assert blocks[0]["reasoningContent"]["reasoningText"] == {"text": "hm hm", "signature": "c2ln"}


def test_faults_reach_converse_streams(boto, sim):
    fault = {"kind": "exception", "after_events": 2, "type": "serviceUnavailableException"}
    sim.script([{"faults": [{**fault, "message": "gone"}]}])
    event_stream_error = pytest.importorskip("botocore.exceptions").EventStreamError
    response = boto().converse_stream(modelId=NOVA, messages=[user()])
    with pytest.raises(event_stream_error, match="gone"):
        list(response["stream"])
    response["stream"].close()


REFUSED = [
    ({"messages": []}, "The conversation is empty"),
    ({"messages": [assistant({"text": "hi"})]}, "must start with a user message"),
    ({"messages": [user(), user()]}, "must alternate between user and assistant roles"),
    ({"messages": [user({"text": " "})]}, "messages.0.content.0 is blank"),
    ({"messages": [user(), {"role": "assistant", "content": []}, user()]}, "messages.1 is empty"),
    ({"system": [{"text": " "}]}, "system.0 is blank"),
    ({"messages": [user(), assistant(CALL), user(RESULT)]}, "toolConfig field must be defined"),
    ({"messages": [user(), assistant(CALL), user()], "toolConfig": TOOLS},
     "Expected toolResult blocks at messages.2.content for the following Ids: t1"),
    ({"messages": [user(RESULT)], "toolConfig": TOOLS}, "exceeds the number of toolUse blocks"),
    ({"messages": [user({"document": {"name": "a", "format": "txt", "source": {"text": "x"}}})]},
     "A text block must be included when using documents"),
    ({"messages": [user({"text": "x"}, {"document": {
        "name": "a.txt", "format": "txt", "source": {"text": "x"}}})]}, "document file name"),
    ({"messages": [user({"text": "x", "cachePoint": {"type": "default"}})]}, "exactly one of"),
    ({"messages": [user({"words": "x"})]}, "words: Extra inputs are not permitted"),
    ({"messages": [{**user(), "name": "x"}]}, "name: Extra inputs are not permitted"),
    ({"topK": 5}, "topK: Extra inputs are not permitted"),
    ({"messages": [user(), assistant({"toolUse": {**CALL["toolUse"], "name": "a.b"}}), user()]},
     "regular expression pattern"),
    ({"inferenceConfig": {"maxTokens": 0}}, "greater than or equal to 1"),
    ({"inferenceConfig": {"temperature": 1.5}}, "less than or equal to 1"),
    ({"toolConfig": {"tools": []}}, "length greater than or equal to 1"),
    ({"toolConfig": {**TOOLS, "toolChoice": {"tool": {"name": "b"}}}}, "isn't defined"),
    ({"additionalModelRequestFields": {"nonsense": 1}},
     "The model returned the following errors: nonsense: Extra inputs"),
    ({"additionalModelRequestFields": {"anthropic_beta": ["tool-search-tool-2025-10-19"]}},
     "invalid beta flag"),
    ({"messages": [user(*[{"text": "x"}, {"cachePoint": {"type": "default"}}] * 5)]},
     "A maximum of 4 blocks"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "words"), REFUSED)
def test_refused(post, sim, fields, words):
    status, headers, received, _ = post(
        json.dumps({"messages": [user()], **fields}), "converse-stream"
    )
    assert status == 400
    assert headers["x-amzn-errortype"] == "ValidationException"
    assert words in json.loads(received)["message"]


@pytest.mark.parametrize(
    ("model", "fields", "words"),
    [
        (OPUS_48, {"messages": [user(), assistant({"text": "x"})]}, "message prefill"),
        (OPUS_48, {"inferenceConfig": {"temperature": 0.5}}, "deprecated"),
        (OPUS_48, {"additionalModelRequestFields": {"thinking": {"type": "enabled",
                                                                "budget_tokens": 2000}}},
         "is not supported"),
        (SONNET_45, {"messages": [user(), {"role": "system", "content": [{"text": "x"}]}]},
         "role 'system'"),
        ("amazon.titan-text-express-v1", {"toolConfig": TOOLS}, "doesn't support tool use"),
        ("openai.gpt-oss-120b-1:0", {"toolConfig": {**TOOLS, "toolChoice": {"any": {}}}},
         "toolChoice.any"),
    ],
)  # fmt: skip
def test_refused_by_some_models(boto, sim, model, fields, words):
    with pytest.raises(boto().exceptions.ValidationException, match=words):
        boto().converse(**{"modelId": model, "messages": [user()], **fields})


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (SONNET_45, {"messages": [user(), assistant(CALL), user(RESULT)], "toolConfig": TOOLS}),
        (OPUS_48, {"messages": [user(), {"role": "system", "content": [{"text": "x"}]}]}),
        (OPUS_48, {"outputConfig": {"effort": "high"}}),
        (NOVA, {"additionalModelRequestFields": {"inferenceConfig": {"topK": 5}}}),
        (
            SONNET_45,
            {"additionalModelRequestFields": {
                "thinking": {"type": "enabled", "budget_tokens": 1024}}},
        ),
    ],
)  # fmt: skip
def test_accepted(boto, sim, model, fields):
    boto().converse(**{"modelId": model, "messages": [user()], **fields})
    assert sim.stats()["outcomes"] == {"finished": 1}
