"""Whole Converse answers: every block, every ending, every count; AWS's and Anthropic's own types
are the oracles on either side.
"""

from __future__ import annotations

import botocore.loaders
import pytest
from anthropic.types import Message
from anthropic.types.beta import BetaMessage
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.validate import ParamValidator
from streams import decode, encode

from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal, from_refusal
from anthropic_bedrock_proxy.errors import APIError
from anthropic_bedrock_proxy.protocol.converse.answer.end import usage_of
from anthropic_bedrock_proxy.protocol.converse.answer.whole import finish_converse

ALIAS = "nova-pro"
ID = "msg_01"
DEEP = b"[" * 100_000 + b"]" * 100_000
USAGE = {"inputTokens": 12, "outputTokens": 34, "totalTokens": 46}
_MODEL = ServiceModel(botocore.loaders.Loader().load_service_model("bedrock-runtime", "service-2"))


def body(*content, stop="end_turn", **fields):
    return encode(
        {
            "output": {"message": {"role": "assistant", "content": list(content)}},
            "stopReason": stop,
            "usage": USAGE,
            "metrics": {"latencyMs": 1},
            **fields,
        }
    )


def as_aws_means_it(data):
    """Asserts that AWS's own parser and validator take the body for a Converse answer."""
    shape = _MODEL.operation_model("Converse").output_shape
    response = {"status_code": 200, "headers": {}, "body": data}
    parsed = create_parser("rest-json").parse(response, shape)
    parsed.pop("ResponseMetadata")
    assert not ParamValidator().validate(parsed, shape).has_errors()


def finish(data, *, strict=True, **options):
    if strict:
        as_aws_means_it(data)
    finished = finish_converse(data, ALIAS, message_id=ID, **options)
    Message.model_validate_json(finished)
    BetaMessage.model_validate_json(finished)
    return decode(finished)


def content(*blocks, **options):
    return finish(body(*blocks), **options)["content"]


def text(words):
    return {"type": "text", "text": words}


def tool(**changes):
    return {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {}, **changes}}


def test_the_message_around_the_content():
    assert finish(body({"text": "Hello"})) == {
        "id": ID,
        "type": "message",
        "role": "assistant",
        "model": ALIAS,
        "content": [text("Hello")],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 12,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 34,
            "service_tier": "standard",
        },
    }


class TestBlocks:
    def test_empty_ones_disappear(self):
        empty = [
            {"text": ""},
            {"reasoningContent": {"reasoningText": {"text": ""}}},
            {"reasoningContent": {"redactedContent": ""}},
            {"citationsContent": {"content": [], "citations": []}},
            {"toolResult": {"toolUseId": "a", "content": []}},
        ]
        assert content(*empty) == []

    def test_a_tool_call_has_the_client_s_name_and_an_id_that_anthropic_allows(self):
        block = tool(toolUseId="a.b:c-d_1", name="short", input={"city": "Paris"})
        assert content(block, tool_names={"short": "a_long_name"}) == [
            {
                "type": "tool_use",
                "id": "a_b_c-d_1",
                "name": "a_long_name",
                "input": {"city": "Paris"},
            }
        ]
        assert content(block)[0]["name"] == "short"

    def test_numbers_stay_as_the_model_wrote_them(self):
        written = b'{"a":1.10,"b":123456789012345678901234567890,"c":1e400,"d":-0.0,"e":"\\u00e9"}'
        data = body(tool(input="HERE")).replace(b'"HERE"', written)
        assert b'"input":' + written in finish_converse(data, ALIAS, message_id=ID)

    @pytest.mark.parametrize(
        "block", [tool(input=None), {"toolUse": {"toolUseId": "a", "name": "b"}}]
    )
    def test_a_tool_call_without_input_has_an_empty_one(self, block):
        assert content(block, strict=False)[0]["input"] == {}

    def test_thinking(self):
        signed = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}
        assert content(signed) == [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]

    def test_thinking_of_models_that_do_not_sign(self):
        unsigned = {"reasoningContent": {"reasoningText": {"text": "Hm."}}}
        assert content(unsigned) == [{"type": "thinking", "thinking": "Hm.", "signature": ""}]

    def test_thinking_that_is_only_a_signature(self):
        hidden = {"reasoningContent": {"reasoningText": {"text": "", "signature": "c2ln"}}}
        assert content(hidden) == [{"type": "thinking", "thinking": "", "signature": "c2ln"}]
        del hidden["reasoningContent"]["reasoningText"]["text"]
        assert content(hidden, strict=False)[0]["thinking"] == ""

    def test_redacted_thinking(self):
        block = {"reasoningContent": {"redactedContent": "c2VjcmV0"}}
        assert content(block) == [{"type": "redacted_thinking", "data": "c2VjcmV0"}]

    @pytest.mark.parametrize("kind", ["image", "video", "audio", "document"])
    def test_media_are_told_of(self, kind):
        source = {"format": "png", "source": {"bytes": "aGk="}, "name": "x"}
        (block,) = content({kind: source}, strict=False)
        assert block["type"] == "text"
        assert kind in block["text"]

    def test_tools_that_bedrock_runs_are_told_of(self):
        result = {
            "toolUseId": "a",
            "type": "nova_grounding_result",
            "content": [
                {"text": "two hits: "},
                {"json": {"n": 2}},
                {"image": {"format": "png", "source": {"bytes": "aGk="}}},
                {"searchResult": {"source": "s", "title": "t", "content": []}},
            ],
        }
        answer = finish(
            body(tool(name="nova_grounding", type="server_tool_use"), {"toolResult": result})
        )
        note, shown = (block["text"] for block in answer["content"])
        assert "nova_grounding" in note
        assert shown.startswith('two hits: {"n":2}[')
        assert answer["stop_reason"] == "end_turn"

    def test_kinds_of_the_future_are_left_out(self):
        blocks = [{"hologram": {"a": [1]}}, {"text": "Hi"}, {"reasoningContent": {"novel": 1}}]
        assert content(*blocks, strict=False) == [text("Hi")]


SPAN = {"start": 3, "end": 9}
DOCUMENT = {**SPAN, "documentIndex": 1}
QUOTED = {"cited_text": "so it is", "document_index": 1, "document_title": "Report"}
CITATIONS = [
    (
        {"documentChar": DOCUMENT},
        {"type": "char_location", **QUOTED, "start_char_index": 3, "end_char_index": 9},
    ),
    (
        {"documentPage": DOCUMENT},
        {"type": "page_location", **QUOTED, "start_page_number": 3, "end_page_number": 9},
    ),
    (
        {"documentChunk": DOCUMENT},
        {"type": "content_block_location", **QUOTED, "start_block_index": 3, "end_block_index": 9},
    ),
    (
        {"searchResultLocation": {**SPAN, "searchResultIndex": 2}},
        {
            "type": "search_result_location",
            "cited_text": "so it is",
            "search_result_index": 2,
            "source": "library",
            "title": "Report",
            "start_block_index": 3,
            "end_block_index": 9,
        },
    ),
    (
        {"web": {"url": "https://example.org/a", "domain": "example.org"}},
        {
            "type": "web_search_result_location",
            "cited_text": "so it is",
            "url": "https://example.org/a",
            "title": "Report",
            "encrypted_index": "",
        },
    ),
]


def cited(location, **changes):
    citation = {
        "title": "Report",
        "source": "library",
        "sourceContent": [{"text": "so "}, {"text": "it is"}],
        "location": location,
        **changes,
    }
    parts = [{"text": "It is "}, {"text": "so."}]
    return {"citationsContent": {"content": parts, "citations": [citation]}}


class TestCitations:
    @pytest.mark.parametrize(("location", "expected"), CITATIONS, ids=lambda x: next(iter(x)))
    def test_each_kind(self, location, expected):
        assert content(cited(location)) == [{**text("It is so."), "citations": [expected]}]

    @pytest.mark.parametrize("location", [None, {}, {"hologram": {}}])
    def test_what_points_nowhere_is_left_out(self, location):
        assert content(cited(location), strict=False) == [text("It is so.")]

    def test_a_source_that_is_not_told(self):
        block = cited({"searchResultLocation": SPAN}, source=None)
        assert content(block, strict=False)[0]["citations"][0]["source"] == ""
        block = cited({"web": {}}, title=None)
        assert content(block, strict=False)[0]["citations"][0]["url"] == "library"
        block = cited({"web": {}}, source=None)
        assert content(block, strict=False)[0]["citations"][0]["url"] == ""


class TestEnding:
    @pytest.mark.parametrize(
        "reason",
        ["end_turn", "tool_use", "max_tokens", "stop_sequence", "model_context_window_exceeded"],
    )
    def test_reasons_that_both_sides_know(self, reason):
        answer = finish(body({"text": "Hi"}, stop=reason))
        assert answer["stop_reason"] == reason
        assert "stop_details" not in answer

    @pytest.mark.parametrize(
        ("reason", "word"), [("guardrail_intervened", "guardrail"), ("content_filtered", "filter")]
    )
    def test_refusals(self, reason, word):
        answer = finish(body(tool(), stop=reason))
        assert answer["stop_reason"] == "refusal"
        assert answer["stop_details"]["type"] == "refusal"
        assert word in answer["stop_details"]["explanation"]

    @pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
    def test_malformed_output(self, reason):
        assert finish(body({"text": "Hi"}, stop=reason))["stop_reason"] == "end_turn"
        assert finish(body(tool(), stop=reason))["stop_reason"] == "end_turn"
        with pytest.raises(UpstreamRefusal) as caught:
            finish(body({"text": ""}, stop=reason))
        assert type(from_refusal(caught.value)) is APIError
        assert caught.value.__traceback__ is not None

    def test_a_reason_of_the_future_is_an_end(self):
        assert finish(body({"text": "Hi"}, stop="bored"))["stop_reason"] == "end_turn"

    @pytest.mark.parametrize(
        ("reason", "expected"),
        [("end_turn", "tool_use"), ("bored", "tool_use"), ("max_tokens", "max_tokens")],
    )
    def test_a_tool_call_must_be_answered_though_the_model_forgets_to_say_so(
        self, reason, expected
    ):
        assert finish(body(tool(), stop=reason))["stop_reason"] == expected

    @pytest.mark.parametrize(
        ("given", "fields", "matched"),
        [
            (["END"], None, "END"),
            ([], None, None),
            (["END", "STOP"], None, None),
            (["END", "STOP"], {"stop_sequence": "STOP"}, "STOP"),
            (["END"], {"stop_sequence": None}, "END"),
            (["END", "STOP"], {"stop_sequence": 7}, None),
            (["END", "STOP"], ["STOP"], None),
        ],
    )
    def test_the_matched_stop_sequence(self, given, fields, matched):
        data = body({"text": "Hi"}, stop="stop_sequence", additionalModelResponseFields=fields)
        assert finish(data, stop_sequences=given)["stop_sequence"] == matched

    def test_no_stop_sequence_without_the_reason(self):
        fields = {"stop_sequence": "END", "huge": 1}
        data = body({"text": "Hi"}, additionalModelResponseFields=fields)
        data = data.replace(b'"huge":1', b'"huge":1e400')
        assert finish(data, strict=False, stop_sequences=["END"])["stop_sequence"] is None


class TestUsage:
    def test_cache_and_tier(self):
        usage = {
            **USAGE,
            "cacheReadInputTokens": 4,
            "cacheWriteInputTokens": 7,
            "cacheDetails": [{"ttl": "5m", "inputTokens": 2}, {"ttl": "1h", "inputTokens": 5}],
        }
        answer = finish(body({"text": "Hi"}, usage=usage, serviceTier={"type": "priority"}))
        assert answer["usage"] == {
            "input_tokens": 12,
            "cache_creation_input_tokens": 7,
            "cache_read_input_tokens": 4,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 5},
            "output_tokens": 34,
            "service_tier": "priority",
        }

    @pytest.mark.parametrize("tier", [None, "priority", {"type": "flex"}, {"type": "reserved"}, {}])
    def test_every_other_tier_is_the_standard_one(self, tier):
        assert usage_of({"usage": USAGE, "serviceTier": tier})["service_tier"] == "standard"

    @pytest.mark.parametrize(
        ("tier", "told"), [("flex", "flex"), ("reserved", "reserved"), ("default", None)]
    )
    def test_a_tier_that_anthropic_has_no_word_for_is_told_beside_it(self, tier, told):
        usage = usage_of({"usage": USAGE, "serviceTier": {"type": tier}})
        assert usage.get("bedrock_service_tier") == told

    def test_writes_without_details_live_for_the_default_time(self):
        usage = usage_of({"usage": {**USAGE, "cacheWriteInputTokens": 7}})
        assert usage["cache_creation"]["ephemeral_5m_input_tokens"] == 7

    def test_details_without_a_total_count(self):
        usage = usage_of({"usage": {"cacheDetails": [{"ttl": "1h", "inputTokens": 5}, "odd"]}})
        assert usage["cache_creation_input_tokens"] == 5
        assert usage["cache_creation"]["ephemeral_5m_input_tokens"] == 0

    @pytest.mark.parametrize(
        "usage", [None, [], {}, {"outputTokens": -1}, {"outputTokens": True, "cacheDetails": 5}]
    )
    def test_an_answer_is_not_lost_over_its_bill(self, usage):
        answer = finish(body({"text": "Hi"}, usage=usage), strict=False)
        assert answer["usage"]["output_tokens"] == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"output":{}}',
        b'{"output":{"message":{"content":[{"text":5}]}}}',
        b'{"output":{"message":{"content":[{"text":"\xff"}]}}}',
        b'{"output":{"message":{"content":[]}},"usage":' + DEEP + b"}",
        body(tool(input="HERE")).replace(b"HERE", b"\xff"),
    ],
)
def test_what_is_no_converse_answer_is_a_refusal(data):
    with pytest.raises(UpstreamRefusal) as caught:
        finish_converse(data, ALIAS, message_id=ID)
    assert caught.value.code == "NotAnAnswer"
