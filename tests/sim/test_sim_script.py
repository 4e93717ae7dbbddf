"""Scripted replies, matching, and every fault, seen from the client's end of the connection."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from http.client import HTTPConnection, IncompleteRead
from urllib.parse import urlsplit

import pytest

from anthropic_bedrock_proxy.protocol.aws.eventstream import FrameDecoder, FrameError
from anthropic_bedrock_proxy.sim.client import SimError

SONNET_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
THROTTLED = {"type": "ThrottlingException", "message": "Too many requests"}


def frames_of(data):
    decoder = FrameDecoder()
    frames = decoder.receive(data)
    assert decoder.at_boundary
    return frames


def events_of(data):
    return [
        json.loads(base64.b64decode(json.loads(frame.payload)["bytes"]))
        for frame in frames_of(data)
        if frame.headers[":message-type"] == "event"
    ]


CONTENT = [
    {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "b3BhcXVl"},
    {"type": "text", "text": "Let me look."},
    {"type": "tool_use", "id": "toolu_1", "name": "run", "input": {"x": [1, 2.5, "é"]}},
]


def test_a_scripted_reply_in_both_forms(sim, boto, body):
    usage = {"input_tokens": 7, "output_tokens": 9, "cache_read_input_tokens": 100}
    usage["cache_creation_1h_input_tokens"] = 5
    sim.script([{"reply": {"content": CONTENT, "usage": usage, "chunk_chars": 3}, "times": 2}])
    response = boto().invoke_model(modelId=SONNET_45, body=body())
    with response["body"] as stream:
        message = json.loads(stream.read())
    assert message["content"] == CONTENT
    assert message["stop_reason"] == "tool_use"
    assert message["usage"]["cache_creation"]["ephemeral_1h_input_tokens"] == 5
    response = boto().invoke_model_with_response_stream(modelId=SONNET_45, body=body())
    events = [json.loads(event["chunk"]["bytes"]) for event in response["body"]]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert [delta["text"] for delta in deltas if "text" in delta] == ["Let", " me", " lo", "ok."]
    assert [delta["signature"] for delta in deltas if "signature" in delta] == ["c2ln"]
    partial = "".join(delta.get("partial_json", "") for delta in deltas)
    assert json.loads(partial) == CONTENT[3]["input"]
    assert {"type": "content_block_start", "index": 1, "content_block": CONTENT[1]} in events
    assert sim.stats()["billed"]["finished"] == {
        "input_tokens": 14,
        "output_tokens": 18,
        "cache_read_input_tokens": 200,
        "cache_creation_input_tokens": 10,
    }
    assert sim.queued() == []


def test_steps_are_taken_in_order_by_matcher(sim, post, body):
    sim.script(
        [
            {"match": {"model": "opus"}, "error": THROTTLED},
            {"match": {"text": "weather"}, "error": {**THROTTLED, "message": "by text"}},
            {"match": {"body": r'"max_tokens": ?99\b'}, "error": {**THROTTLED, "message": "regex"}},
            {
                "match": {"operation": "InvokeModel"},
                "error": {**THROTTLED, "message": "always"},
                "times": "forever",
            },
        ]
    )
    asked = [{"role": "user", "content": "how is the weather today?"}]
    said = [
        json.loads(post(given, "invoke")[2])["message"]
        for given in (body(max_tokens=99), body(messages=asked), body(), body(messages=asked))
    ]
    assert said == ["regex", "by text", "always", "always"]
    assert post(body())[0] == 200  # a stream, which no step matches
    assert [step["times"] for step in sim.queued()] == [1, "forever"]
    assert [entry["scripted"] for entry in sim.requests()] == [True] * 4 + [False]
    sim.clear_script()
    assert sim.queued() == []


def test_an_invalid_request_does_not_use_up_a_step(sim, post, body):
    sim.script([{"error": THROTTLED}])
    assert post(body(max_tokens=0))[0] == 400
    assert post(body())[0] == 429


@pytest.mark.parametrize(
    ("type_", "status"),
    [
        ("ThrottlingException", 429),
        ("ModelNotReadyException", 429),
        ("ServiceQuotaExceededException", 400),
        ("ModelTimeoutException", 408),
        ("ModelErrorException", 424),
        ("AccessDeniedException", 403),
        ("InternalServerException", 500),
        ("ServiceUnavailableException", 503),
    ],
)
def test_errors_before_the_answer(sim, boto, body, type_, status):
    sim.script([{"error": {"type": type_, "message": "scripted"}}])
    with pytest.raises(getattr(boto().exceptions, type_), match="scripted") as caught:
        boto().invoke_model_with_response_stream(modelId=SONNET_45, body=body())
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert sim.stats()["operations"] == {"InvokeModelWithResponseStream": {str(status): 1}}


def test_retry_after_and_the_envelope_of_newer_models(sim, post, body):
    error = {"type": "overloaded_error", "message": "Overloaded", "status": 529}
    sim.script([{"error": {**error, "retry_after": 2, "envelope": "anthropic"}}])
    status, headers, received, _ = post(body(), "invoke")
    assert (status, headers["retry-after"]) == (529, "2")
    assert headers["x-amzn-errortype"] is None
    assert json.loads(received)["error"] == {"type": "overloaded_error", "message": "Overloaded"}


def test_an_exception_frame_in_the_stream(sim, boto, body):
    fault = {"kind": "exception", "after_events": 3, "type": "throttlingException"}
    sim.script([{"faults": [{**fault, "message": "slow down"}]}])
    event_stream_error = pytest.importorskip("botocore.exceptions").EventStreamError
    response = boto().invoke_model_with_response_stream(modelId=SONNET_45, body=body())
    seen = []
    with pytest.raises(event_stream_error, match="slow down"):
        seen.extend(response["body"])
    assert len(seen) == 3
    response["body"].close()
    [entry] = sim.requests()
    assert (entry["outcome"], entry["error_type"]) == ("faulted", "throttlingException")
    assert 0 < entry["billed_usage"]["output_tokens"] < 30


@pytest.mark.parametrize("at_byte", [0, 10])
@pytest.mark.parametrize(
    ("reset", "failure"), [(False, IncompleteRead), (True, ConnectionResetError)]
)
def test_a_cut_connection(sim, post, body, at_byte, reset, failure):  # fixtures
    fault = {"kind": "cut", "after_events": 2, "at_byte": at_byte, "reset": reset}
    sim.script([{"faults": [fault]}])
    status, _, received, error = post(body())
    assert status == 200
    assert isinstance(error, failure)
    decoder = FrameDecoder()
    assert len(decoder.receive(received)) == 2
    assert decoder.at_boundary is (at_byte == 0)
    assert sim.requests()[0]["outcome"] == "faulted"


def test_a_cut_of_a_plain_answer(sim, post, body):
    sim.script([{"faults": [{"kind": "cut", "at_byte": 20}]}])
    _, _, received, error = post(body(), "invoke")
    assert (len(received), type(error)) == (20, IncompleteRead)


def test_a_bad_checksum(sim, post, body, boto):
    sim.script([{"faults": [{"kind": "bad_crc", "at_event": 2}], "times": 2}])
    decoder = FrameDecoder()
    received = post(body())[2]
    assert len(decoder.receive(received)) == 2
    with pytest.raises(FrameError, match="checksum"):
        decoder.receive(b"")
    checksum_mismatch = pytest.importorskip("botocore.eventstream").ChecksumMismatch
    response = boto().invoke_model_with_response_stream(modelId=SONNET_45, body=body())
    with pytest.raises(checksum_mismatch):
        list(response["body"])
    response["body"].close()


def test_garbage_between_frames(sim, post, body):
    sim.script([{"faults": [{"kind": "garbage", "after_events": 1, "length": 40}]}])
    decoder = FrameDecoder()
    assert len(decoder.receive(post(body())[2])) == 1
    with pytest.raises(FrameError):
        decoder.receive(b"")


def test_silence_and_delays(sim, post, body):
    sim.script(
        [
            {"delay_ms": 60, "reply": {"content": []}},
            {"event_delay_ms": 20, "reply": {"content": []}},
            {"faults": [{"kind": "silence", "after_events": 1, "seconds": 0.06}]},
        ]
    )
    for _ in range(3):
        started = time.monotonic()
        status, _, received, error = post(body())
        assert (status, error) == (200, None)
        assert events_of(received)[-1]["type"] == "message_stop"
        assert time.monotonic() - started >= 0.05


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_chopped_bytes_are_the_same_bytes(sim, post, body, size):
    reply = {"content": CONTENT[2:3]}
    sim.script([{"reply": reply, "chunk_bytes": size}])
    events = events_of(post(body())[2])
    assert events[-1]["type"] == "message_stop"
    buffer = pytest.importorskip("botocore.eventstream").EventStreamBuffer()
    sim.script([{"reply": reply, "chunk_bytes": size}])
    buffer.add_data(post(body())[2])
    assert [message.headers[":event-type"] for message in buffer] == ["chunk"] * len(events)


def test_raw_events_and_raw_body(sim, post, body):
    sim.script([{"raw_events": [{"type": "ping"}, {"type": "novelty", "x": 1}]}])
    sim.script([{"raw_body": "<html>not json</html>"}])
    assert post(body(), "invoke")[2] == b"<html>not json</html>"
    assert events_of(post(body())[2]) == [{"type": "ping"}, {"type": "novelty", "x": 1}]


def test_throttled_for_a_while_then_served(sim, post, body):
    sim.script([{"error": THROTTLED, "times": 3}])
    assert [post(body(), "invoke")[0] for _ in range(5)] == [429, 429, 429, 200, 200]


def test_a_request_that_is_never_answered(sim, post, body):
    sim.script([{"match": {"model": "sonnet"}, "hang": True}])
    with pytest.raises(TimeoutError):
        post(body(), timeout=0.2)
    assert post(body())[0] == 200
    deadline = time.monotonic() + 5
    while len(sim.requests()) < 2 and time.monotonic() < deadline:
        pass  # the server notices that the client left within a few round trips
    hung = next(entry for entry in sim.requests() if entry["outcome"] == "aborted")
    assert (hung["number"], hung["status"], hung["billed_usage"]) == (1, 0, None)


@pytest.mark.parametrize("step", [{"delay_ms": 60_000}, {"event_delay_ms": 60_000}, {"hang": True}])
def test_a_client_that_leaves_is_recorded_and_billed_in_part(sim, post, body, step):
    reply = {"content": CONTENT, "usage": {"output_tokens": 1000}}
    sim.script([step if "hang" in step else {**step, "reply": reply}])
    with suppress(TimeoutError):  # raised while waiting for the status line
        assert isinstance(post(body(), timeout=0.1)[3], TimeoutError)
    deadline = time.monotonic() + 5
    while not sim.requests() and time.monotonic() < deadline:
        pass  # each look is a round trip; the server notices within a few
    [entry] = sim.requests()
    assert entry["aborted"] is True
    assert sim.stats()["outcomes"] == {"aborted": 1}
    if "event_delay_ms" in step:
        assert 0 < sim.stats()["billed"]["aborted"]["output_tokens"] < 1000


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"matchh": {}}, "matchh"),
        ({"match": {"body": "("}}, "regular expression"),
        ({"times": 0}, "times"),
        ({"chunk_bytes": 0}, "chunk_bytes"),
        ({"faults": [{"kind": "flood"}]}, "flood"),
        ({"faults": [{"kind": "cut", "after": 1}]}, "after"),
        ({"error": THROTTLED, "raw_body": ""}, "at most one"),
        ({"error": THROTTLED, "hang": True}, "at most one"),
    ],
)
def test_a_misspelt_script_is_refused_with_the_place(sim, step, words):
    with pytest.raises(SimError, match=words):
        sim.script([step])
    assert sim.queued() == []


def test_unknown_control_routes_list_the_known_ones(sim):
    with pytest.raises(SimError, match="no such control route"):
        sim._call("GET", "/_sim/nonsense")


def test_counters_outlive_the_entries(sim, post, body):
    post(body(), "invoke")
    post("{", "invoke")
    sim.clear_requests()
    assert sim.requests() == []
    stats = sim.stats()
    assert stats["operations"] == {"InvokeModel": {"200": 1, "400": 1}}
    assert stats["outcomes"] == {"finished": 1, "refused": 1}
    sim.reset()
    assert sim.stats()["requests"] == 0


def test_who_only_looks_whether_somebody_is_there_takes_no_step_and_is_not_logged(sim, address):
    sim.script([{"error": {"type": "ThrottlingException"}}])
    connection = HTTPConnection(urlsplit(address).netloc, timeout=5)
    connection.request("GET", "/")
    assert connection.getresponse().status == 404
    connection.close()
    assert sim.requests() == []
    assert len(sim.queued()) == 1
