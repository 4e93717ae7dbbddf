"""The choice of a tool on models that no tool can be forced on."""

from __future__ import annotations

import pytest
from adapting import adapted

from anthropic_bedrock_proxy.errors import InvalidRequestError

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
    assert warning.endswith("became auto, no tool can be forced on this model")


def test_what_else_the_choice_says_stays():
    asked = {**ONE, "disable_parallel_tool_use": True}
    result = adapted("claude-opus-5-5", tools=TOOLS, tool_choice=asked)
    assert result.tool_choice == {"type": "auto", "disable_parallel_tool_use": True}


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
