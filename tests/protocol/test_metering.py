from __future__ import annotations

from hypothesis import given
from streams import EVENTS, MESSAGE, encode, messages

from anthropic_bedrock_proxy.protocol.events import explode
from anthropic_bedrock_proxy.protocol.metering import Meter
from anthropic_bedrock_proxy.protocol.tokens import estimate_input, estimate_output


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


def test_an_answer_without_usage_counts_nothing():
    meter = Meter()
    meter.observe_message(encode({k: v for k, v in MESSAGE.items() if k != "usage"}))
    assert (meter.usage.input_tokens, meter.output_tokens) == (None, 0)


def test_images_are_not_counted_as_text():
    image = b'{"data":"' + b"A" * 40_000 + b'"}'
    assert estimate_input(image) < 2000
    assert estimate_input(b"") == 1


def test_output_is_at_least_a_token_an_event():
    assert estimate_output(3, 10) == 3
    assert estimate_output(1, 485) == 100
