"""What a request may ask for beside its body: service tier and guardrail."""

from __future__ import annotations

import json

import pytest

SONNET_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
HAIKU_35 = "anthropic.claude-3-5-haiku-20241022-v1:0"
OPUS_48 = "us.anthropic.claude-opus-4-8"
GUARD = {"guardrailIdentifier": "gr123abc", "guardrailVersion": "1"}
FORBIDDEN = "please GUARDRAIL_BLOCK this"
NOT_SUPPORTED = "The provided service tier is not supported for this model"


def said(text="hello"):
    return [{"role": "user", "content": [{"text": text}]}]


def read(response):
    with response["body"] as stream:
        return json.loads(stream.read())


def events_of(response):
    return [json.loads(event["chunk"]["bytes"]) for event in response["body"]]


@pytest.mark.parametrize("tier", ["default", "priority", "flex"])
def test_a_tier_comes_back(boto, sim, body, tier):
    response = boto().invoke_model(modelId=SONNET_45, body=body(), serviceTier=tier)
    response["body"].close()
    assert response["serviceTier"] == tier
    asked = {"modelId": SONNET_45, "messages": said(), "serviceTier": {"type": tier}}
    assert boto().converse(**asked)["serviceTier"] == {"type": tier}
    *_, last = boto().converse_stream(**asked)["stream"]
    assert last["metadata"]["serviceTier"] == {"type": tier}
    assert "serviceTier" not in boto().converse(modelId=SONNET_45, messages=said())


@pytest.mark.parametrize(
    ("model", "tier", "words"),
    [
        (HAIKU_35, "flex", NOT_SUPPORTED),
        (HAIKU_35, "priority", NOT_SUPPORTED),
        (SONNET_45, "reserved", "Reservation not found"),
    ],
)
def test_a_tier_the_model_has_not(boto, sim, body, model, tier, words):
    with pytest.raises(boto().exceptions.ValidationException, match=words):
        boto().invoke_model(modelId=model, body=body(), serviceTier=tier)
    with pytest.raises(boto().exceptions.ValidationException, match=words):
        boto().converse(modelId=model, messages=said(), serviceTier={"type": tier})


def test_an_old_model_has_the_default_tier(boto, sim, body):
    boto().invoke_model(modelId=HAIKU_35, body=body(), serviceTier="default")["body"].close()


def test_a_script_refuses_a_tier(boto, ask, sim, body):
    error = {"type": "ValidationException", "message": NOT_SUPPORTED}
    match = {"service_tier": "flex", "model": "opus"}
    sim.script([{"match": match, "error": error, "times": "forever"}])
    refused = pytest.raises(boto().exceptions.ValidationException, match=NOT_SUPPORTED)
    with refused:
        boto().invoke_model(modelId=OPUS_48, body=body(), serviceTier="flex")
    with refused:
        boto().converse(modelId=OPUS_48, messages=said(), serviceTier={"type": "flex"})
    assert ask(headers={"x-amzn-bedrock-service-tier": "flex"}, model=OPUS_48)[0] == 400
    boto().invoke_model(modelId=OPUS_48, body=body(), serviceTier="priority")["body"].close()
    boto().invoke_model(modelId=SONNET_45, body=body(), serviceTier="flex")["body"].close()


def test_an_unknown_tier(address, post, sim, body):
    given = {"messages": said(), "serviceTier": {"type": "cheapest"}}
    assert b"enum value set" in post(json.dumps(given), "converse")[2]


def test_a_guardrail_lets_a_prompt_through(boto, sim, body):
    message = read(boto().invoke_model(modelId=SONNET_45, body=body(), **GUARD))
    assert message["amazon-bedrock-guardrailAction"] == "NONE"
    assert message["content"][0]["text"].endswith("You said: hello")
    asked = {"modelId": SONNET_45, "messages": said(), "guardrailConfig": GUARD}
    assert boto().converse(**asked)["stopReason"] == "end_turn"
    free = read(boto().invoke_model(modelId=SONNET_45, body=body()))
    assert "amazon-bedrock-guardrailAction" not in free


def test_a_guardrail_stops_a_prompt_of_invoke(boto, sim, body):
    asked = {"modelId": SONNET_45, "body": body(messages=[{"role": "user", "content": FORBIDDEN}])}
    message = read(boto().invoke_model(**asked, **GUARD, trace="ENABLED"))
    assert message["amazon-bedrock-guardrailAction"] == "INTERVENED"
    assert "guardrail" in message["content"][0]["text"]
    assert message["stop_reason"] == "end_turn"
    assert list(message["amazon-bedrock-trace"]["guardrail"]["input"]) == ["gr123abc"]
    assert sim.requests()[-1]["billed_usage"]["output_tokens"] == 0
    events = events_of(boto().invoke_model_with_response_stream(**asked, **GUARD))
    assert events[-1]["amazon-bedrock-guardrailAction"] == "INTERVENED"
    assert "amazon-bedrock-trace" not in events[-1]
    # Without a guardrail the word means nothing.
    assert read(boto().invoke_model(**asked))["content"][0]["text"].endswith(FORBIDDEN)


def test_a_guardrail_stops_a_prompt_of_converse(boto, sim):
    config = {**GUARD, "trace": "enabled"}
    asked = {"modelId": SONNET_45, "messages": said(FORBIDDEN), "guardrailConfig": config}
    response = boto().converse(**asked)
    assert response["stopReason"] == "guardrail_intervened"
    assert list(response["trace"]["guardrail"]["inputAssessment"]) == ["gr123abc"]
    events = list(boto().converse_stream(**asked)["stream"])
    assert events[-2]["messageStop"]["stopReason"] == "guardrail_intervened"
    assert "trace" in events[-1]["metadata"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"guardrailIdentifier": "gr123abc"}, "guardrailVersion is required"),
        ({"guardrailVersion": "1"}, "guardrailIdentifier is required"),
        ({**GUARD, "guardrailIdentifier": "Not Valid"}, "regular expression pattern"),
        ({**GUARD, "guardrailVersion": "v1"}, "regular expression pattern"),
        ({**GUARD, "trace": "LOUD"}, "Input should be 'DISABLED'"),
    ],
)
def test_a_malformed_guardrail(boto, sim, body, given, words):
    with pytest.raises(boto().exceptions.ValidationException, match=words):
        boto().invoke_model(modelId=SONNET_45, body=body(), **given)
    config = {key: value for key, value in given.items() if key != "trace"}
    if config != GUARD:
        with pytest.raises(boto().exceptions.ValidationException, match=words):
            boto().converse(modelId=SONNET_45, messages=said(), guardrailConfig=config)


@pytest.mark.parametrize(
    "identifier", ["gr1", "arn:aws:bedrock:us-east-1:123456789012:guardrail/gr1"]
)
def test_names_of_guardrails(boto, sim, body, identifier):
    given = {"guardrailIdentifier": identifier, "guardrailVersion": "DRAFT"}
    boto().invoke_model(modelId=SONNET_45, body=body(), **given)["body"].close()
