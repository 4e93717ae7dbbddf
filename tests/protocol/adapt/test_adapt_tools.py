"""Deferred and changing tools."""

from __future__ import annotations

import pytest
from adapting import HAIKU, HELLO, OPUS, QWEN, SONNET_4, adapted, without

from anthropic_bedrock_proxy.errors import InvalidRequestError

PLAIN = {"name": "a", "input_schema": {"type": "object"}}
SEARCH = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}


def late(name):
    return {"name": name, "input_schema": {"type": "object"}, "defer_loading": True}


def loaded(name):
    return {"name": name, "input_schema": {"type": "object"}}


def found(*names, extra=()):
    references = [{"type": "tool_reference", "tool_name": name} for name in names]
    block = {"type": "tool_result", "tool_use_id": "t", "content": [*references, *extra]}
    return {"role": "user", "content": [block]}


def change(kind, tool):
    return {"role": "system", "content": [{"type": kind, "tool": tool}]}


def reference(name):
    return {"type": "tool_reference", "name": name}


class TestDeferred:
    def test_native_where_the_model_searches(self):
        for model, dialect in ((HAIKU, "invoke"), (OPUS, "messages")):
            result = adapted(model, dialect, tools=[SEARCH, PLAIN, late("b")])
            assert result.tools == [SEARCH, PLAIN, late("b")]

    @pytest.mark.parametrize(("model", "dialect"), [(QWEN, "converse"), (SONNET_4, "invoke"),
                                                    (HAIKU, "converse")])  # fmt: skip
    def test_loaded_once_the_history_refers_to_them(self, model, dialect):
        tools = [late("z"), PLAIN, late("b"), late("c")]
        text = {"type": "text", "text": "x"}
        messages = [*HELLO, found("c", extra=[text]), found("b"), {"role": "user", "content": "y"}]
        messages[1]["content"].append(text)
        result = adapted(model, dialect, tools=tools, messages=messages)
        # In the order they were loaded: what stood before stays where it was.
        assert result.tools == [PLAIN, loaded("c"), loaded("b")]
        assert result.messages[1]["content"][0]["content"] == [
            {"type": "text", "text": "The tool c is now available."},
            text,
        ]
        assert result.dropped == ["tools: 1 deferred"]

    def test_tools_that_were_called_stay(self):
        call = {"type": "tool_use", "id": "t", "name": "b", "input": {}}
        messages = [*HELLO, {"role": "assistant", "content": [call]}, found()]
        result = adapted(QWEN, "converse", tools=[PLAIN, late("b")], messages=messages)
        assert result.tools == [PLAIN, loaded("b")]
        assert result.dropped == []

    def test_a_reference_to_a_tool_that_is_loaded_already(self):
        result = adapted(QWEN, "converse", tools=[PLAIN], messages=[*HELLO, found("a")])
        assert result.tools == [PLAIN]

    @pytest.mark.parametrize(
        ("body", "message", "code"),
        [
            ({"tools": [late("a")]}, "tools: At least one tool must have defer_loading=false",
             None),
            ({"tools": [PLAIN], "messages": [*HELLO, found("x")]},
             "messages.1.content.0.content.0: Tool reference 'x' not found in available tools",
             "tool_reference_unresolved"),
            ({"messages": [*HELLO, {"role": "user", "content": [{"type": "tool_result", "content":
                [{"type": "tool_reference"}]}]}]},
             "messages.1.content.0.content.0.tool_name: Field required", None),
            ({"tools": [SEARCH]}, "tools.0: tool_search_tool_regex_20251119 is not available",
             None),
        ],
    )  # fmt: skip
    def test_refusals(self, body, message, code):
        with pytest.raises(InvalidRequestError) as refused:
            adapted(QWEN, "converse", **body)
        assert refused.value.message.startswith(message)
        assert refused.value.error_code == code

    def test_an_operator_who_blocks_the_flag(self):
        rules = without("tool-search-tool-2025-10-19")
        assert adapted(HAIKU, rules=rules, tools=[PLAIN, late("b")]).tools == [PLAIN]


class TestChanges:
    def test_native_where_the_model_takes_them(self):
        messages = [*HELLO, change("tool_removal", reference("a"))]
        result = adapted(OPUS, "messages", tools=[PLAIN], messages=messages)
        assert result.messages == messages

    def test_the_tools_that_are_left_and_a_word_about_it(self):
        messages = [
            *HELLO,
            change("tool_removal", reference("a")),
            change("tool_addition", reference("b")),
            change("tool_addition", {"type": "tool_definition", "definition": loaded("c")}),
            change("tool_removal", {"tool_name": "b"}),
            change("tool_addition", reference("a")),
        ]
        messages[1]["content"].append({"type": "text", "text": "Note."})
        result = adapted(HAIKU, tools=[PLAIN, late("b")], messages=messages)
        assert result.tools == [PLAIN, loaded("c")]
        assert [message["role"] for message in result.messages] == ["user"] * 6
        words = [message["content"][0]["text"] for message in result.messages[1:]]
        assert words[0] == (
            "<system-reminder>\nThe tool a is no longer available.\n</system-reminder>"
        )
        assert "The tool b is now available." in words[1]

    def test_a_breakpoint_stays(self):
        marker = {"cache_control": {"type": "ephemeral"}}
        message = change("tool_removal", reference("a"))
        message["content"][0] |= marker
        result = adapted(HAIKU, tools=[PLAIN, late("b")], messages=[*HELLO, message])
        assert result.messages[1]["content"][0]["cache_control"] == marker["cache_control"]

    def test_references_to_mcp_are_refused_everywhere(self):
        tool = {"type": "mcp_toolset_reference", "server_name": "s"}
        for model in (HAIKU, OPUS):
            with pytest.raises(InvalidRequestError, match=r"^messages\.1\.content\.0\.tool: "):
                adapted(model, messages=[*HELLO, change("tool_removal", tool)], tools=[PLAIN])

    def test_no_tool_is_left(self):
        messages = [*HELLO, change("tool_removal", reference("a"))]
        assert adapted(HAIKU, tools=[PLAIN], messages=messages).tools is None

    @pytest.mark.parametrize(
        ("tool", "path"),
        [
            (None, "messages.1.content.0.tool: Expected"),
            ({"type": "mcp_tool_reference", "name": "a", "server_name": "s"},
             "messages.1.content.0.tool: Expected"),
            (reference("x"), "messages.1.content.0: Tool reference 'x' not found"),
            ({"definition": {"description": "no name"}}, "messages.1.content.0.tool: Expected"),
        ],
    )  # fmt: skip
    def test_refusals(self, tool, path):
        messages = [*HELLO, change("tool_addition", tool)]
        with pytest.raises(InvalidRequestError) as refused:
            adapted(HAIKU, tools=[PLAIN], messages=messages)
        assert refused.value.message.startswith(path)


def test_loaded_tools_keep_their_order_when_they_are_called():
    """Else the tools would change from turn to turn, and with them the whole prompt cache."""
    tools = [PLAIN, late("b"), late("c")]
    history = [*HELLO, found("b", "c")]
    call = {"type": "tool_use", "id": "t", "name": "c", "input": {}}
    history_after = [*history, {"role": "assistant", "content": [call]}, *HELLO]
    for messages in (history, history_after):
        result = adapted(QWEN, "converse", tools=tools, messages=messages)
        assert [tool["name"] for tool in result.tools] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("choice", "sent"), [({"type": "auto"}, None), ({"type": "any"}, {"type": "any"}), (None, None)]
)
def test_no_tool_is_left_to_choose(choice, sent):
    messages = [*HELLO, change("tool_removal", reference("a"))]
    more = {"tool_choice": choice} if choice else {}
    result = adapted(HAIKU, tools=[PLAIN], messages=messages, **more)
    assert result.tools is None
    assert result.tool_choice == sent
