"""Tool search as InvokeModel and the Messages endpoints know it, and Converse does not."""

from __future__ import annotations

import json

import pytest

SONNET_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS_48 = "us.anthropic.claude-opus-4-8"
BARE = "anthropic.claude-opus-4-8"
RUNTIME, MANTLE = "/anthropic/v1/messages", "/mantle/anthropic/v1/messages"
BETA = "tool-search-tool-2025-10-19"
FLAG = {"anthropic-beta": BETA}
SEARCH = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}
BM25 = {"type": "tool_search_tool_bm25", "name": "tool_search_tool_bm25"}
RUN = {"name": "run", "description": "Runs it", "input_schema": {"type": "object"}}
LATER = {**RUN, "name": "later", "defer_loading": True}
TOOLS = [SEARCH, RUN, LATER]
ASKED = {"role": "user", "content": "hello"}
USE = {
    "type": "server_tool_use",
    "id": "srvtoolu_1",
    "name": "tool_search_tool_regex",
    "input": {"pattern": "lat"},
}


def found(*names, for_="srvtoolu_1"):
    references = [{"type": "tool_reference", "tool_name": name} for name in names]
    content = {"type": "tool_search_tool_search_result", "tool_references": references}
    return {"type": "tool_search_tool_result", "tool_use_id": for_, "content": content}


def failed(code="unavailable"):
    content = {"type": "tool_search_tool_result_error", "error_code": code}
    return {"type": "tool_search_tool_result", "tool_use_id": "srvtoolu_1", "content": content}


CALL = {"type": "tool_use", "id": "toolu_1", "name": "later", "input": {}}


def result(content="ok"):
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content}


def history(*said, results=()):
    return [ASKED, {"role": "assistant", "content": [*said]}, {"role": "user", "content": [
        *results, {"type": "text", "text": "go on"}]}]  # fmt: skip


REFERENCE = {"type": "tool_reference", "tool_name": "later"}
ACCEPTED = [
    {"tools": TOOLS},
    {"tools": [BM25, LATER]},
    {"tools": TOOLS, "messages": history(USE, found("later"), CALL, results=[result()])},
    {"tools": TOOLS, "messages": history(USE, found())},
    {"tools": TOOLS, "messages": history(USE, failed())},
    {"tools": TOOLS, "messages": history(CALL, results=[result([REFERENCE])])},
]  # fmt: skip


@pytest.mark.parametrize("fields", ACCEPTED)
def test_accepted_with_the_flag_and_refused_without(ask, post, body, sim, fields):
    assert ask(RUNTIME, FLAG, model=OPUS_48, **fields)[0] == 200
    assert ask(MANTLE, FLAG, model=BARE, **fields)[0] == 200
    assert post(body(**fields, anthropic_beta=[BETA]), "invoke")[0] == 200
    assert ask(RUNTIME, model=OPUS_48, **fields)[0] == 400
    assert ask(MANTLE, model=BARE, **fields)[0] == 400
    assert post(body(**fields), "invoke")[0] == 400


REFUSED = [
    ({"tools": [LATER]}, "At least one tool must have defer_loading=false"),
    ({"tools": [RUN, {**LATER, "cache_control": {"type": "ephemeral"}}]},
     "Tool 'later' cannot have both defer_loading=true and cache_control set"),
    ({"tools": [SEARCH, {**RUN, "allowed_callers": ["direct"]}]}, "allowed_callers: Extra"),
    ({"tools": [{**SEARCH, "name": "search"}, RUN]}, "Input should be 'tool_search_tool_regex'"),
    ({"tools": TOOLS, "messages": history(CALL, results=[
        result([{"type": "tool_reference", "tool_name": "none"}])])},
     "Tool reference 'none' not found in available tools"),
    ({"tools": TOOLS, "messages": history(CALL, results=[result([{"type": "tool_reference"}])])},
     "tool_reference.tool_name: Field required"),
    ({"tools": TOOLS, "messages": history(USE, found("none"))},
     "Tool reference 'none' not found in available tools"),
    ({"tools": TOOLS, "messages": history(USE)},
     "without a corresponding `tool_search_tool_result` block"),
    ({"tools": TOOLS, "messages": history(found("later"))}, "unexpected `tool_use_id` found in"),
    ({"tools": TOOLS, "messages": history(USE, found("later", for_="toolu_9"))},
     "tool_use_id: String should match pattern '^srvtoolu_"),
    ({"tools": TOOLS, "messages": history({**USE, "id": "toolu_9"})},
     "server_tool_use.id: String should match pattern '^srvtoolu_"),
    ({"tools": TOOLS, "messages": history({**USE, "name": "web_search"}, found())},
     "server_tool_use.name: Input should be 'tool_search_tool_bm25' or"),
    ({"tools": TOOLS, "messages": history(USE, {**found(), "content": {"type": "other"}})},
     "content: Input tag 'other'"),
    ({"tools": TOOLS, "messages": history({**USE, "caller": {"type": "direct"}}, found())},
     "server_tool_use.caller: Extra inputs"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "words"), REFUSED)
def test_refused(ask, post, body, sim, fields, words):
    status, _, received = ask(MANTLE, FLAG, model=BARE, **fields)
    assert status == 400
    assert words in json.loads(received)["error"]["message"]
    status, _, received, _ = post(body(**fields, anthropic_beta=[BETA]), "invoke")
    assert status == 400
    assert words in json.loads(received)["message"]


def test_a_deferred_tool_is_no_part_of_the_prompt(ask, sim):
    counts = [
        json.loads(ask(f"{MANTLE}/count_tokens", FLAG, model=BARE, max_tokens=None, **fields)[2])
        for fields in ({"tools": [SEARCH, RUN]}, {"tools": TOOLS})
    ]
    assert counts[0] == counts[1]


SAID = [
    {"type": "text", "text": "Let me look."},
    {"type": "server_tool_use", "name": "tool_search_tool_regex", "input": {"pattern": "lat"}},
    {key: value for key, value in found("later").items() if key != "tool_use_id"},
    {"type": "tool_use", "name": "later", "input": {"x": 1}},
]


def check_search_answer(content, stop_reason):
    assert [block["type"] for block in content] == [block["type"] for block in SAID]
    assert content[1]["id"].startswith("srvtoolu_bdrk_")
    assert content[2]["tool_use_id"] == content[1]["id"]
    assert content[2]["content"] == found("later")["content"]
    assert content[3]["input"] == {"x": 1}
    assert stop_reason == "tool_use"


def test_a_scripted_search_is_accepted_when_it_comes_back(ask, post, body, sim):
    sim.script([{"reply": {"content": SAID}, "times": 2}])
    message = json.loads(ask(MANTLE, FLAG, model=BARE, tools=TOOLS)[2])
    check_search_answer(message["content"], message["stop_reason"])
    invoked = json.loads(post(body(tools=TOOLS, anthropic_beta=[BETA]), "invoke")[2])
    check_search_answer(invoked["content"], invoked["stop_reason"])
    answered = {**result(), "tool_use_id": message["content"][3]["id"]}
    turns = history(*message["content"], results=[answered])
    assert ask(MANTLE, FLAG, model=BARE, tools=TOOLS, messages=turns)[0] == 200


def test_the_sdk_folds_a_scripted_search(address, sim):
    anthropic = pytest.importorskip("anthropic", reason="the SDK is the oracle for the events")
    sim.script([{"reply": {"content": SAID}}])
    with (
        anthropic.AnthropicBedrockMantle(
            base_url=f"{address}/mantle/anthropic",
            api_key="bedrock-api-key-sim",
            aws_region="us-east-1",
            max_retries=0,
        ) as client,
        client.beta.messages.stream(
            model=BARE, max_tokens=100, messages=[ASKED], tools=TOOLS, betas=[BETA]
        ) as stream,
    ):
        final = stream.get_final_message()
    content = [block.model_dump(exclude_none=True) for block in final.content]
    check_search_answer(content, final.stop_reason)


CONVERSE_TOOL = {"name": "run", "inputSchema": {"json": {"type": "object"}}}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"toolConfig": {"tools": [{"toolSpec": {**CONVERSE_TOOL, "defer_loading": True}}]}},
         "defer_loading: Extra inputs are not permitted"),
        ({"additionalModelRequestFields": {"tools": [SEARCH]}},
         "tools.0: Input tag 'tool_search_tool_regex_20251119'"),
        ({"additionalModelRequestFields": {"tools": [LATER]}},
         "tools.0.custom.defer_loading: Extra inputs are not permitted"),
        ({"additionalModelRequestFields": {"anthropic_beta": [BETA]}}, "invalid beta flag"),
        ({"additionalModelRequestFields": {"tools": "x"}}, "tools: Input should be a valid list"),
    ],
)  # fmt: skip
def test_converse_has_none_of_it(post, sim, fields, words):
    given = {"messages": [{"role": "user", "content": [{"text": "hello"}]}], **fields}
    status, _, received, _ = post(json.dumps(given), "converse", OPUS_48)
    assert status == 400
    assert words in json.loads(received)["message"]


def test_converse_leaves_out_what_it_cannot_say(boto, sim):
    sim.script([{"reply": {"content": SAID}, "times": 2}])
    given = {"modelId": SONNET_45, "messages": [{"role": "user", "content": [{"text": "hello"}]}]}
    content = boto().converse(**given)["output"]["message"]["content"]
    assert [next(iter(block)) for block in content] == ["text", "toolUse"]
    stops = [
        event["contentBlockStop"]["contentBlockIndex"]
        for event in boto().converse_stream(**given)["stream"]
        if "contentBlockStop" in event
    ]
    assert stops == [0, 1]
