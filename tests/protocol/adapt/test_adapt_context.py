"""Context editing for models that lack it."""

from __future__ import annotations

import pytest
from adapting import HAIKU, HELLO, QWEN, SONNET_4, adapted

from anthropic_bedrock_proxy.errors import InvalidRequestError

USES, THINKING = "clear_tool_uses_20250919", "clear_thinking_20251015"
CLEARED = "[This tool result was cleared to save context.]"


def call(number, name="t"):
    return {"type": "tool_use", "id": f"id{number}", "name": name, "input": {"n": number}}


def result(number):
    return {"type": "tool_result", "tool_use_id": f"id{number}", "content": "x" * 400}


def loop(count):
    """A history of `count` tool calls."""
    messages = [*HELLO]
    for number in range(count):
        messages += [
            {"role": "assistant", "content": [call(number, f"t{number}")]},
            {"role": "user", "content": [result(number)]},
        ]
    messages.append({"role": "user", "content": [{"type": "text", "text": "Go on."}]})
    return messages


def edited(*edits, model=SONNET_4, dialect="invoke", **body):
    return adapted(model, dialect, context_management={"edits": list(edits)}, **body)


def contents(outcome):
    return [
        block["content"]
        for message in outcome.messages
        if message["role"] == "user" and not isinstance(message["content"], str)
        for block in message["content"]
        if block["type"] == "tool_result"
    ]


def uses(trigger, **more):
    return {"type": USES, "trigger": {"type": "tool_uses", "value": trigger}, **more}


class TestToolUses:
    def test_what_one_edit_has_cleared_the_next_does_not_clear_again(self):
        outcome = edited(uses(1, keep=3), uses(1, keep=2), uses(1, keep=2), messages=loop(5))
        assert contents(outcome) == [CLEARED] * 3 + ["x" * 400] * 2
        first, second = outcome.applied_edits
        assert (first["cleared_tool_uses"], second["cleared_tool_uses"]) == (2, 1)
        assert second["cleared_input_tokens"] == first["cleared_input_tokens"] // 2

    def test_each_edit_walks_through_everything_so_there_are_few(self):
        with pytest.raises(InvalidRequestError, match=r"^context_management\.edits: at most 3"):
            edited(*[uses(1)] * 4, messages=loop(5))

    def test_names_that_are_none_name_nothing(self):
        odd = uses(0, keep=0, exclude_tools=[["t0"], None, "t1"], clear_tool_inputs=[{}, "t0"])
        outcome = edited(odd, messages=loop(2))
        assert contents(outcome) == [CLEARED, "x" * 400]
        assert outcome.messages[1]["content"][0]["input"] == {}

    def test_all_but_the_newest_are_cleared(self):
        outcome = edited(uses(4), messages=loop(5))
        assert contents(outcome) == [CLEARED, CLEARED] + ["x" * 400] * 3
        (applied,) = outcome.applied_edits
        assert applied["type"] == USES
        assert applied["cleared_tool_uses"] == 2
        assert 150 < applied["cleared_input_tokens"] < 300
        assert outcome.context_management is None

    @pytest.mark.parametrize(
        ("edit", "cleared"),
        [
            (uses(5), 0),
            (uses(0, keep={"type": "tool_uses", "value": 5}), 0),
            (uses(0, keep={"type": "tool_uses", "value": 0}), 5),
            (uses(0, keep=4), 1),
            (uses(0, exclude_tools=["t0", "t1"]), 0),
            (uses(0, exclude_tools=["t0"]), 1),
            (uses(0, clear_at_least={"type": "input_tokens", "value": 10_000}), 0),
            (uses(0, clear_at_least={"type": "input_tokens", "value": 100}), 2),
            ({"type": USES, "trigger": {"type": "input_tokens", "value": 500}}, 2),
            ({"type": USES, "trigger": {"type": "input_tokens", "value": 50_000}}, 0),
            ({"type": USES}, 0),
        ],
    )
    def test_when_and_how_many(self, edit, cleared):
        outcome = edited(edit, messages=loop(5))
        assert contents(outcome).count(CLEARED) == cleared
        assert len(outcome.applied_edits) == bool(cleared)

    @pytest.mark.parametrize(
        ("inputs", "left"),
        [(True, [{}, {}]), (["t1"], [{"n": 0}, {}]), (False, [{"n": 0}, {"n": 1}])],
    )
    def test_inputs(self, inputs, left):
        outcome = edited(uses(0, clear_tool_inputs=inputs), messages=loop(5))
        calls = [m["content"][0]["input"] for m in outcome.messages if m["role"] == "assistant"]
        assert calls[:2] == left
        assert calls[2] == {"n": 2}

    def test_the_same_history_is_cleared_the_same_way(self):
        first = edited(uses(0), messages=loop(5))
        assert first.messages == edited(uses(0), messages=loop(5)).messages


class TestThinking:
    def history(self):
        thought = {"type": "thinking", "thinking": "t" * 400, "signature": "s"}
        hidden = {"type": "redacted_thinking", "data": "d"}
        text = {"type": "text", "text": "a"}
        return [
            *HELLO,
            {"role": "assistant", "content": [thought, text]},
            *HELLO,
            {"role": "assistant", "content": [hidden]},
            *HELLO,
            {"role": "assistant", "content": [hidden, thought, text]},
            *HELLO,
            {"role": "assistant", "content": "plain"},
            *HELLO,
        ]

    @pytest.mark.parametrize(
        ("keep", "left", "turns"),
        [
            ({"type": "thinking_turns", "value": 1}, [1, 1, 3], 1),
            (None, [1, 1, 3], 1),
            ({"type": "thinking_turns", "value": 2}, [1, 1, 3], 1),
            ({"type": "thinking_turns", "value": 3}, [2, 1, 3], 0),
        ],
    )
    def test_old_turns_lose_it_unless_nothing_would_be_left(self, keep, left, turns):
        edit = {"type": THINKING} | ({"keep": keep} if keep else {})
        outcome = edited(edit, messages=self.history())
        lengths = [
            len(message["content"])
            for message in outcome.messages
            if message["role"] == "assistant" and not isinstance(message["content"], str)
        ]
        assert lengths == left
        if turns:
            (applied,) = outcome.applied_edits
            assert applied["cleared_thinking_turns"] == turns
            assert applied["cleared_input_tokens"] > 90
        else:
            assert outcome.applied_edits == []

    def test_keeping_all_is_what_happens_anyway(self):
        outcome = edited({"type": THINKING, "keep": "all"}, model=HAIKU, messages=self.history())
        assert outcome.applied_edits == []
        assert outcome.messages == self.history()


def test_native_where_the_model_does_it():
    outcome = edited(uses(0), model=HAIKU, messages=loop(5))
    assert outcome.context_management is not None
    assert outcome.applied_edits is None
    outcome = edited({"type": "compact_20260112"}, model="claude-opus-4-6")
    assert outcome.context_management is not None


def test_converse_never_has_it():
    outcome = edited(uses(0), model=QWEN, dialect="converse", messages=loop(5))
    assert outcome.applied_edits[0]["cleared_tool_uses"] == 2


def test_nothing_to_apply():
    assert adapted(context_management=None).applied_edits == []
    assert adapted(context_management={}).applied_edits == []


@pytest.mark.parametrize(
    ("management", "path"),
    [
        (1, "context_management: Expected"),
        ({"edits": 1}, "context_management.edits: Expected"),
        ({"edits": [1]}, "context_management.edits.0: Expected"),
        ({"edits": [{"type": "compact_20260112"}]}, "context_management.edits.0: not available"),
        ({"edits": [uses(-1)]}, "context_management.edits.0.trigger: Expected"),
        ({"edits": [uses(0, keep="x")]}, "context_management.edits.0.keep: Expected"),
        ({"edits": [uses(0, exclude_tools=1)]}, "context_management.edits.0.exclude_tools: Exp"),
        ({"edits": [uses(0, clear_tool_inputs=1)]},
         "context_management.edits.0.clear_tool_inputs: Exp"),
        ({"edits": [{"type": THINKING, "keep": True}]}, "context_management.edits.0: Expected"),
    ],
)  # fmt: skip
def test_refusals_name_the_path(management, path):
    with pytest.raises(InvalidRequestError) as refused:
        adapted(SONNET_4, context_management=management)
    assert refused.value.message.startswith(path)


def test_results_and_inputs_are_found_where_thinking_was_cleared():
    messages = loop(3)
    for message in messages:
        if message["role"] == "assistant":
            thought = {"type": "thinking", "thinking": "a", "signature": "b"}
            message["content"].insert(0, thought)
    outcome = edited(
        {"type": THINKING, "keep": {"type": "thinking_turns", "value": 1}},
        {
            "type": USES,
            "trigger": {"type": "tool_uses", "value": 1},
            "keep": {"type": "tool_uses", "value": 1},
            "clear_tool_inputs": True,
        },
        messages=messages,
    )
    calls = [m["content"][-1] for m in outcome.messages if m["role"] == "assistant"]
    assert [block["input"] for block in calls] == [{}, {}, {"n": 2}]
