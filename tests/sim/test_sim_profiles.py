"""Application inference profiles: an opaque ARN, and what stands behind it."""

from __future__ import annotations

import json

import pytest

from anthropic_bedrock_proxy.sim.client import SimError

PREFIX = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile"
DEFAULT = f"{PREFIX}/sim0sonnet45"
SONNET_45 = "anthropic.claude-sonnet-4-5-20250929-v1:0"
HELLO = [{"role": "user", "content": [{"text": "hello"}]}]


def backing(boto, arn):
    profile = boto("bedrock").get_inference_profile(inferenceProfileIdentifier=arn)
    assert (profile["type"], profile["inferenceProfileArn"]) == ("APPLICATION", arn)
    return {item["modelArn"].partition("foundation-model/")[2] for item in profile["models"]}


def test_the_default_one(boto, sim, body):
    assert backing(boto, DEFAULT) == {SONNET_45}
    response = boto().invoke_model(modelId=DEFAULT, body=body())
    with response["body"] as stream:
        assert json.loads(stream.read())["model"] == "claude-sonnet-4-5-20250929"
    boto().converse(modelId=DEFAULT, messages=HELLO)
    invoked, conversed = [entry for entry in sim.requests() if entry["method"] == "POST"]
    assert invoked["model"] == conversed["model"] == DEFAULT
    assert "application-inference-profile%2Fsim0sonnet45" in invoked["path"]


def test_a_profile_set_by_the_test(boto, ask, sim, body):
    arns = sim.set_profiles(
        {"team": "global.anthropic.claude-opus-4-8", "cheap": "amazon.nova-lite-v1:0"}
    )
    assert arns == {"team": f"{PREFIX}/team", "cheap": f"{PREFIX}/cheap"}
    assert backing(boto, arns["team"]) == {"anthropic.claude-opus-4-8"}
    assert backing(boto, arns["cheap"]) == {"amazon.nova-lite-v1:0"}
    boto().invoke_model(modelId=arns["team"], body=body())["body"].close()
    boto().converse(modelId=arns["cheap"], messages=HELLO)
    status, _, received = ask(model=arns["team"])
    assert (status, json.loads(received)["model"]) == (200, "claude-opus-4-8")
    assert ask(model=arns["cheap"])[0] == 404
    assert ask("/mantle/anthropic/v1/messages", model=arns["team"])[0] == 404
    listed = boto("bedrock").list_inference_profiles(typeEquals="APPLICATION")
    assert len(listed["inferenceProfileSummaries"]) == 2
    sim.reset()
    assert backing(boto, DEFAULT) == {SONNET_45}


def test_an_unknown_one(boto, ask, sim, body):
    sim.set_profiles({})
    for gone in (f"{PREFIX}/gone", DEFAULT):
        with pytest.raises(boto("bedrock").exceptions.ResourceNotFoundException):
            boto("bedrock").get_inference_profile(inferenceProfileIdentifier=gone)
        with pytest.raises(boto().exceptions.ResourceNotFoundException):
            boto().invoke_model(modelId=gone, body=body())
        with pytest.raises(boto().exceptions.ResourceNotFoundException):
            boto().converse(modelId=gone, messages=HELLO)
        assert ask(model=gone)[0] == 404


@pytest.mark.parametrize("source", ["us.anthropic.claude-opus-9", "", DEFAULT])
def test_a_profile_of_nothing_is_refused(sim, source):
    with pytest.raises(SimError, match=r"profiles\.x: no model"):
        sim.set_profiles({"x": source})
