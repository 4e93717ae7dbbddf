from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import EVENTS, MESSAGE, encode, messages

from anthropic_bedrock_proxy.protocol.answer.events import explode
from anthropic_bedrock_proxy.protocol.answer.metering import CacheCreation, Meter, Usage
from anthropic_bedrock_proxy.protocol.tokens import (
    estimate_input,
    estimate_output,
    estimate_quickly,
    within_tokens,
)


@given(messages)
def test_events_and_whole_message_are_counted_alike(message):
    streamed, whole = Meter(), Meter()
    for event in explode(message):
        streamed.observe(event)
    whole.observe_message(encode(message))
    assert streamed.usage == whole.usage
    assert streamed.output_tokens == whole.output_tokens == message["usage"]["output_tokens"]
    assert not streamed.estimated


def test_a_stream_that_stops_early_is_estimated_and_flagged():
    meter = Meter()
    for event in EVENTS[:-2]:
        meter.observe(event)
    assert meter.usage.input_tokens == 12
    assert meter.output_tokens > 1
    assert meter.estimated


def test_a_stream_that_stops_before_any_output_is_exact():
    meter = Meter()
    meter.observe(EVENTS[0])
    assert meter.output_tokens == 1
    assert not meter.estimated


def test_an_answer_that_never_came_is_charged_an_estimate_of_its_request():
    meter = Meter()
    meter.assume_input(b"x" * 400)
    assert meter.usage.input_tokens == 100
    assert meter.estimated
    meter.observe(EVENTS[0])
    meter.assume_input(b"x" * 4000)
    assert meter.usage.input_tokens == 12


@pytest.mark.parametrize(
    "usage", [None, {}, {"output_tokens": None}, {"input_tokens": 7}, {"output_tokens": []}, []]
)
def test_a_whole_answer_that_does_not_tell_its_output_is_estimated_and_flagged(usage):
    meter = Meter()
    meter.assume_input(b"of an attempt before this")
    body = encode({**MESSAGE, "usage": usage})
    meter.observe_message(body)
    assert meter.usage.input_tokens == (usage.get("input_tokens") if usage else None)
    assert meter.output_tokens == estimate_output(1, len(body)) > 0
    assert meter.estimated
    without = {name: value for name, value in MESSAGE.items() if name != "usage"}
    meter.observe_message(encode(without))
    assert meter.output_tokens > 0
    assert meter.estimated


def test_a_whole_answer_that_does_not_tell_its_input_is_charged_an_estimate_of_its_request():
    meter = Meter()
    meter.observe_message(encode({**MESSAGE, "usage": {"output_tokens": 3}}))
    meter.assume_input(b"x" * 400)
    assert (meter.usage.input_tokens, meter.output_tokens, meter.estimated) == (100, 3, True)


MOST = (1 << 53) - 1


def test_passes_that_say_more_than_any_count_may_be_are_counted_as_the_most():
    """A record with more could be read by nobody: it would be set aside and cost nothing."""
    absurd = dict.fromkeys(Usage.__struct_fields__[:4], MOST)
    absurd["cache_creation"] = dict.fromkeys(CacheCreation.__struct_fields__, MOST)
    passes = [{"type": "compaction", **absurd}] * 3
    meter = Meter()
    meter.observe_message(encode({**MESSAGE, "usage": {**absurd, "iterations": passes}}))
    billed = meter.billed()
    assert meter.output_tokens == billed.input_tokens == MOST
    assert billed.cache_read_input_tokens == billed.cache_creation_input_tokens == MOST
    assert msgspec.structs.astuple(billed.cache_creation) == (MOST, MOST)


def test_images_are_not_counted_as_text():
    image = b'{"data":"' + b"A" * 40_000 + b'"}'
    assert estimate_input(image) < 2000
    assert estimate_input(b"") == 1


def test_in_small_requests_images_are_not_looked_for():
    image = b'"data":"' + b"A" * 40_000 + b'"'
    raw = msgspec.Raw(image)
    assert estimate_quickly(image) == estimate_quickly(raw) == len(image) // 4
    assert estimate_quickly(raw, bytearray(image)) == 2 * estimate_input(image) < 4000


def test_output_is_at_least_a_token_an_event():
    assert estimate_output(3, 10) == 3
    assert estimate_output(1, 485) == 100


ODD = [
    # usage of the last message_delta -> (output_tokens, cache read)
    ({"output_tokens": 12.5}, 13, None),
    ({"output_tokens": 3, "cache_creation": []}, 3, None),
    ({"output_tokens": 3, "service_tier": {}}, 3, None),
    ({"output_tokens": 3, "cache_read_input_tokens": "7"}, 3, None),
    ({"output_tokens": 3, "cache_read_input_tokens": 7, "input_tokens": -1}, 3, 7),
    ({"output_tokens": 3, "cache_read_input_tokens": 7, "input_tokens": 1 << 70}, 3, 7),
    ({"output_tokens": 3, "input_tokens": True}, 3, None),
]


@pytest.mark.parametrize(("usage", "output", "read"), ODD)
def test_usage_of_another_form_is_read_as_far_as_it_can_be(usage, output, read):
    meter = Meter()
    meter.observe(EVENTS[0])
    meter.observe((b"message_delta", encode({"type": "message_delta", "usage": usage})))
    assert (meter.output_tokens, meter.usage.cache_read_input_tokens) == (output, read or 4)
    assert meter.usage.input_tokens == 12
    assert meter.estimated
    whole = Meter()
    whole.observe_message(encode({**MESSAGE, "usage": usage}))
    assert (whole.output_tokens, whole.usage.cache_read_input_tokens) == (output, read)
    assert whole.estimated


def test_the_readable_parts_of_cache_writes_tools_and_tier():
    usage = {
        "input_tokens": None,
        "output_tokens": [],
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": "x"},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": []},
        "service_tier": "priority",
    }
    meter = Meter()
    meter.observe((b"message_start", encode({"message": {"usage": usage}})))
    assert meter.usage.cache_creation.ephemeral_5m_input_tokens == 5
    assert meter.usage.cache_creation.ephemeral_1h_input_tokens is None
    assert meter.usage.server_tool_use.web_search_requests == 2
    assert meter.usage.server_tool_use.web_fetch_requests is None
    assert meter.usage.service_tier == "priority"
    assert not meter.final
    assert meter.estimated


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize("name", [b"message_start", b"message_delta"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"message":5,"usage":5}',
        b'{"message":{"usage":[]},"usage":[]}',
        b'{"x":' + DEEP + b"}",
        b'{"usage":{"output_tokens":1e400},"message":{"usage":{"output_tokens":1e400}}}',
        b'{"usage":{"service_tier":"\xff"},"message":{"usage":{"service_tier":"\xff"}}}',
    ],
    ids=lambda data: data[:20].decode("latin-1"),
)
def test_no_event_is_lost_over_its_usage(name, data):
    meter = Meter()
    for event in EVENTS[:3]:
        meter.observe(event)
    meter.observe((name, data))
    assert meter.output_tokens >= 1


@given(st.sampled_from([b"message_start", b"message_delta", b"ping"]), st.binary(max_size=40))
def test_observe_never_raises(name, data):
    Meter().observe((name, data))


def test_a_last_delta_that_tells_nothing_leaves_the_estimate():
    meter = Meter()
    for event in EVENTS[:-2]:
        meter.observe(event)
    before = meter.output_tokens
    meter.observe((b"message_delta", b'{"usage":{"output_tokens":"many"}}'))
    assert meter.output_tokens == before > 1
    assert meter.estimated


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"text"'])
def test_what_is_no_answer_at_all_is_an_error(body):
    with pytest.raises(msgspec.MsgspecError):
        Meter().observe_message(body)


def test_an_answer_nested_without_end_is_an_estimate():
    meter = Meter()
    meter.observe_message(b'{"content":' + DEEP + b"}")
    assert meter.estimated


def test_usage_that_was_an_estimate_already():
    meter = Meter()
    for event in EVENTS:
        meter.observe(event)
    assert not meter.estimated
    meter.assume_usage()
    assert meter.estimated


def test_what_an_earlier_attempt_made_us_assume_gives_way_to_the_truth():
    meter = Meter()
    meter.assume_input(b"x" * 400)
    for event in EVENTS:
        meter.observe(event)
    assert (meter.usage.input_tokens, meter.estimated) == (12, False)


def test_a_message_delta_without_usage_leaves_the_output_an_estimate():
    meter = Meter()
    for event in EVENTS[:-2]:
        meter.observe(event)
    estimate = meter.output_tokens
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": None}
    meter.observe((b"message_delta", encode(delta)))
    assert meter.output_tokens == estimate > 1
    assert meter.estimated


COMPACTED = {
    "input_tokens": 10,
    "output_tokens": 20,
    "cache_creation_input_tokens": 5,
    "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 0},
    "iterations": [
        {
            "type": "compaction",
            "input_tokens": 180_000,
            "output_tokens": 3500,
            "cache_read_input_tokens": 7,
            "cache_creation_input_tokens": 3,
            "cache_creation": {"ephemeral_1h_input_tokens": 3},
        },
        {"type": "message", "input_tokens": 10, "output_tokens": 20},
    ],
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_what_compacting_took_is_billed_too(stream):
    meter = Meter()
    if stream:
        meter.observe(EVENTS[0])
        delta = {"type": "message_delta", "delta": {}, "usage": COMPACTED}
        meter.observe((b"message_delta", encode(delta)))
    else:
        meter.observe_message(encode(MESSAGE | {"usage": COMPACTED}))
    billed = meter.billed()
    assert meter.usage.input_tokens == 10
    assert (billed.input_tokens, meter.output_tokens) == (180_010, 3520)
    assert billed.cache_creation_input_tokens == 8
    assert billed.cache_creation.ephemeral_5m_input_tokens == 5
    assert billed.cache_creation.ephemeral_1h_input_tokens == 3
    assert not meter.estimated


def test_no_more_tokens_than_a_record_can_hold():
    meter = Meter()
    meter.observe_message(
        b'{"type":"message","content":[],"usage":{"input_tokens":9007199254740992,"output_tokens":1}}'
    )
    assert meter.usage.input_tokens is None
    assert meter.estimated


def test_images_are_not_counted_as_text_on_converse_either():
    assert estimate_input(b'{"source":{"bytes":"' + b"A" * 40_000 + b'"}}') < 2000


@pytest.mark.parametrize(
    ("delta", "reason"),
    [
        (b'{"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}', "end_turn"),
        (b'{"delta":{"stop_reason":null},"usage":{"output_tokens":1}}', ""),
        (b'{"delta":7,"usage":{"output_tokens":1}}', ""),
    ],
)
def test_why_an_answer_ended_is_kept_and_changes_nothing_else(delta, reason):
    meter = Meter()
    meter.observe((b"message_delta", delta))
    assert (meter.stop_reason, meter.output_tokens, meter.estimated) == (reason, 1, False)


def test_why_a_whole_answer_ended_is_kept():
    meter = Meter()
    meter.observe_message(
        b'{"type":"message","content":[],"stop_reason":"max_tokens","usage":{"output_tokens":1}}'
    )
    assert meter.stop_reason == "max_tokens"


@pytest.mark.parametrize(
    ("text", "most", "kept"),
    [
        ("a" * 10, 10, 10),
        ("a" * 12, 3, 12),
        ("a" * 13, 3, 12),
        ("\u00e9" * 7, 3, 6),
        ("\U0001f600" * 3, 3, 3),
        ("\u20ac" * 5, 3, 4),
        ("\ud800" * 20, 3, 12),
        ("", 1, 0),
    ],
)
def test_texts_are_cut_at_their_tokens(text, most, kept):
    assert len(within_tokens(text, most)) == kept
    assert within_tokens(text, 100) == text
