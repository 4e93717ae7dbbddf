"""Converse by model: what each maker's models take, through boto3."""

from __future__ import annotations

import json

import pytest

SONNET_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_48 = "us.anthropic.claude-opus-4-8"
HAIKU_35 = "anthropic.claude-3-5-haiku-20241022-v1:0"
NOVA, NOVA_MICRO = "amazon.nova-lite-v1:0", "amazon.nova-micro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
LLAMA, LLAMA_4 = "us.meta.llama3-3-70b-instruct-v1:0", "us.meta.llama4-maverick-17b-instruct-v1:0"
MISTRAL, MISTRAL_7B = "mistral.mistral-large-2402-v1:0", "mistral.mistral-7b-instruct-v0:2"
PIXTRAL = "us.mistral.pixtral-large-2502-v1:0"
COMMAND_R, JAMBA = "cohere.command-r-plus-v1:0", "ai21.jamba-1-5-large-v1:0"
DEEPSEEK, R1 = "deepseek.v3-v1:0", "us.deepseek.r1-v1:0"
QWEN, GPT_OSS = "qwen.qwen3-32b-v1:0", "openai.gpt-oss-120b-1:0"
PALMYRA, GLM = "us.writer.palmyra-x5-v1:0", "zai.glm-4.7"
KIMI, MINIMAX = "moonshot.kimi-k2-thinking", "minimax.minimax-m2"
TITAN = "amazon.titan-text-express-v1"
FAMILIES = [
    *(NOVA, NOVA_MICRO, NOVA_2, LLAMA, LLAMA_4, MISTRAL, PIXTRAL, COMMAND_R, JAMBA, DEEPSEEK, QWEN),
    *(GPT_OSS, PALMYRA, GLM, KIMI, MINIMAX),
]
TOOLS = {"tools": [{"toolSpec": {"name": "run", "inputSchema": {"json": {"type": "object"}}}}]}
CALL = {"toolUse": {"toolUseId": "t1", "name": "run", "input": {"n": 1}}}
POINT = {"cachePoint": {"type": "default"}}
PNG = b"\x89PNG"
IMAGE = {"image": {"format": "png", "source": {"bytes": PNG}}}
DOCUMENT = {"document": {"name": "a", "format": "txt", "source": {"bytes": b"x"}}}
SCHEMA = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {
    "schema": json.dumps({"type": "object", "properties": {"n": {"type": "integer"}},
                          "required": ["n"]})}}}}  # fmt: skip
HELLO = {"text": "hello"}


def user(*blocks):
    return {"role": "user", "content": list(blocks) or [HELLO]}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks)}


def results(*more, **fields):
    block = {"toolUseId": "t1", "content": [{"text": "ok"}], **fields}
    return {
        "messages": [user(), assistant(CALL), user({"toolResult": block}, *more)],
        "toolConfig": TOOLS,
    }


def reasoned(**block):
    return {"messages": [user(), assistant({"reasoningContent": block}, HELLO), user()]}


@pytest.mark.parametrize("model", FAMILIES)
def test_every_family_calls_tools_and_is_listed(boto, sim, model):
    response = boto().converse(modelId=model, system=[{"text": "Be brief"}], **results())
    assert response["stopReason"] == "end_turn"
    listed = boto("bedrock").list_foundation_models()["modelSummaries"]
    assert model.removeprefix("us.") in [item["modelId"] for item in listed]
    if model.startswith("us."):
        boto("bedrock").get_inference_profile(inferenceProfileIdentifier=model)


@pytest.mark.parametrize("model", [R1, TITAN, MISTRAL_7B, *FAMILIES])
def test_every_family_streams_text(boto, sim, model):
    events = list(boto().converse_stream(modelId=model, messages=[user()])["stream"])
    assert next(iter(events[-1])) == "metadata"


FORCED = {"messages": [user()], "toolConfig": {**TOOLS, "toolChoice": {"any": {}}}}
NAMED = {"messages": [user()], "toolConfig": {**TOOLS, "toolChoice": {"tool": {"name": "run"}}}}
SEEN = {"messages": [user(HELLO, IMAGE)]}
READ = {"messages": [user(HELLO, DOCUMENT)]}
CITED = {"messages": [user(HELLO, {"document": {**DOCUMENT["document"],
                                                "citations": {"enabled": True}}})]}  # fmt: skip
CACHED = {"messages": [user(HELLO, POINT)]}
CACHED_TOOLS = {"messages": [user()], "toolConfig": {"tools": [*TOOLS["tools"], POINT]}}
EFFORT = {"messages": [user()], "outputConfig": {"effort": "high"}}
FORMAT = {"messages": [user()], "outputConfig": SCHEMA}
SYSTEM = {"messages": [user()], "system": [{"text": "Be brief"}]}
STATUS = results(status="success")
SEEN_RESULT = results(content=[IMAGE])
SIGNED = reasoned(reasoningText={"text": "hm", "signature": "c2ln"})
UNSIGNED = reasoned(reasoningText={"text": "hm"})
LATE_SYSTEM = {"messages": [user(), {"role": "system", "content": [HELLO]}]}
ADDITION = {"toolAddition": {"tool": {"name": "run"}}}
CHANGED = {"messages": [user(), {"role": "system", "content": [ADDITION]}]}
FOUND = {"source": "s", "title": "t", "content": [HELLO], "citations": {"enabled": True}}
SEARCHED = {"messages": [user(HELLO, {"searchResult": FOUND})]}
FILMED = {"messages": [user(HELLO, {"video": {"format": "mp4", "source": {"bytes": b"x"}}})]}
ACCEPTED = {
    "forced": (FORCED, (SONNET_45, NOVA, NOVA_MICRO, MISTRAL, PIXTRAL)),
    "named": (NAMED, (SONNET_45, NOVA, MISTRAL)),
    "status": (STATUS, (SONNET_45, NOVA, NOVA_2)),
    "image": (SEEN, (SONNET_45, NOVA, NOVA_2, LLAMA_4, PIXTRAL)),
    "result image": (SEEN_RESULT, (SONNET_45, NOVA)),
    "document": (READ, (SONNET_45, NOVA, LLAMA, MISTRAL, COMMAND_R, JAMBA, R1, PALMYRA)),
    "citations": (CITED, (SONNET_45,)),
    "cache": (CACHED, (SONNET_45, NOVA, NOVA_MICRO)),
    "cached tools": (CACHED_TOOLS, (SONNET_45,)),
    "effort": (EFFORT, (OPUS_48,)),
    "format": (FORMAT, (SONNET_45, QWEN, GPT_OSS)),
    "signed": (SIGNED, (SONNET_45,)),
    "unsigned": (UNSIGNED, (GPT_OSS, KIMI, NOVA_2)),
    "late system": (LATE_SYSTEM, (OPUS_48,)),
    "changed tools": (CHANGED, (OPUS_48,)),
    "search result": (SEARCHED, (SONNET_45,)),
    "video": (FILMED, (NOVA,)),
    "mixed": (results(HELLO), (SONNET_45, NOVA, QWEN, GPT_OSS)),
}


@pytest.mark.parametrize(
    ("fields", "model"),
    [
        pytest.param(fields, model, id=f"{name}-{model}")
        for name, (fields, models) in ACCEPTED.items()
        for model in models
    ],
)
def test_accepted(boto, sim, fields, model):
    boto().converse(modelId=model, **fields)
    assert sim.requests()[0]["status"] == 200


REFUSED = {
    "forced": (FORCED, "toolConfig.toolChoice.any field",
               (LLAMA, COMMAND_R, JAMBA, DEEPSEEK, QWEN, GPT_OSS, PALMYRA, GLM, KIMI, MINIMAX)),
    "named": (NAMED, "toolConfig.toolChoice.tool field", (LLAMA, GPT_OSS)),
    "status": (STATUS, "toolResult.status field",
               (LLAMA, MISTRAL, COMMAND_R, JAMBA, DEEPSEEK, QWEN, GPT_OSS, PALMYRA, GLM, KIMI)),
    "image": (SEEN, "the image field",
              (HAIKU_35, NOVA_MICRO, LLAMA, MISTRAL, COMMAND_R, R1, QWEN, GPT_OSS, GLM, MINIMAX)),
    "result image": (SEEN_RESULT, "toolResult.content.image field", (PIXTRAL, LLAMA_4, GPT_OSS)),
    "document": (READ, "the document field", (NOVA_MICRO, DEEPSEEK, QWEN, GPT_OSS, GLM, KIMI)),
    "citations": (CITED, "document.citations field", (NOVA, MISTRAL)),
    "cached tools": (CACHED_TOOLS, "extraneous key", (NOVA,)),
    "effort": (EFFORT, "outputConfig.effort field", (NOVA_2, GPT_OSS, QWEN)),
    "no effort": (EFFORT, "does not support the effort", (SONNET_45,)),
    "format": (FORMAT, "outputConfig.textFormat field", (NOVA, LLAMA, COMMAND_R, HAIKU_35)),
    "signed": (SIGNED, "reasoningText.signature field", (GPT_OSS, NOVA_2, QWEN)),
    "redacted": (reasoned(redactedContent=b"x"), "redactedContent field", (GPT_OSS,)),
    "unsigned": (UNSIGNED, "cannot contain reasoning content", (R1, LLAMA, NOVA, COMMAND_R)),
    "unsigned claude": (UNSIGNED, "Invalid `signature`", (SONNET_45,)),
    "late system": (LATE_SYSTEM, "role 'system' is not supported", (SONNET_45, NOVA, GPT_OSS)),
    "changed tools": (CHANGED, "role 'system' is not supported", (SONNET_45, GPT_OSS)),
    "misplaced": ({"messages": [user(HELLO, ADDITION)]}, "only allowed in a message with the role",
                  (OPUS_48, NOVA)),
    "system image": ({"messages": [user(), {"role": "system", "content": [IMAGE]}]},
                     "not allowed in a message with the role system", (OPUS_48,)),
    "search result": (SEARCHED, "the searchResult field", (NOVA, GPT_OSS)),
    "video": (FILMED, "the video field", (SONNET_45, NOVA_MICRO, LLAMA_4)),
    "system": (SYSTEM, "doesn't support system messages", (TITAN, MISTRAL_7B)),
    "tools": ({"messages": [user()], "toolConfig": TOOLS}, "doesn't support tool use.",
              (TITAN, R1, MISTRAL_7B)),
    "mixed": (results(HELLO), "cannot be provided in the same turn", (LLAMA, MISTRAL)),
    "no config": ({"messages": results()["messages"]}, "toolConfig field must be defined",
                  (NOVA, LLAMA, GPT_OSS)),
    "roles": ({"messages": [user(), user()]}, "must alternate", (NOVA, GPT_OSS)),
    "first": ({"messages": [assistant(HELLO), user()]}, "must start with a user message", (QWEN,)),
    "stray": ({"messages": [user({"toolResult": {"toolUseId": "t9", "content": []}})],
               "toolConfig": TOOLS}, "exceeds the number of toolUse blocks", (GPT_OSS, NOVA)),
    "blank": ({"messages": [user({"text": " "})]}, "is blank", (LLAMA, GLM)),
    "blank result": (results(content=[{"text": " "}]), "is blank", (NOVA, QWEN)),
    "empty error": (results(content=[], status="error"), "cannot be empty when status value",
                    (NOVA, SONNET_45)),
    "lone document": ({"messages": [user(DOCUMENT)]}, "text block must be included", (NOVA, LLAMA)),
    "twice": ({"messages": [user(HELLO, DOCUMENT, DOCUMENT)]}, "duplicate document names",
              (NOVA, SONNET_45)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "words", "model"),
    [
        pytest.param(fields, words, model, id=f"{name}-{model}")
        for name, (fields, words, models) in REFUSED.items()
        for model in models
    ],
)
def test_refused(boto, sim, fields, words, model):
    with pytest.raises(boto().exceptions.ValidationException) as caught:
        boto().converse(modelId=model, **fields)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "model", [LLAMA, MISTRAL, COMMAND_R, DEEPSEEK, QWEN, GPT_OSS, PALMYRA, GLM]
)
@pytest.mark.parametrize("fields", [CACHED, {**SYSTEM, "system": [HELLO, POINT]}, CACHED_TOOLS])
def test_caching_is_a_matter_of_access(boto, sim, model, fields):
    with pytest.raises(boto().exceptions.AccessDeniedException, match="unsupported model"):
        boto().converse(modelId=model, **fields)


@pytest.mark.parametrize("model", [LLAMA, LLAMA_4, MISTRAL, PALMYRA, R1])
def test_some_models_do_not_stream_tool_calls(boto, sim, model):
    with pytest.raises(boto().exceptions.ValidationException, match="in streaming mode"):
        boto().converse_stream(modelId=model, messages=[user()], toolConfig=TOOLS)


@pytest.mark.parametrize("model", [NOVA, COMMAND_R, JAMBA, QWEN, GPT_OSS, KIMI])
def test_other_models_stream_tool_calls(boto, sim, model):
    sim.script([{"reply": {"content": [{"type": "tool_use", "name": "run", "input": {"n": 1}}]}}])
    response = boto().converse_stream(modelId=model, messages=[user()], toolConfig=TOOLS)
    assert [event for event in list(response["stream"]) if "contentBlockStart" in event]


def test_reasoning_of_other_makers_has_no_signature(boto, sim):
    content = [{"type": "thinking", "thinking": "hm hm"}, {"type": "text", "text": "hi"}]
    sim.script([{"reply": {"content": content}, "times": 3}])
    ask = {"modelId": GPT_OSS, "messages": [user()]}
    block = boto().converse(**ask)["output"]["message"]["content"][0]
    assert block == {"reasoningContent": {"reasoningText": {"text": "hm hm"}}}
    deltas = [
        event["contentBlockDelta"]["delta"]
        for event in boto().converse_stream(**ask)["stream"]
        if "contentBlockDelta" in event
    ]
    assert [delta["reasoningContent"] for delta in deltas[:2]] == [{"text": "hm"}, {"text": " hm"}]
    assert "text" in deltas[2]
    signed = boto().converse(**{**ask, "modelId": SONNET_45})["output"]["message"]["content"][0]
    assert signed["reasoningContent"]["reasoningText"]["signature"]


def test_a_structured_answer_of_another_maker(boto, sim):
    response = boto().converse(modelId=QWEN, **FORMAT)
    assert json.loads(response["output"]["message"]["content"][0]["text"]) == {"n": 0}


@pytest.mark.parametrize("model", ["amazon.nova-2-lite-v1:0", "deepseek.r1-v1:0"])
def test_some_of_them_want_a_profile(boto, sim, model):
    with pytest.raises(boto().exceptions.ValidationException, match="on-demand throughput"):
        boto().converse(modelId=model, messages=[user()])
