"""InvokeModel as the real clients see it: boto3 and the Anthropic SDK are the oracles."""

from __future__ import annotations

import json

import pytest

SONNET_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
BARE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_48 = "us.anthropic.claude-opus-4-8"


def events_of(response):
    return [json.loads(event["chunk"]["bytes"]) for event in response["body"]]


def test_a_plain_answer(boto, sim, body):
    response = boto().invoke_model(modelId=SONNET_45, body=body())
    with response["body"] as stream:
        message = json.loads(stream.read())
    assert message["id"].startswith("msg_bdrk_")
    assert message["model"] == "claude-sonnet-4-5-20250929"
    assert message["content"][0]["text"].endswith("You said: hello")
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    usage = message["usage"]
    assert headers["x-amzn-bedrock-input-token-count"] == str(usage["input_tokens"])
    assert headers["x-amzn-bedrock-output-token-count"] == str(usage["output_tokens"])
    [entry] = sim.requests()
    assert (entry["operation"], entry["model"], entry["auth"]) == (
        "InvokeModel",
        SONNET_45,
        "sigv4",
    )
    assert entry["body"]["messages"][0]["content"] == "hello"
    assert entry["completed"] is True


def test_a_stream_is_anthropics_sequence_without_ping(boto, sim, body):
    events = events_of(boto().invoke_model_with_response_stream(modelId=SONNET_45, body=body()))
    kinds = [event["type"] for event in events]
    deltas = kinds.count("content_block_delta")
    assert deltas > 5
    assert kinds == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * deltas,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    text = "".join(event["delta"]["text"] for event in events[2 : 2 + deltas])
    assert text.endswith("You said: hello")
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    assert metrics["outputTokenCount"] == events[-2]["usage"]["output_tokens"]
    assert metrics["inputTokenCount"] == events[0]["message"]["usage"]["input_tokens"]


def test_thinking_has_a_signature_that_is_checked_when_it_comes_back(boto, sim, body):
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}
    response = boto().invoke_model(modelId=SONNET_45, body=body(**thinking))
    with response["body"] as stream:
        content = json.loads(stream.read())["content"]
    assert [block["type"] for block in content] == ["thinking", "text"]
    history = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": "go on"},
    ]
    accepted = boto().invoke_model(modelId=SONNET_45, body=body(messages=history, **thinking))
    accepted["body"].close()
    content[0]["thinking"] += " (edited)"
    with pytest.raises(boto().exceptions.ValidationException, match="Invalid `signature`"):
        boto().invoke_model(modelId=SONNET_45, body=body(messages=history, **thinking))


def test_a_forced_tool_gets_input_of_the_shape_of_its_schema(boto, sim, body):
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "enum": ["Oslo"]},
            "days": {"type": "integer", "minimum": 1},
            "tags": {"type": "array", "items": {"type": "string"}},
            "note": {"type": "string"},
        },
        "required": ["city", "days", "tags"],
    }
    events = events_of(
        boto().invoke_model_with_response_stream(
            modelId=SONNET_45,
            body=body(
                tools=[{"name": "weather", "input_schema": schema}],
                tool_choice={"type": "tool", "name": "weather"},
            ),
        )
    )
    assert events[1]["content_block"]["name"] == "weather"
    partial = "".join(
        event["delta"]["partial_json"] for event in events if event["type"] == "content_block_delta"
    )
    assert json.loads(partial) == {"city": "Oslo", "days": 1, "tags": []}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("fields", "reason", "sequence"),
    [
        ({"max_tokens": 3}, "max_tokens", None),
        ({"stop_sequences": ["never", "no model"]}, "stop_sequence", "no model"),
        ({}, "end_turn", None),
    ],
)
def test_limits_are_respected(boto, sim, body, fields, reason, sequence):  # fixtures
    response = boto().invoke_model(modelId=SONNET_45, body=body(**fields))
    with response["body"] as stream:
        message = json.loads(stream.read())
    assert (message["stop_reason"], message["stop_sequence"]) == (reason, sequence)
    assert message["usage"]["output_tokens"] <= fields.get("max_tokens", 200)
    assert "no model" not in message["content"][0]["text"] or reason == "end_turn"


@pytest.mark.parametrize(
    "model",
    [
        f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{SONNET_45}",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/sim0sonnet45",
    ],
)
def test_arns_travel_percent_encoded(boto, sim, body, model):
    boto().invoke_model(modelId=model, body=body())["body"].close()
    [entry] = sim.requests()
    assert entry["model"] == model
    assert "%2F" in entry["path"]


def test_service_tier_is_echoed(boto, sim, body):
    response = boto().invoke_model(modelId=SONNET_45, body=body(), serviceTier="priority")
    response["body"].close()
    assert response["serviceTier"] == "priority"


def test_count_tokens_wants_the_base_id(boto, sim, body):
    runtime = boto()
    given = {"invokeModel": {"body": body()}}
    counted = runtime.count_tokens(modelId=BARE, input=given)["inputTokens"]
    response = runtime.invoke_model(modelId=SONNET_45, body=body())
    with response["body"] as stream:
        assert json.loads(stream.read())["usage"]["input_tokens"] == counted
    for model in (SONNET_45, "anthropic.claude-opus-4-8"):
        with pytest.raises(runtime.exceptions.ValidationException, match="counting tokens"):
            runtime.count_tokens(modelId=model, input=given)
    converse = {"converse": {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}}
    assert runtime.count_tokens(modelId=BARE, input=converse)["inputTokens"] == counted
    with pytest.raises(runtime.exceptions.ValidationException, match="max_tokens: Field required"):
        runtime.count_tokens(
            modelId=BARE, input={"invokeModel": {"body": body().replace('"max_tokens": 200, ', "")}}
        )


def test_listings(boto, sim):
    control = boto("bedrock")
    profiles = control.list_inference_profiles(typeEquals="SYSTEM_DEFINED")
    ids = [item["inferenceProfileId"] for item in profiles["inferenceProfileSummaries"]]
    assert SONNET_45 in ids
    pages = control.get_paginator("list_inference_profiles").paginate(
        typeEquals="SYSTEM_DEFINED", PaginationConfig={"PageSize": 7}
    )
    paged = [
        item["inferenceProfileId"] for page in pages for item in page["inferenceProfileSummaries"]
    ]
    assert paged == ids
    [application] = control.list_inference_profiles(typeEquals="APPLICATION")[
        "inferenceProfileSummaries"
    ]
    arn = application["inferenceProfileArn"]
    one = control.get_inference_profile(inferenceProfileIdentifier=arn)
    assert one["models"][0]["modelArn"].endswith(f"foundation-model/{BARE}")
    models = control.list_foundation_models(byProvider="anthropic")["modelSummaries"]
    assert BARE in [model["modelId"] for model in models]
    with pytest.raises(control.exceptions.ResourceNotFoundException):
        control.get_inference_profile(inferenceProfileIdentifier="us.unknown")


def test_the_anthropic_sdk(address, sim):
    anthropic = pytest.importorskip("anthropic", reason="the SDK is the oracle for the events")
    with anthropic.AnthropicBedrock(
        base_url=address,
        aws_access_key="AKIDSIMULATOR",
        aws_secret_key="simulator/secret+key",
        aws_region="us-east-1",
        max_retries=0,
    ) as client:
        ask = {"max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
        message = client.messages.create(model=OPUS_48, **ask)
        assert message.model == "claude-opus-4-8"
        with client.messages.stream(model=OPUS_48, **ask) as stream:
            final = stream.get_final_message()
        assert final.content[0].text == message.content[0].text
        assert final.usage.output_tokens == message.usage.output_tokens
        # The SDK sends its new API version, which models up to 4.6 do not know.
        with pytest.raises(anthropic.BadRequestError, match="anthropic_version"):
            client.messages.create(model=SONNET_45, **ask)
    assert [entry["body"]["anthropic_version"] for entry in sim.requests()] == ["2026-10-21"] * 3


@pytest.mark.parametrize(
    ("model", "betas", "fields"),
    [
        (
            "us.anthropic.claude-haiku-4-5-20251001-v1:0",
            ["tool-search-tool-2025-10-19"],
            {"thinking": {"type": "enabled", "budget_tokens": 31999}, "max_tokens": 32000},
        ),
        (
            SONNET_45,
            ["interleaved-thinking-2025-05-14", "tool-search-tool-2025-10-19"],
            {"thinking": {"type": "enabled", "budget_tokens": 31999}, "max_tokens": 32000},
        ),
        (
            "global.anthropic.claude-opus-4-6-v1",
            ["interleaved-thinking-2025-05-14", "tool-search-tool-2025-10-19"],
            {
                "thinking": {"type": "adaptive"},
                "output_config": {"effort": "high"},
                "max_tokens": 64000,
            },
        ),
        *(
            (
                model,
                [
                    "interleaved-thinking-2025-05-14",
                    "tool-search-tool-2025-10-19",
                    "thinking-token-count-2026-05-13",
                ],
                {
                    "thinking": {"type": "adaptive", "display": "omitted"},
                    "output_config": {"effort": effort},
                    "max_tokens": limit,
                },
            )
            for model, effort, limit in (
                ("us.anthropic.claude-opus-4-7", "xhigh", 64000),
                (OPUS_48, "high", 64000),
                ("us.anthropic.claude-opus-5-5", "medium", 128000),
                ("global.anthropic.claude-sonnet-5-5", "medium", 128000),
                ("us.anthropic.claude-fable-5-2", "medium", 128000),
            )
        ),
    ],
)
def test_what_claude_code_sends_to_bedrock_is_accepted(
    boto, sim, body, model, betas, fields
):  # fixtures
    cached = {"cache_control": {"type": "ephemeral"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "hello", **cached}]}]
    if any(name in model for name in ("opus-4-8", "-5-5", "fable")):
        messages.append({"role": "system", "content": "a reminder"})
    request = body(
        anthropic_beta=betas,
        messages=messages,
        metadata={"user_id": '{"device_id":"d"}'},
        system=[
            {"type": "text", "text": "billing"},
            {"type": "text", "text": "You are", **cached},
            {"type": "text", "text": "More", **cached},
        ],
        tools=[
            {"name": "Bash", "description": "run", "input_schema": {"type": "object"}},
            {
                "name": "DeferredToolPlaceholder",
                "description": "later",
                "input_schema": {"type": "object"},
                "defer_loading": True,
            },
        ],
        **fields,
    )
    boto().invoke_model(modelId=model, body=request)["body"].close()
    assert sim.requests()[0]["status"] == 200
