"""What InvokeModel refuses, and in which words. Most cases call the validation itself."""

from __future__ import annotations

import json

import pytest

from anthropic_bedrock_proxy.sim.anthropic import validation as invoke
from anthropic_bedrock_proxy.sim.models import lookup as models
from anthropic_bedrock_proxy.sim.wire.refusal import Refusal

HAIKU_45 = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
SONNET_4 = "us.anthropic.claude-sonnet-4-20250514-v1:0"
SONNET_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_45 = "us.anthropic.claude-opus-4-5-20251101-v1:0"
SONNET_46 = "us.anthropic.claude-sonnet-4-6"
OPUS_47 = "us.anthropic.claude-opus-4-7"
OPUS_48 = "us.anthropic.claude-opus-4-8"
OPUS_55 = "us.anthropic.claude-opus-5-5"
FABLE = "us.anthropic.claude-fable-5-2"
SEARCH = {"anthropic_beta": ["tool-search-tool-2025-10-19"]}
TOOL = {"name": "run", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "run", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
MARK = {"cache_control": {"type": "ephemeral"}}


def says(*content):
    return {"role": "assistant", "content": list(content)}


def asks(*content):
    return {"role": "user", "content": list(content) if content else "hello"}


def text(words, **more):
    return {"type": "text", "text": words, **more}


def verdict(model, body, /, **fields):
    try:
        return invoke.validate(models.resolve_for_inference(model), body(**fields).encode())
    except Refusal as refusal:
        return refusal.message if refusal.type == "ValidationException" else refusal.type


EXTRA = "Extra inputs are not permitted"
REFUSED = [
    # the top level
    (SONNET_45, {"model": "x"}, f"model: {EXTRA}"),
    (SONNET_45, {"stream": True}, f"stream: {EXTRA}"),
    (SONNET_45, {"container": "c"}, f"container: {EXTRA}"),
    (SONNET_45, {"context_management": {"edits": []}}, f"context_management: {EXTRA}"),
    (SONNET_4, {"output_config": {"effort": "low"}}, f"output_config: {EXTRA}"),
    (SONNET_46, MARK, f"cache_control: {EXTRA}"),
    (SONNET_45, {"max_tokens": 64001}, "max_tokens: 64001 > 64000"),
    (SONNET_45, {"max_tokens": True}, "max_tokens: Input should be a valid integer"),
    (SONNET_45, {"anthropic_version": "2026-10-21"}, "anthropic_version"),
    (SONNET_45, {"metadata": {"session": "x"}}, f"metadata.session: {EXTRA}"),
    # beta flags
    (SONNET_45, {"anthropic_beta": ["nonsense"]}, "invalid beta flag"),
    (SONNET_45, {"anthropic_beta": ["context-1m-2025-08-07", "per-turn-control-2026-07-01"]},
     "invalid beta flag"),
    (SONNET_45, {"anthropic_beta": ["dangerous-tool-use-2026-09-03"]}, "invalid beta flag"),
    (SONNET_45, {"safeguards": []}, f"safeguards: {EXTRA}"),
    (OPUS_47, {"safeguards": []}, f"safeguards: {EXTRA}"),
    (OPUS_47, {"safeguards": [{"type": "x"}], "anthropic_beta": ["dangerous-tool-use-2026-09-03"]},
     "safeguards.0: Input tag 'x' found using 'type'"),
    (OPUS_47, {"anthropic_beta": ["claude-code-20250219"]}, "invalid beta flag"),
    (SONNET_45, {"anthropic_beta": ["structured-outputs-2025-11-13"]}, "invalid beta flag"),
    (SONNET_45, {"anthropic_beta": ["advanced-tool-use-2025-11-20"]}, "invalid beta flag"),
    # blocks
    (SONNET_45, {"messages": [asks(), says({**CALL, "caller": {"type": "direct"}})]},
     f"messages.1.content.0.tool_use.caller: {EXTRA}"),
    (SONNET_45, {"messages": [asks(), says(text("x", parsed_output=None)), asks()]},
     f"messages.1.content.0.text.parsed_output: {EXTRA}"),
    (SONNET_45, {"messages": [asks(text(""))]}, "messages: text content blocks must be non-empty"),
    (SONNET_45, {"messages": [asks(text(" \n"))]}, "must contain non-whitespace text"),
    (SONNET_45, {"system": [text("")]}, "system: text content blocks must be non-empty"),
    (SONNET_45, {"messages": [{"role": "user", "content": []}]}, "must have non-empty content"),
    (SONNET_45, {"messages": [asks({"type": "image", "source": {"type": "url", "url": "u"}})]},
     "messages.0.content.0.image.source: Input tag 'url' found using 'type'"),
    (SONNET_45, {"messages": [asks({"type": "document", "source": {"type": "file",
                                                                  "file_id": "f"}})]},
     "messages.0.content.0.document.source: Input tag 'file'"),
    (SONNET_45, {"messages": [asks({"type": "container_upload", "file_id": "f"})]},
     "messages.0.content.0: Input tag 'container_upload'"),
    (SONNET_45, {"messages": [asks(CALL)]}, "`tool_use` blocks can only be in `assistant`"),
    (SONNET_45, {"messages": [asks(), says({"type": "server_tool_use", "id": "srvtoolu_1",
                                            "name": "code_execution", "input": {}}), asks()]},
     "messages.1.content.0: Input tag 'server_tool_use'"),
    # turns
    (SONNET_45, {"messages": [says(text("hi"))]}, 'first message must use the "user" role'),
    (SONNET_45, {"messages": [asks(), says(CALL), asks()]},
     "`tool_use` ids were found without `tool_result` blocks immediately after: toolu_1"),
    (SONNET_45, {"messages": [asks(RESULT)]}, "unexpected `tool_use_id` found in `tool_result`"),
    (SONNET_46, {"messages": [asks(), says(text("prefill"))]},
     "does not support assistant message prefill"),
    (SONNET_45, {"messages": [asks(), says(text("prefill "))]}, "trailing whitespace"),
    (HAIKU_45, {"messages": [asks(), {"role": "system", "content": "x"}]},
     'messages: Unexpected role "system"'),
    (OPUS_47, {"messages": [asks(), {"role": "system", "content": "x"}]},
     "role 'system' is not supported on this model"),
    (OPUS_48, {"messages": [asks(), {"role": "system", "content": "x",
                                     "output_config": {"effort": "low"}}]},
     f"messages.1.output_config: {EXTRA}"),
    (SONNET_45, {"messages": [asks(), says(CALL), asks(RESULT)], "tools": [TOOL],
                 "thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000},
     "Expected `thinking` or `redacted_thinking`, but found `tool_use`"),
    # tools
    (SONNET_45, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
     ("tools.0: Input tag 'web_search_20250305' found using 'type' does not match any of the "
      "expected tags: 'bash_20250124', 'custom'")),
    (SONNET_45, {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
     "tools.0: Input tag 'code_execution_20250825'"),
    (SONNET_45, {"tools": [{"type": "tool_search_tool_regex", "name": "tool_search_tool_regex"}]},
     "tools.0: Input tag 'tool_search_tool_regex'"),
    (SONNET_45, {"tools": [TOOL, {**TOOL, "name": "b", "defer_loading": True}]},
     f"tools.1.custom.defer_loading: {EXTRA}"),
    (SONNET_45, {"tools": [{**TOOL, "defer_loading": True}], **SEARCH},
     "At least one tool must have defer_loading=false"),
    (SONNET_45, {"tools": [{**TOOL, "allowed_callers": ["direct"]}]},
     f"tools.0.custom.allowed_callers: {EXTRA}"),
    (HAIKU_45, {"tools": [{**TOOL, "eager_input_streaming": True}]},
     f"tools.0.custom.eager_input_streaming: {EXTRA}"),
    (SONNET_45, {"tools": [{**TOOL, "name": "a.b"}]},
     "tools.0.custom.name: String should match pattern"),
    (SONNET_45, {"tools": [TOOL, TOOL]}, "Tool names must be unique"),
    (SONNET_45, {"tool_choice": {"type": "auto"}}, "only be specified while providing tools"),
    (SONNET_45, {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "b"}},
     "Tool 'b' not found"),
    # caching
    (SONNET_45, {"messages": [asks(*[text("x", **MARK)] * 5)]}, "A maximum of 4 blocks"),
    (SONNET_45, {"system": [text("x", **MARK)], "messages": [asks(text("x", cache_control={
        "type": "ephemeral", "ttl": "1h"}))]}, "must not come after a ttl='5m'"),
    (SONNET_45, {"system": [text("x", cache_control={"type": "ephemeral", "scope": "global"})]},
     f"system.0.cache_control.ephemeral.scope: {EXTRA}"),
    # thinking, effort, sampling
    (OPUS_47, {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 4000},
     '"thinking.type.enabled" is not supported'),
    (SONNET_45, {"thinking": {"type": "adaptive"}}, "adaptive thinking is not supported"),
    (FABLE, {"thinking": {"type": "disabled"}}, '"thinking.type.disabled" is not supported'),
    (OPUS_55, {"thinking": {"type": "disabled"}}, '"thinking.type.disabled" is not supported'),
    (OPUS_55, {"tools": [TOOL], "tool_choice": {"type": "any"}}, "tool_choice: 'any' is not"),
    (FABLE, {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "run"}},
     "tool_choice: 'tool' is not supported for this model"),
    (SONNET_45, {"thinking": {"type": "enabled", "budget_tokens": 1000}, "max_tokens": 2000},
     "greater than or equal to 1024"),
    (SONNET_45, {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 1024},
     "`max_tokens` must be greater than"),
    (SONNET_45, {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000,
                 "tools": [TOOL], "tool_choice": {"type": "any"}}, "forces tool use"),
    (SONNET_45, {"output_config": {"effort": "low"}}, "does not support the effort parameter"),
    (OPUS_45, {"output_config": {"effort": "low"}}, f"output_config.effort: {EXTRA}"),
    (SONNET_46, {"output_config": {"effort": "xhigh"}}, "effort level 'xhigh'"),
    (OPUS_47, {"temperature": 0.5}, "`temperature` is deprecated for this model."),
    (OPUS_47, {"temperature": 1, "anthropic_version": "2026-10-21"}, f"temperature: {EXTRA}"),
    (SONNET_45, {"temperature": 0.5, "top_p": 0.5}, "cannot both be specified"),
    (SONNET_45, {"messages": [asks(text("x" * 800_100))]}, "Input is too long for requested model"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "fields", "words"), REFUSED)
def test_refused_with_the_words_of_bedrock(body, model, fields, words):
    message = verdict(model, body, **fields)
    assert isinstance(message, str), "the simulator accepted it"
    assert words in message


ACCEPTED = [
    (SONNET_45, {"messages": [asks(), asks(text("again"))]}),
    (SONNET_45, {"messages": [asks(), says(CALL), asks(RESULT)], "tools": [TOOL]}),
    (SONNET_45, {"messages": [asks(), says(text("prefill"))]}),
    (SONNET_45, {"tools": [TOOL, {**TOOL, "name": "b", "defer_loading": True}], **SEARCH}),
    (SONNET_45, {"temperature": 0.5}),
    (SONNET_45, {"context_management": {"edits": [{"type": "clear_thinking_20251015",
                                                   "keep": "all"}]},
                 "anthropic_beta": ["context-management-2025-06-27"]}),
    (SONNET_45, {"tools": [{"type": "bash_20250124", "name": "bash"}, {**TOOL, "type": "custom"}]}),
    (SONNET_45, {"thinking": {"type": "enabled", "budget_tokens": 4000}, "max_tokens": 2000,
                 "tools": [TOOL], "anthropic_beta": ["interleaved-thinking-2025-05-14"]}),
    (OPUS_45, {"output_config": {"effort": "low"}, "anthropic_beta": ["effort-2025-11-24"]}),
    (OPUS_47, {"temperature": 1}),
    (OPUS_48, {"anthropic_version": "2026-10-21", "output_config": {"effort": "max"}}),
    (SONNET_45, {"system": [text("x", cache_control={"type": "ephemeral", "ttl": "1h"})]}),
    (SONNET_45, {"messages": [asks({"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}})]}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "fields"), ACCEPTED)
def test_accepted(body, model, fields):
    assert not isinstance(verdict(model, body, **fields), str)


@pytest.mark.parametrize(
    ("model", "type_", "words"),
    [
        (
            "anthropic.claude-opus-4-8",
            "ValidationException",
            "with on-demand throughput isn\u2019t",
        ),
        ("us.anthropic.claude-opus-9", "ValidationException", "model identifier is invalid"),
        ("claude-opus-4-8", "ValidationException", "model identifier is invalid"),
        ("amazon.nova-lite-v1:0", "ValidationException", "Malformed input request"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/other",
            "ResourceNotFoundException",
            "not found",
        ),
    ],
)
def test_model_ids_over_the_wire(boto, sim, body, model, type_, words):  # fixtures
    with pytest.raises(getattr(boto().exceptions, type_), match=words):
        boto().invoke_model(modelId=model, body=body())


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "x"},
        {"anthropic_beta": ["nonsense"]},
        {"messages": []},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"max_tokens": 0},
    ],
)
def test_refusals_reach_boto_as_its_own_exceptions(boto, sim, body, fields):
    with pytest.raises(boto().exceptions.ValidationException):
        boto().invoke_model_with_response_stream(modelId=SONNET_45, body=body(**fields))
    [entry] = sim.requests()
    assert (entry["status"], entry["error_type"]) == (400, "ValidationException")


@pytest.mark.parametrize("data", ["", "[]", "{", '"x"', b"\xff"])
def test_a_body_that_is_no_json_object(post, sim, data):
    status, headers, received, _ = post(data, "invoke")
    assert status == 400
    assert headers["x-amzn-errortype"] == "ValidationException"
    assert json.loads(received)["message"].startswith("Malformed input request")


def test_a_body_over_25_megabytes(post, sim):
    status, _, received, _ = post(b" " * 25_000_001, "invoke")
    assert status == 400
    assert b"25000000" in received


def test_an_unencoded_arn_is_another_operation(address, sim, body):
    from http.client import HTTPConnection  # noqa: PLC0415  # this test alone goes this low

    connection = HTTPConnection(address.removeprefix("http://"), timeout=10)
    arn = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{SONNET_45}"
    connection.request("POST", f"/model/{arn}/invoke", body())
    response = connection.getresponse()
    assert response.status == 404
    assert response.headers["x-amzn-errortype"] == "UnknownOperationException"
    assert response.headers["x-amzn-requestid"]
    response.close()
    connection.close()
