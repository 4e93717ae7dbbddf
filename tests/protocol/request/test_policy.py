"""What the operator and the key lay down, on the native dialects; and the Messages endpoints."""

from __future__ import annotations

import pytest
from adapting import HAIKU, HELLO, OPUS, REGISTRY, SONNET_4
from streams import decode, encode

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.models.registry import DEFAULT_PROVIDER
from anthropic_bedrock_proxy.protocol.answer.edits import with_added, without_content
from anthropic_bedrock_proxy.protocol.native.endpoints import to_messages
from anthropic_bedrock_proxy.protocol.native.invoke import to_invoke
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.protocol.request.metadata import request_metadata
from anthropic_bedrock_proxy.protocol.request.policy import Guardrail, Policy

GUARDRAIL = Guardrail(identifier="abc", version="1")


def invoke(model=HAIKU, policy=None, flags=(), **body):
    body = {"model": model, "max_tokens": 9, "messages": HELLO, **body}
    request = parse_request(encode(body), "2023-06-01")
    capabilities = REGISTRY.target(REGISTRY.route(model), DEFAULT_PROVIDER, "invoke").capabilities
    return to_invoke(request, list(flags), capabilities, REGISTRY.betas, policy or Policy())


def endpoint(model=OPUS, dialect="messages", policy=None, flags=(), version="2023-06-01", **body):
    body = {"model": model, "max_tokens": 9, "messages": HELLO, **body}
    request = parse_request(encode(body), version)
    target = REGISTRY.target(REGISTRY.route(model), DEFAULT_PROVIDER, dialect)
    return to_messages(
        request,
        list(flags),
        target.capabilities,
        REGISTRY.betas,
        policy or Policy(),
        model_id=target.bedrock_model_id,
    )


def marked(**control):
    """A request with a marker in each place that may hold one."""
    control = {"type": "ephemeral", **control}
    block = {"type": "text", "text": "a", "cache_control": control}
    return {
        "system": [block],
        "messages": [{"role": "user", "content": [block]}],
        "tools": [{"name": "t", "input_schema": {}, "cache_control": control}],
    }


def markers(converted):
    body = decode(converted.body)
    providers = (body["system"][0], body["messages"][0]["content"][0], body["tools"][0])
    return [provider.get("cache_control") for provider in providers]


@pytest.mark.parametrize(
    ("policy", "client", "sent"),
    [
        (Policy(), {}, {}),
        (Policy(), {"ttl": "5m"}, {"ttl": "5m"}),
        (Policy(default_cache_ttl="1h"), {}, {"ttl": "1h"}),
        (Policy(default_cache_ttl="1h"), {"ttl": "5m"}, {"ttl": "5m"}),
        (Policy(cache_ttl="1h", default_cache_ttl="5m"), {"ttl": "5m"}, {"ttl": "1h"}),
        (Policy(cache_ttl="5m"), {"ttl": "1h", "scope": "global"}, {"ttl": "5m"}),
    ],
)
def test_the_key_beats_the_client_beats_the_default(policy, client, sent):
    converted = invoke(policy=policy, **marked(**client))
    assert markers(converted) == [{"type": "ephemeral", **sent}] * 3


def test_models_without_the_long_ttl():
    converted = invoke(SONNET_4, **marked(ttl="1h"))
    assert markers(converted) == [{"type": "ephemeral"}] * 3
    assert "tools.0.cache_control.ttl" in converted.dropped
    assert markers(invoke(SONNET_4, **marked(ttl="5m")))[0]["ttl"] == "5m"
    plain = invoke(SONNET_4, system=[{"type": "text", "text": "a"}])
    assert plain.dropped == ()


def test_caching_can_be_switched_off():
    converted = invoke(policy=Policy(cache=False), **marked())
    assert markers(converted) == [None] * 3
    assert len(converted.dropped) == 3


def test_what_is_laid_down_goes_into_headers():
    policy = Policy(service_tier="flex", latency="optimized", guardrail=GUARDRAIL)
    assert invoke(policy=policy).headers == (
        ("x-amzn-bedrock-service-tier", "flex"),
        ("x-amzn-bedrock-performanceconfig-latency", "optimized"),
        ("x-amzn-bedrock-guardrailidentifier", "abc"),
        ("x-amzn-bedrock-guardrailversion", "1"),
    )
    traced = Policy(guardrail=Guardrail(identifier="abc", trace="enabled_full"))
    assert ("x-amzn-bedrock-trace", "ENABLED_FULL") in invoke(policy=traced).headers
    assert invoke().headers == ()


@pytest.mark.parametrize(
    ("metadata", "sent"),
    [
        ({"user_id": "u-1@example.com"}, {"user_id": "u-1@example.com"}),
        ({"user_id": '{"device_id":"a","session_id":"b"}'},
         {"user_id": "_device_id_:_a_,_session_id_:_b_"}),
        ({"user_id": "a\r\nx-injected: 1"}, {"user_id": "a x-injected: 1"}),
        ({"user_id": "é"}, {}),
        ({"user_id": "x" * 300}, {"user_id": "x" * 256}),
        ({"user_id": None}, {}),
        ({}, {}),
        (None, {}),
    ],
)  # fmt: skip
def test_the_user_becomes_request_metadata(metadata, sent):
    assert request_metadata(encode(metadata)) == sent
    headers = dict(invoke(metadata=metadata).headers)
    assert decode(headers.get("x-amzn-bedrock-request-metadata", "{}")) == sent
    assert invoke(metadata=metadata, policy=Policy(request_metadata=False)).headers == ()


def test_malformed_metadata_is_refused():
    with pytest.raises(InvalidRequestError):
        invoke(metadata={"user_id": 1})


class TestEndpoints:
    def test_the_body_is_anthropic_s_own(self):
        converted = endpoint(stream=True, cache_control={"type": "ephemeral"})
        assert decode(converted.body) == {
            "model": "global.anthropic.claude-opus-5-5",
            "max_tokens": 9,
            "messages": HELLO,
            "stream": True,
            "cache_control": {"type": "ephemeral"},
        }
        assert converted.headers == (("anthropic-version", "2023-06-01"),)

    def test_flags_are_a_header(self):
        flags = ["interleaved-thinking-2025-05-14", "unknown", "effort-2025-11-24"]
        converted = endpoint(flags=flags, version="2026-10-21")
        assert converted.headers[0] == ("anthropic-version", "2023-06-01")
        assert converted.headers[1] == ("anthropic-beta", f"{flags[0]},{flags[2]}")
        assert converted.dropped == ("anthropic-beta unknown",)

    def test_bedrock_mantle_has_no_structured_output(self):
        config = {"format": {"type": "json_schema", "schema": {}}}
        assert b"json_schema" in endpoint(output_config=config).body
        with pytest.raises(InvalidRequestError, match=r"^output_config\.format: "):
            endpoint(dialect="mantle", output_config=config)

    @pytest.mark.parametrize(
        ("policy", "word"),
        [
            (Policy(guardrail=GUARDRAIL), "a guardrail"),
            (Policy(service_tier="flex"), "the service tier flex"),
            (Policy(latency="optimized"), "a latency"),
        ],
    )
    def test_what_the_operator_laid_down_is_never_left_out(self, policy, word):
        with pytest.raises(InvalidRequestError, match=word):
            endpoint(policy=policy)

    def test_what_no_check_foresaw_is_the_client_s_mistake(self):
        body = (
            b'{"model":"claude-opus-5-5","max_tokens":1,"messages":[{"role":"user","content":'
            b'[{"type":"text","text":"a","caller":null,"x":%b}]}]}' % (b"1" * 5000)
        )
        request = parse_request(body, "2023-06-01")
        target = REGISTRY.route(OPUS).targets[0]
        with pytest.raises(InvalidRequestError, match="cannot be converted"):
            to_messages(request, [], target.capabilities, REGISTRY.betas, model_id="m")


ADDED = {"context_management": {"applied_edits": [{"type": "a"}]}, "safeguard_results": [1]}


def test_added_fields_are_told_unless_the_model_did():
    assert decode(with_added(b'{"id":"a"}', ADDED)) == {"id": "a", **ADDED}
    own = b'{"context_management":{"applied_edits":[]},"safeguard_results":[]}'
    assert with_added(own, ADDED) == own


def test_added_fields_of_the_delta_are_told_there():
    told = decode(with_added(b'{"delta":{"stop_reason":"end_turn"}}', ADDED))
    assert told == {
        "delta": {"stop_reason": "end_turn", "safeguard_results": [1]},
        "context_management": ADDED["context_management"],
    }
    own = b'{"delta":{"safeguard_results":[]},"context_management":{}}'
    assert with_added(own, ADDED) == own


def test_what_only_warmed_the_cache_has_no_content():
    message = b'{"id":"a","content":[{"type":"text","text":"x"}],"usage":{"output_tokens":1}}'
    assert decode(without_content(message)) == {
        "id": "a",
        "content": [],
        "stop_reason": "max_tokens",
        "stop_sequence": None,
        "usage": {"output_tokens": 1},
    }


def test_inference_geo():
    def geography(value):
        body = {"model": HAIKU, "max_tokens": 1, "messages": HELLO, "inference_geo": value}
        return parse_request(encode(body), "2023-06-01").inference_geo()

    assert (geography("us"), geography(None)) == ("us", "")
    for wrong in (1, "u" * 65):
        with pytest.raises(InvalidRequestError, match="inference_geo: Expected"):
            geography(wrong)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ((None, None, None), ("1h", "1h", "1h")),
        ((None, "5m", None), ("1h", "5m", None)),
        (("5m", None, None), ("5m", None, None)),
        (("1h", None, "5m"), ("1h", "1h", "5m")),
    ],
)
def test_the_default_never_lets_an_hour_follow_upon_five_minutes(asked, sent):
    """Bedrock refuses that; it reads tools, system and messages, in this order."""
    tool, system, text = (
        {"cache_control": {"type": "ephemeral", **({"ttl": ttl} if ttl else {})}} for ttl in asked
    )
    body = {
        "tools": [{"name": "t", "input_schema": {"type": "object"}, **tool}],
        "system": [{"type": "text", "text": "s", **system}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a", **text}]}],
    }
    found = markers(invoke(policy=Policy(default_cache_ttl="1h"), **body))
    assert sorted(str(m.get("ttl")) for m in found) == sorted(map(str, sent))
    top = {"cache_control": {"type": "ephemeral"}, **body}
    converted = endpoint(policy=Policy(default_cache_ttl="1h"), **top)
    ttl = decode(converted.body)["cache_control"].get("ttl")
    assert ttl == (None if "5m" in asked else "1h")


@pytest.mark.parametrize(
    ("policy", "control", "sent", "dropped"),
    [
        (Policy(), {"ttl": "5m"}, {"ttl": "5m"}, ()),
        (Policy(), {"scope": "global"}, {}, ("cache_control.scope",)),
        (Policy(cache_ttl="1h"), {}, {"ttl": "1h"}, ()),
        (Policy(cache=False), {}, None, ("cache_control",)),
    ],
)
def test_the_request_s_own_breakpoint_is_under_the_same_terms(policy, control, sent, dropped):
    converted = endpoint(policy=policy, cache_control={"type": "ephemeral", **control})
    body = decode(converted.body)
    assert body.get("cache_control") == (None if sent is None else {"type": "ephemeral", **sent})
    assert converted.dropped == dropped
