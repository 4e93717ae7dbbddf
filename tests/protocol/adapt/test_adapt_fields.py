"""Top-level fields, breakpoints, sampling, prefill and blanks."""

from __future__ import annotations

import pytest
from adapting import HAIKU, HELLO, OPUS, QWEN, adapted
from streams import encode

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.models.betas import BetaRules
from anthropic_bedrock_proxy.models.table import Capabilities
from anthropic_bedrock_proxy.protocol.adapt.adapt import adapt
from anthropic_bedrock_proxy.protocol.adapt.limits import PREFILL
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.protocol.request.policy import Policy

EMPTY = {"type": "text", "text": "(empty)"}
CONTROL = {"type": "ephemeral"}


def text(words, **more):
    return {"type": "text", "text": words, **more}


def test_a_plain_request_stays_the_same_object():
    body = {"model": "m", "max_tokens": 1, "messages": HELLO}
    for messages in (HELLO, [{"role": "user", "content": [text("a"), {"type": "image"}]}]):
        request = parse_request(encode({**body, "messages": messages}), "2023-06-01")
        result = adapt(request, ["a"], Capabilities(dialect="invoke"), BetaRules())
        assert result.request is request
        assert result.flags == ["a"]


def test_a_request_without_anything_to_do_stays_the_same_object():
    body = {"model": "m", "max_tokens": 1, "messages": HELLO, "tools": [{"name": "t"}]}
    request = parse_request(encode(body), "2023-06-01")
    result = adapt(request, [], Capabilities(dialect="invoke"), BetaRules())
    assert result.request is request


@pytest.mark.parametrize("choice", ["auto", "any", "none"])
def test_bare_tool_choices(choice):
    result = adapted(tool_choice=choice)
    assert result.tool_choice == {"type": choice}
    assert result.warnings == []


def test_an_unknown_tool_choice_is_auto_and_the_client_hears_of_it():
    result = adapted(tool_choice="required")
    assert result.tool_choice == {"type": "auto"}
    assert result.warnings == ["tool_choice: unknown value, auto was used"]
    assert adapted(tool_choice={"type": "any"}).tool_choice == {"type": "any"}


def test_flags_of_the_body_join_those_of_the_header():
    result = adapted(flags=["a"], anthropic_beta=["b", "c"])
    assert result.flags == ["a", "b", "c"]
    assert result.anthropic_beta is None
    assert adapted(anthropic_beta=None).flags == []
    with pytest.raises(InvalidRequestError, match="anthropic_beta: Expected"):
        adapted(anthropic_beta="b")


def test_output_format_moves():
    schema = {"type": "json_schema", "schema": {}}
    assert adapted(output_format=schema).output_config == {"format": schema}
    old = adapted(output_format={"other": 1}, output_config={"format": schema})
    assert old.output_config == {"format": schema}
    assert adapted(output_format=None).output_config is None
    with pytest.raises(InvalidRequestError, match="output_config: Expected"):
        adapted(output_format=schema, output_config=3)


def test_wrapped_tools():
    result = adapted(tools=[{"type": "custom", "custom": {"name": "t"}}, {"name": "u"}])
    assert result.tools == [{"type": "custom", "name": "t"}, {"name": "u"}]
    assert result.view.tools[0].name == "t"
    assert adapted(tools=[{"name": "t", "custom": None}]).tools == [{"name": "t"}]
    with pytest.raises(InvalidRequestError, match=r"^tools\.0\.allowed_callers: Expected"):
        adapted(tools=[{"custom": {"name": "t", "allowed_callers": 1}}])


class TestTopLevelCacheControl:
    def test_native_where_the_endpoint_has_it(self):
        result = adapted(OPUS, "messages", cache_control=CONTROL)
        assert result.cache_control == CONTROL
        assert result.messages == HELLO

    def test_a_string_becomes_a_marked_block(self):
        result = adapted(cache_control=CONTROL)
        assert result.cache_control is None
        assert result.messages[0]["content"] == [text("Hello", cache_control=CONTROL)]

    def test_the_last_block_that_can_be_marked(self):
        thinking = {"type": "thinking", "thinking": "a", "signature": "b"}
        messages = [
            *HELLO,
            {"role": "assistant", "content": [text("a"), thinking]},
            {"role": "user", "content": " "},
        ]
        result = adapted(cache_control={**CONTROL, "ttl": "1h"}, messages=messages)
        assert result.messages[-1]["content"] == [
            {**EMPTY, "cache_control": {**CONTROL, "ttl": "1h"}}
        ]
        messages = [*HELLO, {"role": "user", "content": [text("a"), thinking]}]
        marked = adapted(cache_control=CONTROL, messages=messages).messages[1]["content"]
        assert marked == [text("a", cache_control=CONTROL), thinking]

    def test_nothing_can_be_marked(self):
        thinking = {"type": "thinking", "thinking": "a", "signature": "b"}
        messages = [{"role": "user", "content": [thinking]}]
        assert adapted(cache_control=CONTROL, messages=messages).messages == messages

    def test_models_without_a_cache(self):
        assert adapted(QWEN, "converse", cache_control=CONTROL).messages == HELLO
        assert adapted(cache_control=None).messages == HELLO

    def test_refusals(self):
        with pytest.raises(InvalidRequestError, match="cache_control: Expected `object`"):
            adapted(cache_control=1)
        block = text("a", cache_control=CONTROL)
        four = [{"role": "user", "content": [block] * 4}]
        with pytest.raises(InvalidRequestError, match="cache_control: there are 4"):
            adapted(cache_control=CONTROL, messages=four)
        one = [{"role": "user", "content": [block]}]
        with pytest.raises(InvalidRequestError, match="another ttl"):
            adapted(cache_control={**CONTROL, "ttl": "1h"}, messages=one)
        assert adapted(cache_control=CONTROL, messages=one).messages == one


class TestSampling:
    @pytest.mark.parametrize(
        "fields", [{"temperature": 1}, {"temperature": 1.0}, {"top_p": None}, {"top_p": 0.99}]
    )
    def test_defaults_say_nothing(self, fields):
        result = adapted(OPUS, "messages", **fields)
        assert not fields.keys() & result.fields.keys()
        assert result.dropped == [*fields]

    @pytest.mark.parametrize(
        "fields", [{"temperature": 0}, {"top_p": 0.5}, {"top_k": 1}, {"temperature": "x"},
                   {"temperature": [1]}]
    )  # fmt: skip
    def test_other_values_are_refused_as_by_anthropic(self, fields):
        (name,) = fields
        with pytest.raises(InvalidRequestError, match=f"^{name}: not supported by this model"):
            adapted(OPUS, "messages", **fields)

    @pytest.mark.parametrize("dialect", ["invoke", "messages", "converse"])
    def test_the_operator_may_have_them_left_out(self, dialect):
        drops = Policy(drops_sampling=True)
        fields = {"temperature": 0, "top_p": 0.99, "top_k": 1}
        result = adapted(OPUS, dialect, policy=drops, **fields)
        assert not fields.keys() & result.fields.keys()
        assert result.dropped == ["top_p"]
        assert [warning.partition(":")[0] for warning in result.warnings] == [
            "temperature",
            "top_k",
        ]
        assert adapted(HAIKU, policy=drops, temperature=0.1).temperature is not None

    def test_older_models_and_others_sample(self):
        assert adapted(HAIKU, temperature=0.1).temperature is not None
        assert adapted(QWEN, "converse", temperature=0.1).temperature is not None


@pytest.mark.parametrize(("asked", "sent"), [(128_000, 64_000), (64_000, 64_000), (5, 5)])
@pytest.mark.parametrize("more", [{}, {"stop_sequences": ["x"], "tool_choice": None}])
def test_an_answer_is_no_longer_than_the_model_can_do(asked, sent, more):
    body = {"model": "mapped", "max_tokens": asked, "messages": HELLO, **more}
    request = parse_request(encode(body), "2023-06-01")
    result = adapt(request, [], Capabilities(dialect="invoke", output_tokens=64_000), BetaRules())
    assert result.request.view.max_tokens == sent
    assert bytes(result.request.fields["max_tokens"]) == b"%d" % sent
    assert len(result.warnings) == (asked != sent)


class TestWarming:
    def test_one_token_is_asked_for(self):
        result = adapted(max_tokens=0)
        assert (result.max_tokens, result.view.max_tokens) == (1, 1)
        assert adapted(max_tokens=0, stop_sequences=["a"], stream=False).max_tokens == 1

    def test_never_in_a_stream(self):
        with pytest.raises(InvalidRequestError, match=r"^max_tokens: must be at least 1"):
            adapted(max_tokens=0, stream=True)


class TestPrefill:
    history = [*HELLO, {"role": "assistant", "content": "{"}]  # noqa: RUF012  # never changed

    def test_native_on_older_models(self):
        assert adapted(HAIKU, messages=self.history).messages == self.history

    @pytest.mark.parametrize("model", [OPUS, "claude-sonnet-4-6"])
    def test_refused_in_anthropic_s_words(self, model):
        with pytest.raises(InvalidRequestError) as refused:
            adapted(model, messages=self.history)
        assert refused.value.message == PREFILL


class TestBlanks:
    @pytest.mark.parametrize("blank", ["", " ", "\n\t "])
    def test_blank_blocks_disappear(self, blank):
        messages = [{"role": "user", "content": [text(blank), text("a")]}]
        assert adapted(messages=messages).messages[0]["content"] == [text("a")]

    @pytest.mark.parametrize("content", ["", " \n", [], [text("")]])
    def test_a_turn_never_disappears(self, content):
        messages = [*HELLO, {"role": "assistant", "content": content}, *HELLO]
        assert adapted(messages=messages).messages[1] == {"role": "assistant", "content": [EMPTY]}

    def test_the_last_assistant_message_may_be_empty(self):
        messages = [*HELLO, {"role": "assistant", "content": ""}]
        assert adapted(messages=messages).messages == messages

    def test_what_only_looks_blank_stays(self):
        image = {"type": "image", "source": {"type": "base64", "text": ""}}
        messages = [
            {"role": "user", "content": [text('"text":""'), image]},
            {"role": "user", "content": [image]},
            {"role": "user", "content": "plain"},
        ]
        assert adapted(messages=messages).messages == messages


def test_what_no_check_foresaw_is_the_client_s_mistake():
    body = (
        b'{"model":"claude-opus-4-1","max_tokens":1,"messages":[{"role":"user","content":'
        b'[{"type":"text","text":"","x":%b}]}]}' % (b"1" * 5000)
    )
    request = parse_request(body, "2023-06-01")
    with pytest.raises(InvalidRequestError, match="cannot be converted"):
        adapt(request, [], Capabilities(dialect="invoke"), BetaRules())


def test_a_marked_system_message_that_expired_is_passed_over():
    expired = {"role": "system", "content": "past", "clear_at": "next_user_message"}
    thinking = {"role": "assistant", "content": [{"type": "thinking", "thinking": "a"}]}
    messages = [*HELLO, expired, thinking, {"role": "user", "content": [{"type": "thinking"}]}]
    result = adapted(cache_control=CONTROL, messages=messages)
    assert [message["role"] for message in result.messages] == ["user", "assistant", "user"]
    assert result.messages[0]["content"] == [text("Hello", cache_control=CONTROL)]


class TestBlanksElsewhere:
    def test_a_prefill_of_nothing_stays_one(self):
        messages = [*HELLO, {"role": "assistant", "content": [text(" ")]}]
        assert adapted(messages=messages).messages[1]["content"] == []

    @pytest.mark.parametrize("junk", [None, 1, "a", []])
    def test_what_is_no_block_stays_to_be_refused_with_its_path(self, junk):
        result = adapted(system=[junk, text(""), text(" ", cache_control=CONTROL)])
        assert result.system == [junk]
        assert result.dropped == ["system.2.cache_control"]

    @pytest.mark.parametrize("blank", ["", "\u00a0", "\f\v", "\u2003\n"])
    def test_within_other_blocks_words_stand_for_them(self, blank):
        source = {"type": "content", "content": [text(blank), text("a")]}
        blocks = [
            {"type": "tool_result", "tool_use_id": "t", "content": [text(blank)]},
            {"type": "document", "source": source},
            text("a"),
        ]
        sent = adapted(messages=[{"role": "user", "content": blocks}]).messages[0]["content"]
        assert sent[0]["content"] == [EMPTY]
        assert sent[1]["source"]["content"] == [EMPTY, text("a")]

    def test_of_the_system_prompt(self):
        assert adapted(system=[text(" "), text("a")]).system == [text("a")]
        assert adapted(system=[text("")]).system is None

    def test_a_breakpoint_moves_to_what_stands_before(self):
        marked = text(" ", cache_control=CONTROL)
        result = adapted(messages=[{"role": "user", "content": [text("a"), marked]}])
        assert result.messages[0]["content"] == [text("a", cache_control=CONTROL)]
        result = adapted(system=[marked, text("a")])
        assert result.system == [text("a")]
        assert result.dropped == ["system.0.cache_control"]

    def test_hostile_bodies_cost_one_look(self):
        words = " " * 3_000_000 + "a"
        assert adapted(temperature=1, messages=[{"role": "user", "content": [text(words)]}])


def test_keys_of_the_client_s_own_are_no_breakpoints():
    properties = {str(n): {"cache_control": {}} for n in range(5)}
    tool = {"name": "t", "input_schema": {"type": "object", "properties": properties}}
    nulls = [text("a", cache_control=None) for _ in range(5)]
    messages = [{"role": "user", "content": nulls}]
    result = adapted(cache_control=CONTROL, tools=[tool], messages=messages, system=nulls)
    assert result.messages[0]["content"][-1] == text("a", cache_control=CONTROL)
    block = {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": [text("a", cache_control=CONTROL)],
    }
    with pytest.raises(InvalidRequestError, match="there are 4"):
        adapted(
            cache_control=CONTROL,
            tools=[{**tool, "cache_control": CONTROL}],
            system=[text("a", cache_control=CONTROL)],
            messages=[{"role": "user", "content": [block, block]}, *HELLO],
        )


def test_a_prefill_of_nothing_takes_no_breakpoint():
    messages = [*HELLO, {"role": "assistant", "content": ""}]
    result = adapted(cache_control=CONTROL, messages=messages)
    assert result.messages == [
        {"role": "user", "content": [text("Hello", cache_control=CONTROL)]},
        messages[1],
    ]


def test_a_request_to_count_may_have_no_limit():
    body = {"model": "m", "messages": HELLO, "inference_geo": None}
    request = parse_request(encode(body), "2023-06-01", counting=True)
    result = adapt(request, [], Capabilities(dialect="invoke"), BetaRules())
    assert result.request.fields.keys() == {"model", "messages"}
