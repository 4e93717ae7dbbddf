"""Tools that nobody here runs: left out where they are only offered, else refused."""

from __future__ import annotations

import pytest
from adapting import HAIKU, HELLO, OPUS, QWEN, adapted

from anthropic_bedrock_proxy.errors import InvalidRequestError

TOOL = {"name": "a", "input_schema": {"type": "object"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
CODE = {"type": "code_execution_20260120", "name": "code_execution"}
OFFERED = [
    SEARCH,
    {"type": "web_fetch_20260318", "name": "web_fetch"},
    CODE,
    {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-5"},
    {"type": "mcp_toolset", "mcp_server_name": "m"},
]
MARK = {"type": "ephemeral"}


def history(*blocks):
    return [*HELLO, {"role": "assistant", "content": list(blocks)}, *HELLO]


@pytest.mark.parametrize("offered", OFFERED, ids=lambda tool: tool["type"])
@pytest.mark.parametrize(
    ("model", "dialect"),
    [(HAIKU, "invoke"), (OPUS, "messages"), (OPUS, "converse"), (QWEN, "converse")],
)
def test_an_offered_one_is_left_out_with_a_warning(model, dialect, offered):
    result = adapted(model, dialect, tools=[offered, TOOL], tool_choice={"type": "auto"})
    assert result.tools == [TOOL]
    assert [tool.name for tool in result.view.tools] == ["a"]
    assert result.tool_choice == {"type": "auto"}
    assert result.warnings == [f"tools: {offered['type']} is not available; left out"]


def test_without_another_tool_there_is_no_choice_either():
    result = adapted(tools=[SEARCH], tool_choice={"type": "auto"})
    assert (result.tools, result.tool_choice, result.view.tools) == (None, None, None)


def test_a_breakpoint_on_it_moves_to_the_tool_before():
    result = adapted(tools=[TOOL, {**SEARCH, "cache_control": MARK}])
    assert result.tools == [{**TOOL, "cache_control": MARK}]


def test_servers_of_the_mcp_connector_go_too():
    servers = [{"type": "url", "url": "https://example.com", "name": "m"}]
    result = adapted(tools=[TOOL, OFFERED[-1]], mcp_servers=servers)
    assert (result.tools, result.mcp_servers) == ([TOOL], None)
    assert len(result.warnings) == 2
    assert adapted(mcp_servers=[]).warnings == []


def test_without_code_there_are_no_tools_for_code_alone():
    for_code = {**TOOL, "name": "b", "allowed_callers": [CODE["type"]]}
    both = {**TOOL, "allowed_callers": ["direct", CODE["type"]]}
    result = adapted(tools=[CODE, for_code, both])
    assert result.tools == [both]
    assert [warning.split()[1] for warning in result.warnings] == [CODE["type"], "b"]


@pytest.mark.parametrize(
    ("choice", "tools"),
    [
        ({"type": "tool", "name": "web_search"}, [SEARCH, TOOL]),
        ({"type": "any"}, [SEARCH]),
        ({"type": "tool", "name": "b"}, [CODE, {**TOOL, "name": "b", "allowed_callers": ["x"]}]),
    ],
)
def test_a_forced_one_is_refused(choice, tools):
    with pytest.raises(InvalidRequestError, match=r"^tool_choice.* available here"):
        adapted(tools=tools, tool_choice=choice)


ASKS = "Perform a web search for the query: python"


@pytest.mark.parametrize("choice", [{"type": "auto"}, {"type": "tool", "name": "web_search"}])
def test_a_search_of_claude_code_is_not_answered_from_memory(choice):
    with pytest.raises(InvalidRequestError, match=r"^tools\.0: nobody searches the web"):
        adapted(tools=[SEARCH], messages=[{"role": "user", "content": ASKS}], tool_choice=choice)


def test_others_may_go_on_without_it():
    said = [{"role": "user", "content": ASKS}]
    assert adapted(tools=[SEARCH, TOOL], messages=said).tools == [TOOL]
    assert adapted(tools=[SEARCH], messages=[{"role": "user", "content": "hello"}]).warnings
    assert adapted(tools=[CODE], messages=said).warnings


def test_others_may_be_forced_beside_it():
    result = adapted(tools=[SEARCH, TOOL], tool_choice={"type": "any"})
    assert (result.tools, result.tool_choice) == ([TOOL], {"type": "any"})


@pytest.mark.parametrize(
    ("tool", "name"),
    [(SEARCH, "web_search"), (CODE, "code_execution"), (CODE, "bash_code_execution")],
)
def test_one_that_the_history_has_called_is_refused(tool, name):
    call = {"type": "server_tool_use", "id": "srvtoolu_1", "name": name, "input": {}}
    with pytest.raises(InvalidRequestError, match=r"^messages.1.content.0: .* not available here"):
        adapted(tools=[tool, TOOL], messages=history(call))


def test_calls_of_others_in_the_history_stay():
    call = {
        "type": "server_tool_use",
        "id": "srvtoolu_1",
        "name": "tool_search_tool_bm25",
        "input": {},
    }
    assert adapted(tools=[SEARCH, TOOL], messages=history(call)).messages == history(call)
