"""Thinking and effort in the kind that a model has."""

from __future__ import annotations

import pytest
from adapting import HAIKU, HELLO, OPUS, QWEN, REGISTRY, adapted
from streams import decode, encode

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.models.registry import DEFAULT_PROVIDER
from anthropic_bedrock_proxy.protocol.adapt.adapt import adapt
from anthropic_bedrock_proxy.protocol.request.messages import parse_request

ADAPTIVE = {"type": "adaptive"}
BETWEEN = {"type": "between_tools"}
ENABLED = {"type": "enabled", "budget_tokens": 4096}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
CALL = {"type": "tool_use", "id": "t", "name": "n", "input": {}}
THOUGHT = {"type": "thinking", "thinking": "a", "signature": "b"}


@pytest.mark.parametrize(
    ("model", "asked", "sent", "warned"),
    [
        (HAIKU, ENABLED, ENABLED, False),
        (HAIKU, {"type": "disabled"}, {"type": "disabled"}, False),
        (HAIKU, ADAPTIVE, {"type": "enabled", "budget_tokens": 14_999}, True),
        (HAIKU, BETWEEN, {"type": "disabled"}, True),
        ("claude-opus-4-6", ADAPTIVE, ADAPTIVE, False),
        ("claude-opus-4-6", ENABLED, ENABLED, False),
        ("claude-opus-4-8", ENABLED, ADAPTIVE, True),
        ("claude-opus-4-8", {**ENABLED, "display": "omitted"}, {**ADAPTIVE, "display": "omitted"},
         True),
        ("claude-opus-4-8", BETWEEN, {"type": "disabled"}, True),
        (OPUS, BETWEEN, BETWEEN, False),
        (OPUS, {"type": "disabled"}, BETWEEN, True),
        ("claude-sonnet-5-5", {"type": "disabled"}, BETWEEN, True),
        ("claude-haiku-5-5", {"type": "disabled"}, {"type": "disabled"}, False),
        ("claude-fable-5", {"type": "disabled"}, None, True),
        ("claude-fable-5-2", {"type": "disabled"}, None, True),
        ("claude-fable-5-2", BETWEEN, None, True),
        ("claude-3-5-haiku-20241022", ENABLED, None, True),
        (HAIKU, {"type": "new"}, {"type": "new"}, False),
        (HAIKU, {"budget_tokens": 1}, {"budget_tokens": 1}, False),
        (HAIKU, {}, {}, False),
        (QWEN, {"type": "adaptive", "display": "omitted"}, {"type": "adaptive",
         "display": "omitted"}, False),
    ],
)  # fmt: skip
def test_kinds(model, asked, sent, warned):
    result = adapted(model, "converse" if model == QWEN else "invoke", thinking=asked)
    assert result.thinking == sent
    assert bool(result.warnings) == warned


BOUND = {"prefix_mismatch_behavior": "drop_block"}


@pytest.mark.parametrize(
    ("dialect", "asked", "sent"),
    [
        ("messages", {"display": "updates", "block_binding": BOUND},
         {"display": "updates", "block_binding": BOUND}),
        ("converse", {"display": "updates"}, {"display": "summarized"}),
        ("converse", {"block_binding": BOUND}, {}),
    ],
)  # fmt: skip
def test_what_a_flag_stands_for_goes_with_it(dialect, asked, sent):
    result = adapted(OPUS, dialect, thinking={**ADAPTIVE, **asked})
    assert result.thinking == {**ADAPTIVE, **sent}
    assert len(result.warnings) + len(result.dropped) == (dialect == "converse")


def test_older_models_always_show_their_thinking():
    result = adapted(thinking={**ENABLED, "display": "omitted"})
    assert result.thinking == ENABLED
    assert result.dropped == ["thinking.display"]


@pytest.mark.parametrize(
    ("effort", "max_tokens", "budget"),
    [("low", 64_000, 2048), ("max", 64_000, 31_999), (None, 64_000, 16_384), ("high", 1100, 1024)],
)
def test_the_budget_follows_the_effort(effort, max_tokens, budget):
    config = {"output_config": {"effort": effort}} if effort else {}
    result = adapted(thinking=ADAPTIVE, max_tokens=max_tokens, **config)
    assert result.thinking == {"type": "enabled", "budget_tokens": budget}


@pytest.mark.parametrize(
    ("max_tokens", "budget", "sent"),
    [(128_000, 100_000, 63_999), (128_000, 60_000, 60_000), (64_000, 70_000, 70_000),
     (128_000, 130_000, 130_000), (128_000, "x", "x")],
)  # fmt: skip
def test_a_budget_fits_an_answer_that_was_shortened(max_tokens, budget, sent):
    thinking = {"type": "enabled", "budget_tokens": budget}
    result = adapted(thinking=thinking, max_tokens=max_tokens, output_tokens=64_000)
    assert result.thinking == {**thinking, "budget_tokens": sent}


@pytest.mark.parametrize(
    "body",
    [
        {"max_tokens": 1024},
        {"tool_choice": {"type": "any"}},
        {"messages": [*HELLO, {"role": "assistant", "content": [CALL]},
                      {"role": "user", "content": [RESULT]}]},
        {"messages": [*HELLO, {"role": "assistant", "content": "{"}]},
        {"messages": [*HELLO, {"role": "assistant", "content": [CALL]},
                      {"role": "user", "content": [RESULT]}, {"role": "system", "content": "x"}]},
    ],
)  # fmt: skip
def test_no_budget_where_it_would_make_the_request_invalid(body):
    result = adapted(thinking=ADAPTIVE, **body)
    assert result.thinking is None
    assert "left out" in result.warnings[0]


@pytest.mark.parametrize(
    "messages",
    [
        [*HELLO, {"role": "assistant", "content": [THOUGHT, CALL]},
         {"role": "user", "content": [RESULT]}],
        [*HELLO, {"role": "assistant", "content": [CALL]}, {"role": "user", "content": [RESULT]},
         {"role": "assistant", "content": "a"}, *HELLO],
        [{"role": "user", "content": [RESULT]}],
        [{"role": "system", "content": "a"}],
    ],
)  # fmt: skip
def test_a_loop_that_began_with_thinking_goes_on_with_it(messages):
    assert adapted(thinking=ADAPTIVE, messages=messages).thinking["type"] == "enabled"


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        (OPUS, "xhigh", "xhigh"),
        (OPUS, "max", "max"),
        ("claude-opus-4-6", "xhigh", "high"),
        ("claude-opus-4-6", "max", "max"),
        ("claude-opus-4-5", "max", "high"),
        ("claude-opus-4-5", "low", "low"),
    ],
)
def test_effort_is_clamped(model, asked, sent):
    result = adapted(model, output_config={"effort": asked, "format": 1})
    assert result.output_config == {"effort": sent, "format": 1}
    assert bool(result.warnings) == (asked != sent)


def test_models_without_effort():
    result = adapted(output_config={"effort": "low"})
    assert result.output_config is None
    assert result.dropped == ["output_config.effort"]
    assert adapted(output_config={"effort": "low", "x": 1}).output_config == {"x": 1}
    assert adapted(output_config={"effort": None}).output_config == {"effort": None}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"thinking": 1}, "thinking: Expected"),
        ({"output_config": 1}, "output_config: Expected"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort: must be one of"),
        ({"output_config": {"effort": 3}}, "output_config.effort: must be one of"),
        ({"thinking": ADAPTIVE, "tool_choice": [1]}, "tool_choice: Expected"),
    ],
)
def test_refusals_name_the_path(body, path):
    with pytest.raises(InvalidRequestError) as refused:
        adapted(**body)
    assert refused.value.message.startswith(path)


UNSIGNED = {"type": "thinking", "thinking": "a", "signature": ""}


class TestThoughtsOfAnotherModel:
    """Converse tells the thoughts of other makers' models without a signature."""

    def test_a_claude_does_not_get_them(self):
        said = {"type": "text", "text": "b"}
        messages = [
            *HELLO,
            {"role": "assistant", "content": [UNSIGNED, said, THOUGHT]},
            *HELLO,
            {"role": "assistant", "content": [UNSIGNED]},
            *HELLO,
            {"role": "assistant", "content": [{**CALL, "input": {"signature": ""}}]},
            {"role": "user", "content": [RESULT]},
        ]
        result = adapted(messages=messages)
        assert result.messages[1]["content"] == [said, THOUGHT]
        assert result.messages[3]["content"] == [{"type": "text", "text": "(empty)"}]
        assert result.messages[5:] == messages[5:]
        assert result.dropped == ["messages.1.content.0", "messages.3.content.0"]
        assert adapted(QWEN, "converse", messages=messages).messages == messages

    @pytest.mark.parametrize("before", [[UNSIGNED, CALL], [CALL]])
    def test_a_running_loop_that_began_without_a_thought_goes_on_without(self, before):
        messages = [
            *HELLO,
            {"role": "assistant", "content": before},
            {"role": "user", "content": [RESULT]},
        ]
        result = adapted(thinking=ENABLED, messages=messages)
        assert result.thinking is None
        assert result.warnings == ["thinking: the turn began without; left out until it is over"]
        messages[1]["content"] = [THOUGHT, CALL]
        assert adapted(thinking=ENABLED, messages=messages).thinking == ENABLED


def test_a_model_that_never_thinks_need_not_be_told_not_to():
    result = adapted("claude-3-5-haiku-latest", thinking={"type": "disabled"}, max_tokens=9)
    assert result.thinking is None
    assert result.warnings == []


def test_a_request_that_is_only_counted_has_no_max_tokens():
    body = {"model": HAIKU, "messages": HELLO, "thinking": ADAPTIVE}
    request = parse_request(encode(body), "2023-06-01", counting=True)
    capabilities = REGISTRY.target(REGISTRY.route(HAIKU), DEFAULT_PROVIDER, "invoke").capabilities
    result = adapt(request, [], capabilities, REGISTRY.betas)
    assert decode(result.request.fields["thinking"])["type"] == "enabled"
