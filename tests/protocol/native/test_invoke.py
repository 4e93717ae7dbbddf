"""The golden folder: what a client sends, what Bedrock gets, what was left out, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from streams import decode, encode, messages

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.models.betas import BetaRules
from anthropic_bedrock_proxy.models.registry import DEFAULT_PROVIDER
from anthropic_bedrock_proxy.protocol.adapt.adapt import adapt
from anthropic_bedrock_proxy.protocol.native.invoke import to_invoke
from anthropic_bedrock_proxy.protocol.request.messages import parse_request

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "invoke").glob("*.json"))


def convert(registry, request, *, betas=(), version="2023-06-01"):
    parsed = parse_request(encode(request), version)
    capabilities = on_invoke(registry, request["model"])
    adapted = adapt(parsed, list(betas), capabilities, registry.betas)
    converted = to_invoke(adapted.request, adapted.flags, capabilities, registry.betas)
    return msgspec.structs.replace(converted, dropped=(*adapted.dropped, *converted.dropped))


def on_invoke(registry, name):
    return registry.target(registry.route(name), DEFAULT_PROVIDER, "invoke").capabilities


def convert_body(registry, body):
    request = parse_request(body, "2023-06-01")
    capabilities = on_invoke(registry, request.view.model)
    adapted = adapt(request, [], capabilities, registry.betas)
    return to_invoke(adapted.request, [], capabilities, registry.betas)


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
    converted = convert_body(registry, body)
    assert messages in converted.body
    assert b'"x":1.50' in converted.body


NUMBERS = (
    b'{"a":1.10,"b":1e400,"c":0.1234567890123456789,"d":-1E5,"e":123456789012345678901234567890}'
)


@pytest.mark.parametrize(
    "rest",
    [
        b'"messages":[{"role":"user","content":[{"type":"a","input":%b,"caller":null}]}]',
        b'"messages":[{"role":"user","content":"a"}],"tools":[{"type":"custom","schema":%b}]',
        b'"messages":[{"role":"user","content":"a"}],"output_format":{"schema":%b}',
    ],
    ids=["message", "tool", "format"],
)
def test_numbers_survive_edits_as_they_were_written(registry, rest):
    body = b'{"model":"claude-haiku-4-5","max_tokens":1,%b}' % (rest % NUMBERS)
    converted = convert_body(registry, body)
    assert NUMBERS in converted.body


def test_what_no_check_foresaw_is_still_the_client_s_mistake(registry):
    body = (
        b'{"model":"claude-haiku-4-5","max_tokens":1,"messages":[{"role":"assistant","content":'
        b'[{"type":"tool_use","id":"a","name":"t","input":%b,"caller":null}]}]}' % (b"1" * 5000)
    )
    with pytest.raises(InvalidRequestError, match=r"^The request body cannot be converted"):
        convert_body(registry, body)


def test_the_operator_s_rules_hold_for_flags_that_the_proxy_adds(registry):
    request = parse_request(
        encode(
            {
                "model": "claude-sonnet-4",
                "max_tokens": 1,
                "messages": [{"role": "user", "content": "a"}],
                "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
            }
        ),
        "2023-06-01",
    )
    flag = "context-management-2025-06-27"
    legacy, current = (
        on_invoke(registry, name) for name in ("claude-sonnet-4", "claude-sonnet-4-5")
    )
    needed = registry.betas.needed_for
    with_it = BetaRules(needed_for=needed, passthrough=frozenset((flag,)))
    adapted = adapt(request, [], legacy, with_it)
    sent = to_invoke(adapted.request, [], legacy, with_it)
    assert decode(sent.body)["anthropic_beta"] == [flag]
    without = BetaRules(needed_for=needed, blocklist=frozenset((flag,)))
    adapted = adapt(request, [], current, without)
    assert adapted.added == {"context_management": {"applied_edits": []}}
    assert "context_management" not in decode(to_invoke(adapted.request, [], current, without).body)


@given(messages)
def test_an_echoed_answer_is_accepted_as_history(message):
    registry = _registry()
    sound = [
        block
        for block in message["content"]
        if block.get("text", "x").strip() and block.get("signature") != ""
    ]
    content = [{**block, "caller": {"type": "direct"}} for block in message["content"]]
    history = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": content or "(empty)"},
        {"role": "user", "content": "b"},
    ]
    request = {"model": "claude-opus-4-8", "max_tokens": 5, "messages": history}
    expected_empty = [{"type": "text", "text": "(empty)"}] if content else "(empty)"
    converted = decode(convert(registry, request).body)
    assert converted["messages"][1]["content"] == (sound or expected_empty)


def _registry():
    from anthropic_bedrock_proxy.app.models import load_model_table  # noqa: PLC0415
    from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions  # noqa: PLC0415

    return Registry(load_model_table(), RoutingOptions(region="us-east-1"))
