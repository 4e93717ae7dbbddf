"""The golden folder: what a client sends, what Converse gets, what was left out or refused."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from converse_shapes import check_shapes
from streams import encode
from test_converse_request_models import RULES, capabilities, convert, convert_bytes

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.models.betas import BetaRules
from anthropic_bedrock_proxy.models.table import Capabilities
from anthropic_bedrock_proxy.protocol.converse.names import DocumentNames, ToolNames
from anthropic_bedrock_proxy.protocol.converse.request.request import to_converse
from anthropic_bedrock_proxy.protocol.request.messages import MessagesRequest, parse_request
from anthropic_bedrock_proxy.protocol.request.policy import DEFAULT_POLICY, Guardrail, Policy

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "converse").glob("*.json"))
CLAUDE, NOVA = "claude-haiku-4-5", "nova-lite"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(path):
    case = json.loads(path.read_text())
    settings = {name: case[name] for name in ("betas", "stream", "counting") if name in case}
    settings["policy"] = msgspec.convert(case.get("terms", {}), Policy)
    if "error" in case:
        with pytest.raises(InvalidRequestError) as refused:
            convert(case["model"], case["request"], **settings)
        assert refused.value.message == case["error"]
        return
    converted = convert(case["model"], case["request"], **settings)
    assert json.loads(converted.body) == case["converse"]
    assert list(converted.dropped) == case.get("dropped", [])
    assert list(converted.warnings) == case.get("warnings", [])
    assert converted.tool_names == case.get("tool_names", {})
    assert list(converted.stop_sequences) == case.get("stop_sequences", [])


NUMBERS = b'{"a":1.10,"b":0.1234567890123456789,"d":-1E5,"e":123456789012345678901234567890}'

TOOL_LOOP = (
    b'"max_tokens":1,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":['
    b'{"type":"tool_use","id":"1","name":"t","input":%b}]},{"role":"user","content":['
    b'{"type":"tool_result","tool_use_id":"1"}]}]'
)


@pytest.mark.parametrize(
    "rest",
    [
        b'"tools":[{"name":"t","input_schema":{"type":"object","enum":%b}}]',
        b'"tools":[{"type":"bash_20250124","name":"bash","x":%b}]',
        b'"thinking":{"type":"enabled","budget_tokens":2048,"x":%b}',
        TOOL_LOOP,
    ],
    ids=["schema", "native-tool", "thinking", "tool-input"],
)
def test_numbers_stay_as_they_were_written(rest):
    body = b'{"model":"m","max_tokens":9000,"messages":[{"role":"user","content":"a"}],%b}' % (
        rest % NUMBERS
    )
    assert NUMBERS in convert_bytes(CLAUDE, body, judge=False).body


def test_sampling_and_schemas_in_strings_stay_as_they_were_written():
    body = (
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a"}],'
        b'"temperature":0.70,"output_config":{"format":{"type":"json_schema","schema":%b}}}'
        % NUMBERS
    )
    converted = convert_bytes(CLAUDE, body).body
    assert b'"temperature":0.70' in converted
    text_format = msgspec.json.decode(converted)["outputConfig"]["textFormat"]
    assert text_format["structure"]["jsonSchema"]["schema"].encode() == NUMBERS


def image(size):
    source = {"type": "base64", "media_type": "image/png", "data": "A" * size}
    return {"messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]}


def test_images_have_a_limit():
    most = 5 * 1024 * 1024
    assert len(convert(NOVA, image(most), judge=False).body) > most
    with pytest.raises(InvalidRequestError, match=r"^messages\.0\.content\.0\.source\.base64: "):
        convert(NOVA, image(most + 4))


@pytest.mark.parametrize(
    ("rest", "path"),
    [
        (
            b'"tools":[{"name":"t","input_schema":{"type":"object","x":%b}}]' % (b"9" * 5000),
            "tools.0",
        ),
        (b'"temperature":1e400', "temperature"),
        (b'"top_k":%b' % (b"9" * 5000), "top_k"),
        (b'"tool_choice":{"type":5}', "tool_choice.type"),
        (b'"thinking":{"type":"enabled","x":%b}' % (b"9" * 5000), "thinking"),
    ],
)
def test_json_that_cannot_be_read_is_refused_with_its_path(rest, path):
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a"}],%b}' % rest
    with pytest.raises(InvalidRequestError) as refused:
        convert_bytes(CLAUDE, body)
    assert refused.value.message.startswith(path)
    assert len(refused.value.message) < 600


def test_a_request_that_no_parser_made_is_refused_as_well():
    request = parse_request(
        encode({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "a"}]}),
        "2023-06-01",
    )
    for fields, message in (
        ({}, "The request body cannot be converted"),
        ({"messages": msgspec.Raw(b"[")}, "messages: cannot be read: Input data was truncated"),
        ({"messages": msgspec.Raw(b"[]")}, "messages: at least one message is required"),
    ):
        strange = MessagesRequest(fields, request.view, request.version)
        with pytest.raises(InvalidRequestError) as refused:
            to_converse(strange, [], capabilities(NOVA), RULES, DEFAULT_POLICY, stream=False)
        assert refused.value.message.startswith(message)


def test_the_operator_may_block_a_flag_that_a_tool_needs():
    flag = "computer-use-2025-01-24"
    rules = BetaRules(needed_for={"computer_20250124": flag}, blocklist=frozenset((flag,)))
    screen = {"display_width_px": 1, "display_height_px": 1}
    tools = [{"type": "computer_20250124", "name": "computer", **screen}]
    with pytest.raises(InvalidRequestError, match=r"^tools\.0: computer_20250124"):
        convert(CLAUDE, {"tools": tools}, rules=rules)
    # Where the proxy knows of no flag, the client's own has to do.
    converted = convert(CLAUDE, {"tools": tools}, rules=BetaRules(), betas=[flag])
    additional = msgspec.json.decode(converted.body)["additionalModelRequestFields"]
    assert additional == {"tools": tools, "anthropic_beta": [flag]}


def test_the_request_itself_is_never_changed():
    body = {
        "model": "m",
        "max_tokens": 5,
        "system": [{"type": "text", "text": "s"}],
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b "}],
        "thinking": {"type": "enabled", "budget_tokens": 20000},
    }
    request = parse_request(encode(body), "2023-06-01")
    before = {name: bytes(raw) for name, raw in request.fields.items()}
    bodies = {
        to_converse(
            request, [], capabilities("nova-2-lite"), RULES, DEFAULT_POLICY, stream=False
        ).body
        for _ in range(2)
    }
    assert len(bodies) == 1
    assert {name: bytes(raw) for name, raw in request.fields.items()} == before


def test_a_renamed_tool_never_takes_another_tool_s_name():
    first = ToolNames(["a.b"]).sent("a.b")
    names = ToolNames(["a.b", first])
    assert names.sent("a.b") not in {"a.b", first}
    assert names.sent(first) == first
    assert list(names.renamed().values()) == ["a.b"]


def test_document_names_are_unique_even_beside_numbered_ones():
    names = DocumentNames()
    chosen = [names.choose(title) for title in ("a 2", "a", "a", "", "  ", "-", "a\tb", "(x)[y]")]
    assert chosen == ["a 2", "a", "a 3", "document", "document 2", "-", "a b", "(x)[y]"]


def test_breakpoints_of_a_result_and_of_the_text_beside_it_become_one():
    control = {"type": "ephemeral"}
    call = {"type": "tool_use", "id": "t", "name": "a", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "r", "cache_control": control}
    text = {"type": "text", "text": "b", "cache_control": control}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result, text]},
    ]
    tools = [{"name": "a", "input_schema": {"type": "object"}}]
    body = json.loads(convert("other", {"messages": messages, "tools": tools}).body)
    assert body["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "t", "content": [{"text": "r"}, {"text": "b"}]}},
        {"cachePoint": {"type": "default"}},
    ]


@pytest.mark.parametrize("tools", [True, False])
def test_a_model_that_streams_no_tools_gets_a_guardrail_for_a_whole_answer(tools):
    """Converse does not know how a guardrail shall stream, and refuses to be told."""
    body = {"tools": [{"name": "a", "input_schema": {"type": "object"}}]} if tools else {}
    body |= {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    request = parse_request(encode(body), "2023-06-01")
    policy = Policy(guardrail=Guardrail(identifier="abc", version="1"))
    made = to_converse(request, [], capabilities("llama-3-3"), RULES, policy, stream=True)
    assert made.whole_only is tools
    assert ("streamProcessingMode" in json.loads(made.body)["guardrailConfig"]) is not tools
    check_shapes(made.body, stream=not tools)


def test_tool_changes_that_slipped_through_are_refused():
    block = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "t"}}
    messages = [
        {"role": "user", "content": "a"},
        {"role": "system", "content": [block]},
    ]
    tools = [{"name": "t", "input_schema": {"type": "object"}}]
    body = {"model": "m", "max_tokens": 1, "messages": messages, "tools": tools}
    request = parse_request(msgspec.json.encode(body), "2023-06-01")
    features = frozenset(("claude", "system", "system_role", "tools"))
    capabilities = Capabilities(dialect="converse", features=features)
    with pytest.raises(InvalidRequestError, match=r"^messages\.1\.content\.0: "):
        to_converse(request, [], capabilities, BetaRules(), DEFAULT_POLICY, stream=False)
