"""What the Messages endpoints are asked for on behalf of a turn, and what they are not."""

from __future__ import annotations

import pytest
from streams import decode, encode

from anthropic_bedrock_proxy.app.models import make_registry
from anthropic_bedrock_proxy.config import Settings
from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.gateway.conversion import ConversionOptions, convert
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.protocol.request.policy import DEFAULT_POLICY

REGISTRY = make_registry(Settings())
MODELS = ("claude-opus-5-5", "claude-haiku-4-5", "qwen.qwen3-32b-v1:0")


def converted(model, *, streams, **fields):
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    request = parse_request(encode(body | fields), "2023-06-01")
    options = ConversionOptions(
        flags=[], rules=REGISTRY.betas, policy=DEFAULT_POLICY, stream=streams, request_id="req_1"
    )
    return convert(request, REGISTRY.route(model).targets[0], options).call


@pytest.mark.parametrize("asked", [{}, {"stream": False}, {"stream": True}])
def test_the_calls_of_a_turn_ask_for_events_though_the_client_does_not(asked):
    call = converted("claude-opus-5-5", streams=True, **asked)
    assert call.operation == "messages-stream"
    assert decode(call.body)["stream"] is True


def test_a_whole_answer_is_asked_for_as_the_client_did():
    assert "stream" not in decode(converted("claude-opus-5-5", streams=False).body)


@pytest.mark.parametrize("model", MODELS)
def test_a_refused_thread_tells_tool_runners_to_send_the_whole_history(model):
    with pytest.raises(InvalidRequestError, match="server-side threads") as caught:
        converted(model, streams=False, thread={"type": "create"})
    assert caught.value.error_code == "thread_unsupported_request"
    assert list(caught.value.unsupported) == ["thread"]


@pytest.mark.parametrize("model", MODELS)
def test_no_other_refused_field_has_that_code(model):
    with pytest.raises(InvalidRequestError, match="fallbacks") as caught:
        converted(model, streams=False, fallbacks=[{"model": "x"}])
    assert caught.value.error_code is None
