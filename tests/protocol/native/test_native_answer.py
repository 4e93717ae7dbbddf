"""InvokeModel answers: any split, any cut, any flipped bit; never a wrong event."""

from __future__ import annotations

import gc
import weakref
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import (
    CHUNK_HEADERS,
    EVENTS,
    MESSAGE,
    STREAM,
    bedrock_stream,
    chunk_frame,
    decode,
    encode,
    exception_frame,
    messages,
    split,
)

from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.protocol.answer.events import Grammar, explode, fold
from anthropic_bedrock_proxy.protocol.aws.eventstream import encode_frame
from anthropic_bedrock_proxy.protocol.native.answer import (
    GuardedInvokeStream,
    InvokeStream,
    finish_message,
)

ALIAS = "claude-haiku-4-5"
DEEP = b"[" * 100_000 + b"]" * 100_000


def run(chunks, model=ALIAS, kind=InvokeStream):
    """(events, failure) as the upstream's reader would see them."""
    stream = kind(model)
    events = []
    for chunk in chunks:
        events += stream.receive(chunk)
        if stream.failure is not None:
            return events, stream.failure
    stream.end()
    return events, stream.failure


WHOLE, _ = run([STREAM])


@given(messages, st.lists(st.integers(0)))
def test_any_message_survives_any_split(message, cuts):
    events, failure = run(split(bedrock_stream(list(explode(message))), cuts))
    assert failure is None
    assert fold(events) == {**message, "model": ALIAS}


def test_one_byte_at_a_time():
    assert run([STREAM[i : i + 1] for i in range(len(STREAM))]) == (WHOLE, None)


def test_deltas_are_forwarded_byte_for_byte_and_amazon_s_keys_disappear():
    assert WHOLE[1:] == EVENTS[1:]
    assert decode(WHOLE[0][1])["message"]["model"] == ALIAS
    assert b"amazon" not in b"".join(data for _, data in WHOLE)


def test_a_cut_at_every_byte_gives_a_prefix_and_a_failure():
    for end in range(len(STREAM)):
        events, failure = run([STREAM[:end]])
        assert events == WHOLE[: len(events)]
        assert isinstance(failure, UpstreamRefusal)


def test_a_flipped_bit_in_every_byte_gives_a_prefix_and_a_failure():
    for position in range(len(STREAM)):
        broken = bytearray(STREAM)
        broken[position] ^= 1 << (position % 8)
        events, failure = run([bytes(broken)])
        assert events == WHOLE[: len(events)]
        assert isinstance(failure, UpstreamRefusal)


def test_every_prefix_satisfies_the_grammar():
    grammar = Grammar()
    for event in WHOLE:
        grammar.feed(event)
    grammar.end()


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("throttlingException", "ThrottlingException"),
        ("modelStreamErrorException", "ModelStreamErrorException"),
        ("internalServerException", "InternalServerException"),
    ],
)
def test_an_exception_frame_is_a_refusal_after_the_events_before_it(kind, code):
    first = chunk_frame(EVENTS[0][1])
    events, failure = run([first + exception_frame(kind, "Slow down")])
    assert events == WHOLE[:1]
    assert (failure.code, failure.message) == (code, "Slow down")


def test_an_error_frame_is_a_refusal():
    frame = encode_frame(
        {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "oops"}, b""
    )
    _, failure = run([frame])
    assert (failure.code, failure.message) == ("InternalFailure", "oops")


@pytest.mark.parametrize(
    ("original", "code"),
    [
        (400, "ValidationException"),
        (422, "ValidationException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (408, "ModelTimeoutException"),
        (413, "request_too_large"),
        (429, "ThrottlingException"),
        (500, "ModelStreamErrorException"),
        (None, "ModelStreamErrorException"),
        ("400", "ModelStreamErrorException"),
    ],
)
def test_the_model_s_own_client_error_stays_one(original, code):
    frame = encode_frame(
        {":message-type": "exception", ":exception-type": "modelStreamErrorException"},
        encode({"message": "bad image", "originalStatusCode": original}),
    )
    assert run([frame])[1].code == code


FAILURES = {
    "exception frame": [exception_frame("throttlingException", "slow")],
    "bad checksum": [STREAM[:-1] + b"x"],
    "bad checksum first": [b"x" * 40],
    "bad payload": [encode_frame(CHUNK_HEADERS, b"not json")],
    "nested": [chunk_frame(b'{"type":"message_start","message":{"a":' + DEEP + b"}}")],
    "cut": [STREAM[:-1]],
}


@pytest.mark.parametrize("chunks", FAILURES.values(), ids=FAILURES)
def test_a_failure_keeps_nothing_alive(chunks):
    gc.disable()
    try:
        stream = InvokeStream(ALIAS)
        for chunk in chunks:
            stream.receive(chunk)
        stream.end()
        assert stream.failure is not None
        assert stream.failure.__traceback__ is None
        watch = weakref.ref(stream)
        del stream
        assert watch() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("payload", [b"not json", b"[]", b'{"message":"\xff"}', DEEP])
def test_an_exception_frame_without_json_is_still_one(payload):
    frame = encode_frame({":message-type": "exception", ":exception-type": "x"}, payload)
    assert run([frame])[1].code == "X"


def test_anthropic_s_own_error_inside_a_chunk_is_a_refusal():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    _, failure = run([chunk_frame(encode(error))])
    assert (failure.code, failure.message) == ("overloaded_error", "Overloaded")


def test_nothing_comes_before_message_start():
    ping = chunk_frame(b'{"type":"ping"}')
    assert run([ping + STREAM]) == (WHOLE, None)
    _, failure = run([chunk_frame(EVENTS[1][1])])
    assert isinstance(failure, UpstreamRefusal)


def test_nothing_comes_after_message_stop():
    assert run([STREAM + chunk_frame(EVENTS[1][1])]) == (WHOLE, None)


def test_event_kinds_of_the_future_are_skipped():
    unknown = encode_frame({**CHUNK_HEADERS, ":event-type": "novelty"}, b"{}")
    assert run([unknown + STREAM]) == (WHOLE, None)


def test_pretty_printed_events_become_one_line():
    frames = []
    for _, data in EVENTS:
        pretty = b"{\n " + data[1:-1] + b"\n}"
        frames.append(chunk_frame(pretty))
    events, failure = run([b"".join(frames)])
    assert failure is None
    assert fold(events) == {**MESSAGE, "model": ALIAS}
    assert not any(b"\n" in data for _, data in events)


def test_metrics_on_other_events_disappear_too():
    data = encode({**decode(EVENTS[-2][1]), "amazon-bedrock-trace": {"a": 1}})
    frames = [*map(chunk_frame, [e[1] for e in EVENTS[:-2]]), chunk_frame(data)]
    events, _ = run(frames)
    assert events[-1] == EVENTS[-2]


@pytest.mark.parametrize(
    "payload",
    [
        b"not json",
        b"{}",
        encode({"bytes": "!!"}),
        encode({"bytes": b64encode(b'{"type":"message_start"}').decode()}),
        encode({"bytes": b64encode(b'{"type":"').decode()}),
        encode({"bytes": b64encode(b"[1]").decode()}),
    ],
)
def test_corrupt_payloads_break_the_stream(payload):
    events, failure = run([encode_frame(CHUNK_HEADERS, payload)])
    assert events == []
    assert failure.code == "CutShort"


ACTION = "amazon-bedrock-guardrailAction"


class TestGuarded:
    """A guardrail's word may stand on any event; the answer ends as a refusal."""

    @pytest.mark.parametrize("index", range(len(EVENTS)))
    @pytest.mark.parametrize("action", ["INTERVENED", "NONE"])
    def test_wherever_it_stands(self, index, action):
        frames = [chunk_frame(data) for _, data in EVENTS]
        frames[index] = chunk_frame(encode(decode(EVENTS[index][1]) | {ACTION: action}))
        data = b"".join(frames)
        whole = run([data], kind=GuardedInvokeStream)
        assert run([data[i : i + 1] for i in range(len(data))], kind=GuardedInvokeStream) == whole
        events, failure = whole
        assert failure is None
        message = fold(events)
        assert (message["stop_reason"] == "refusal") is (action == "INTERVENED")
        assert message["usage"] == MESSAGE["usage"]
        assert message["content"] == MESSAGE["content"]

    def test_its_name_in_a_text_is_a_text(self):
        text = f'"{ACTION}":"INTERVENED"'
        content = [{"type": "text", "text": text}]
        stream = bedrock_stream(list(explode({**MESSAGE, "content": content})))
        events, _ = run([stream], kind=GuardedInvokeStream)
        assert fold(events)["stop_reason"] == "tool_use"

    def test_what_came_before_a_failure_is_told(self):
        frames = [*(chunk_frame(data) for _, data in EVENTS[:3]), b"garbage" * 9]
        events, failure = run([b"".join(frames)], kind=GuardedInvokeStream)
        assert len(events) == 3
        assert failure is not None

    def test_a_whole_answer(self):
        body = encode({**MESSAGE, ACTION: "INTERVENED"})
        finished = decode(finish_message(body, MESSAGE["model"]))
        assert finished["stop_reason"] == finished["stop_details"]["type"] == "refusal"


class TestFinishMessage:
    def test_untouched_where_nothing_must_change(self):
        body = encode({"model": MESSAGE["model"], **MESSAGE})
        assert finish_message(body, MESSAGE["model"]) is body

    def test_only_the_name_changes_in_bedrock_s_own_order(self):
        message = {"model": MESSAGE["model"], **MESSAGE}
        finished = finish_message(encode(message), 'an "alias"')
        assert decode(finished) == {**message, "model": 'an "alias"'}
        assert finished.endswith(encode(message)[-200:])

    def test_the_requested_model_is_answered(self):
        assert decode(finish_message(encode(MESSAGE), ALIAS)) == {**MESSAGE, "model": ALIAS}

    def test_amazon_s_keys_disappear(self):
        body = encode({**MESSAGE, "amazon-bedrock-guardrailAction": "NONE"})
        assert decode(finish_message(body, MESSAGE["model"])) == MESSAGE

    @pytest.mark.parametrize(
        "body",
        [
            *(b"", b"<html>", b"[]", b'"text"', b'{"a":' + DEEP + b"}", b"{}"),
            *(b'{"model":"m","content":"Hi"}', b'{"type":"completion","content":[]}'),
        ],
    )
    def test_what_is_no_message_is_a_refusal(self, body):
        with pytest.raises(UpstreamRefusal):
            finish_message(body, ALIAS)
