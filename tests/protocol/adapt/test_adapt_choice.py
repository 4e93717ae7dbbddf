"""The choice of a tool on models that no tool can be forced on."""

from __future__ import annotations

import pytest
from adapting import HAIKU, OPUS, QWEN, adapted

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.protocol.request.policy import Policy

TOOLS = [{"name": "a", "input_schema": {"type": "object"}}]
ONE = {"type": "tool", "name": "a"}
FREE = (
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-fable-5-1",
    "claude-fable-5-2",
    "claude-mythos-5-1",
    "claude-mythos-5-2",
)
OTHERS = (
    "claude-haiku-4-5",
    "claude-opus-5",
    "claude-sonnet-5",
    "claude-fable-5",
    "claude-haiku-5-5",
)


@pytest.mark.parametrize("dialect", ["invoke", "messages", "mantle", "converse"])
@pytest.mark.parametrize("model", FREE)
@pytest.mark.parametrize("asked", [{"type": "any"}, ONE, "any"])
def test_a_forced_choice_becomes_auto_with_a_warning(model, dialect, asked):
    result = adapted(model, dialect, tools=TOOLS, tool_choice=asked)
    assert result.tool_choice == {"type": "auto"}
    (warning,) = result.warnings
    assert "became auto, no tool can be forced on this model" in warning
    assert warning.endswith("a sentence at the end of system asks for the call")


def test_what_else_the_choice_says_stays():
    asked = {**ONE, "disable_parallel_tool_use": True}
    result = adapted("claude-opus-5-5", tools=TOOLS, tool_choice=asked)
    assert result.tool_choice == {"type": "auto", "disable_parallel_tool_use": True}


CACHED = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
BRIEF = {"type": "text", "text": "Be brief."}
BY_A = {"type": "text", "text": "Answer only by calling the tool a."}
BY_ONE = {"type": "text", "text": "Answer only by calling one of the tools."}


@pytest.mark.parametrize(
    ("system", "before"),
    [
        ({}, []),
        ({"system": None}, []),
        ({"system": ""}, []),
        ({"system": " \n"}, []),
        ({"system": "Be brief."}, [BRIEF]),
        ({"system": [BRIEF, CACHED]}, [BRIEF, CACHED]),
    ],
)
@pytest.mark.parametrize("model", [OPUS, QWEN])
@pytest.mark.parametrize(("asked", "sentence"), [(ONE, BY_A), ({"type": "any"}, BY_ONE)])
def test_a_sentence_asks_for_the_call_behind_the_system_prompt(
    system, before, model, asked, sentence
):
    dialect = "converse" if model == QWEN else "invoke"
    result = adapted(model, dialect, tools=TOOLS, tool_choice=asked, **system)
    assert result.system == [*before, sentence]


@pytest.mark.parametrize("asked", [ONE, {"type": "any"}])
@pytest.mark.parametrize("tools", [{}, {"tools": []}, {"tools": None}])
def test_without_tools_nobody_is_asked_for_a_call(asked, tools):
    result = adapted(OPUS, **tools, tool_choice=asked)
    assert (result.tool_choice, result.system, result.warnings) == (asked, None, [])


def test_who_wants_one_call_is_asked_for_one():
    asked = {"type": "any", "disable_parallel_tool_use": True}
    result = adapted(OPUS, tools=TOOLS, tool_choice=asked)
    assert result.system[-1]["text"] == "Answer only by calling one of the tools, once."


def test_a_misshapen_system_prompt_is_left_for_bedrock_to_name():
    result = adapted(OPUS, tools=TOOLS, tool_choice=ONE, system=5)
    assert result.system == 5
    assert "sentence" not in result.warnings[0]


def test_the_operator_may_leave_it_at_auto():
    policy = Policy(forced_tools="auto")
    result = adapted(OPUS, policy=policy, tools=TOOLS, tool_choice=ONE, system="Be brief.")
    assert (result.tool_choice, result.system) == ({"type": "auto"}, "Be brief.")
    assert result.warnings == ["tool_choice: tool became auto, no tool can be forced on this model"]


@pytest.mark.parametrize("model", [OPUS, QWEN])
def test_the_operator_may_refuse_it(model):
    dialect = "converse" if model == QWEN else "invoke"
    policy = Policy(forced_tools="refuse")
    with pytest.raises(InvalidRequestError, match=r"^tool_choice: .* send auto"):
        adapted(model, dialect, policy=policy, tools=TOOLS, tool_choice=ONE)
    adapted(HAIKU, policy=policy, tools=TOOLS, tool_choice=ONE)


@pytest.mark.parametrize("model", OTHERS)
def test_other_models_are_forced(model):
    result = adapted(model, tools=TOOLS, tool_choice=ONE)
    assert (result.tool_choice, result.warnings) == (ONE, [])


@pytest.mark.parametrize("asked", [{"type": "auto"}, {"type": "none"}, {"type": "new"}, {}])
def test_what_forces_nothing_stays(asked):
    result = adapted("claude-opus-5-5", tools=TOOLS, tool_choice=asked)
    assert (result.tool_choice, result.warnings) == (asked, [])


@pytest.mark.parametrize("asked", [{"type": "tool"}, {"type": "tool", "name": "b"}])
def test_a_tool_that_is_not_offered_is_refused(asked):
    with pytest.raises(InvalidRequestError, match=r"^tool_choice.name: "):
        adapted("claude-opus-5-5", tools=TOOLS, tool_choice=asked)
