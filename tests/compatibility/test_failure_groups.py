"""Twenty ways in which public proxies to Bedrock failed: the first ten, and that none is missing.

The groups and their numbers are those of our list of known failures; the comments name public
issue threads. Where the right behaviour is a refusal, that is said: a clear 400 with the path.
"""

from __future__ import annotations

import re

import pytest
import test_failure_groups_11_to_20 as later
import wire
from failures import (
    BY_KEY,
    CLAUDE_CODE,
    CLAUDE_CODE_FLAGS,
    DEFERRED,
    PDF,
    every_way,
    on_converse,
    refused,
    sent,
    taught,
)
from journey import travel
from rows import (
    CALL,
    CODE,
    CODE_CALL,
    CONTAINER,
    HELLO,
    OTHER_TOOL,
    PROGRAM_CALL,
    RESULT,
    TEXT,
    TOOL,
    loop,
)
from streams import EVENTS, encode
from wire import converse_frames, folded

from anthropic_bedrock_proxy.http.anthropic.encoder import ServerSentEvents
from anthropic_bedrock_proxy.protocol.answer.events import fold
from anthropic_bedrock_proxy.protocol.native.answer import EndpointStream

SSE = ServerSentEvents()


# 1. litellm#19373, claude-code#49370, CLIProxyAPI#4750
@every_way
def test_01_invalid_beta_flag(column):
    outcome = travel(column, CLAUDE_CODE, CLAUDE_CODE_FLAGS)
    assert not outcome.refusal
    assert outcome.lessons == 0  # the first attempt is accepted
    assert any("claude-code-20250219" in said for said in outcome.told)


def test_01_invalid_beta_flag_for_one_million_tokens_of_haiku():
    outcome = travel(BY_KEY["haiku"], {}, ("context-1m-2025-08-07",))
    assert outcome.lessons == 0


def test_01_invalid_beta_flag_of_an_unknown_kind_goes_after_one_refusal():
    flag = "context-management-2025-06-27"
    body = taught(BY_KEY["haiku"], {}, "invalid beta flag", (flag,))
    assert "anthropic_beta" not in body


# 2. claude-code#14135, claude-code-action#1005, litellm#13609
@every_way
def test_02_context_management_is_not_permitted(column):
    body = sent(column, context_management=CLAUDE_CODE["context_management"])
    assert "context_management" not in body


def test_02_effort_is_not_permitted():
    assert "output_config" not in sent(BY_KEY["haiku"], output_config={"effort": "high"})
    message = "output_config.effort: Extra inputs are not permitted"
    body = taught(BY_KEY["opus48"], {"output_config": {"effort": "high"}}, message)
    assert not body.get("output_config")


def test_02_reasoning_and_guardrail_fields_name_themselves():
    for name in ("reasoning", "guardrailConfig"):
        assert travel(BY_KEY["haiku"], {name: {}}).refusal.startswith(f"{name}: Extra inputs")
    refused(BY_KEY["haiku"], {"amazon-bedrock-guardrailConfig": {}}, "amazon-bedrock-guardrailC")


# 3. claude-code#82549, litellm#36855, CLIProxyAPI#1894, claude-code#63532
WRAPPED = {"tools": [TOOL, {"type": "custom", "custom": {**OTHER_TOOL, "defer_loading": True}}]}


@every_way
@pytest.mark.parametrize("given", [DEFERRED, WRAPPED], ids=["plain", "wrapped"])
def test_03_defer_loading_is_not_permitted(column, given):
    body = sent(column, given)
    if column.dialect == "converse":  # withheld, not loaded after all
        assert len(body["toolConfig"]["tools"]) == 1
    else:
        assert body["tools"][1] == {**OTHER_TOOL, "defer_loading": True}


def test_03_defer_loading_is_withheld_where_bedrock_refuses_it():
    message = "tools.1.custom.defer_loading: Extra inputs are not permitted"
    assert taught(BY_KEY["haiku"], DEFERRED, message)["tools"] == [TOOL]


@every_way
def test_03_eager_input_streaming_is_not_permitted(column):
    body = sent(column, tools=[{**TOOL, "eager_input_streaming": True}])
    assert b"eager_input_streaming" not in encode(body)


# 4. anthropic-sdk-python#1106, anthropic-sdk-go#186
@every_way
def test_04_echoed_keys_are_not_permitted(column):
    text = {**TEXT, "parsed_output": {"a": 1}, "citations": None}
    call = {**CALL, "caller": {"type": "direct"}, "toolset_name": "t"}
    answer = {"role": "assistant", "content": [text, call]}
    results = {"role": "user", "content": [{**RESULT, "toolset_name": "t"}]}
    body = encode(sent(column, messages=[HELLO, answer, results], tools=[TOOL]))
    for key in (b"parsed_output", b"caller", b"toolset_name", b"citations"):
        assert key not in body


# 5. anthropic-sdk-python#1150. The id of a call says in which container its code waits.
BY_CODE = {**CALL, "caller": {"type": CODE["type"], "tool_id": "srvtoolu_1"}}
PROGRAM = [{**TOOL, "allowed_callers": [CODE["type"]]}, CODE]
PAUSED = [
    HELLO,
    {"role": "assistant", "content": [CODE_CALL, PROGRAM_CALL]},
    {"role": "user", "content": [RESULT]},
]


@every_way
@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"tools": [{**TOOL, "allowed_callers": [CODE["type"]]}]}, "tools.0.allowed_callers"),
        ({"tools": [TOOL], "messages": loop(BY_CODE)}, "messages.1.content.0.caller"),
        ({"container": CONTAINER}, "container"),
        ({"tools": [CODE], "container": CONTAINER.replace("c", "d")}, "container"),
        ({"tools": PROGRAM, "messages": PAUSED, "container": "container_1"}, "container"),
    ],
    ids=["allowed_callers", "caller", "container", "no container", "another container"],
)
def test_05_code_without_its_container_is_refused_with_the_path(column, given, path):
    refused(column, given, path)


@every_way
@pytest.mark.parametrize("named", [{}, {"container": CONTAINER}], ids=["inferred", "named"])
def test_05_container_of_programmatic_calls_is_lost(column, named):
    body = encode(sent(column, tools=PROGRAM, messages=PAUSED, **named))
    assert b'"5\\n"' in body  # what the code printed in the end
    assert b"Sunny" not in body  # what it got on its way
    assert b"container_" not in body


# 6. litellm#32831, litellm#41043, claude-code#77698
ASIDE = [HELLO, {"role": "system", "content": "Be brief"}]


@every_way
def test_06_system_messages_are_not_hoisted(column):
    body = sent(column, system="Rules", messages=ASIDE)
    assert b"Be brief" not in encode(body["system"])
    assert b"Be brief" in encode(body["messages"][-1])
    is_known = column.key not in ("haiku", "nova", "qwen")
    assert body["messages"][-1]["role"] == ("system" if is_known else "user")


def test_06_system_messages_for_claude_4_7():
    body = sent(BY_KEY["opus48"], model="claude-opus-4-7", messages=ASIDE)
    assert [message["role"] for message in body["messages"]] == ["user", "user"]


# 7. litellm#38809, litellm#9023, Roo-Code#11238
def test_07_thinking_on_converse_keeps_its_signature_in_the_history():
    thought = {"type": "thinking", "thinking": "", "signature": "c2lnbmVk"}
    answer = {"role": "assistant", "content": [thought, TEXT]}
    body = sent(BY_KEY["converse"], messages=[HELLO, answer, HELLO])
    reasoning = body["messages"][1]["content"][0]["reasoningContent"]
    assert reasoning == {"reasoningText": {"text": "", "signature": "c2lnbmVk"}}


@pytest.mark.parametrize("words", ["Hm", ""], ids=["shown", "omitted"])
def test_07_thinking_on_converse_streams_its_signature(words):
    deltas = [{"reasoningContent": {"text": words}}] if words else []
    deltas.append({"reasoningContent": {"signature": "c2lnbmVk"}})
    (block,) = folded(converse_frames({0: deltas}))["content"]
    assert block == {"type": "thinking", "thinking": words, "signature": "c2lnbmVk"}


# 8. vercel/ai#7528, dify#16421
@on_converse
def test_08_tool_config_must_be_defined(column):
    tools = sent(column, messages=loop())["toolConfig"]["tools"]
    assert [tool["toolSpec"]["name"] for tool in tools] == ["weather"]
    tools = sent(column, messages=loop(), tools=[TOOL], tool_choice={"type": "none"})["toolConfig"]
    assert len(tools["tools"]) == 1


# 9. litellm#15307, LibreChat#10647, litellm#32063
CALLED_TWICE = {0: [{"text": "Let me see"}], 1: ['{"city":', '"Rome"}'], 2: ['{"city":"Oslo"}']}
STARTS = {1: ("a", "weather"), 2: ("b", "weather")}


def test_09_parallel_calls_on_converse_stream_apart():
    blocks = {
        index: [wire.call_input(part) if index else part for part in parts]
        for index, parts in CALLED_TWICE.items()
    }
    starts = {index: wire.call_start(*start) for index, start in STARTS.items()}
    message = folded(converse_frames(blocks, starts, "tool_use"))
    assert [block["type"] for block in message["content"]] == ["text", "tool_use", "tool_use"]
    assert [block["input"]["city"] for block in message["content"][1:]] == ["Rome", "Oslo"]
    assert message["usage"]["output_tokens"] == 34  # though it comes after the end


def test_09_parallel_calls_when_an_index_is_used_twice():
    frames = [
        *converse_frames({0: [{"reasoningContent": {"text": "Hm"}}]})[:-3],
        *converse_frames({0: [{"text": "Hi"}]})[1:],
    ]
    types = [block["type"] for block in folded(frames)["content"]]
    assert types == ["thinking", "text"]


def test_09_mantle_streams_server_sent_events():
    stream = EndpointStream("m")
    events = [event for byte in SSE.events(EVENTS) for event in stream.receive(bytes([byte]))]
    assert stream.finished
    assert fold(events)["content"] == fold(EVENTS)["content"]


# 10. hermes-agent#41985, botocore#3525, archestra#4220
BLANK = [
    {"role": "user", "content": [{"type": "text", "text": " "}, TEXT]},
    {"role": "assistant", "content": [{"type": "text", "text": "\n"}, CALL]},
    {"role": "user", "content": [{**RESULT, "content": ""}, {"type": "text", "text": ""}]},
]


@every_way
@pytest.mark.parametrize(
    "messages", [BLANK, [{"role": "user", "content": " "}]], ids=["blocks", "text"]
)
def test_10_blank_text_is_refused(column, messages):
    assert travel(column, {"messages": messages, "tools": [TOOL]}).refusal == ""


def test_10_a_document_needs_text_beside_it():
    body = sent(BY_KEY["nova"], messages=[{"role": "user", "content": [PDF]}])
    assert [*body["messages"][0]["content"][1]] == ["text"]


def test_twenty_groups_have_tests():
    numbers = {
        match[1]
        for name in {**globals(), **vars(later)}
        if (match := re.match(r"test_(\d\d)_", name))
    }
    assert sorted(numbers) == [f"{number:02}" for number in range(1, 21)]
