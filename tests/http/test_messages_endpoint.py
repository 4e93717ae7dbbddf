"""POST /v1/messages over a scripted upstream: every ending settles once."""

from __future__ import annotations

import asyncio
import gc
import json
import time
import tracemalloc

import pytest
from http_client import Client
from streams import (
    EVENTS,
    MESSAGE,
    STREAM,
    bedrock_stream,
    chunk_frame,
    encode,
    exception_frame,
)

from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.gateway.answer.pacing import Pacing
from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.protocol.answer.events import Grammar, fold
from anthropic_bedrock_proxy.protocol.request.policy import Policy

BODY = {
    "model": "claude-haiku-4-5",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "Hello"}],
}
KEY = {"x-api-key": "sk-master"}


def post(proxy, body=None, headers=None, **changes):
    body = {**BODY, **changes} if body is None else body
    return asyncio.run(Client(proxy.app, headers=KEY | (headers or {}), body=body).send())


def check_grammar(events):
    grammar = Grammar()
    for event in events:
        grammar.feed(event)
    grammar.end()


def test_a_whole_answer(proxy, message):
    proxy.upstream.script.append(message)
    answer = post(proxy)
    assert answer.status == 200
    assert answer.json == {**MESSAGE, "model": "claude-haiku-4-5"}
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["x-amzn-requestid"] == "fake-request"
    (record,) = proxy.records
    assert record.id == answer.headers["request-id"]
    assert (record.key_id, record.model, record.input_tokens) == ("master", BODY["model"], 12)
    assert (record.output_tokens, record.cache_creation_1h_input_tokens) == (34, 2)
    assert (record.error, record.estimated, record.stream) == (None, False, False)


def test_a_streamed_answer(proxy, stream):
    proxy.upstream.script.append([stream[:100], stream[100:]])
    answer = post(proxy, stream=True)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    check_grammar(answer.events)
    assert fold(answer.events) == {**MESSAGE, "model": "claude-haiku-4-5"}
    (record,) = proxy.records
    assert (record.output_tokens, record.stream, record.estimated) == (34, True, False)
    assert record.ttft_ms is not None
    assert proxy.upstream.streams[0].closed


def test_what_reaches_the_upstream(proxy, message):
    proxy.upstream.script.append(message)
    post(proxy, headers={"anthropic-beta": ["interleaved-thinking-2025-05-14", "oauth-2025-04-20"]})
    (call,) = proxy.upstream.calls
    assert call.operation == "invoke"
    assert call.bedrock_model_id == "global.anthropic.claude-haiku-4-5-20251001-v1:0"
    assert b'"anthropic_beta":["interleaved-thinking-2025-05-14"]' in call.body


def test_the_record_is_written_before_the_last_byte(proxy, stream):
    proxy.upstream.script.append([stream])
    client = Client(proxy.app, headers=KEY, body={**BODY, "stream": True})
    recorded_by_then = []
    client.on_chunk = lambda answer: recorded_by_then.append(
        (b"message_stop" in answer.body, len(proxy.records))
    )
    asyncio.run(client.send())
    assert all(count == 1 for stopped, count in recorded_by_then if stopped)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("code", "status", "type_", "retry"),
    [
        ("ThrottlingException", 429, "rate_limit_error", "5"),
        ("ModelNotReadyException", 529, "overloaded_error", "1"),
        ("ValidationException", 400, "invalid_request_error", None),
        ("ModelTimeoutException", 504, "timeout_error", None),
        ("InternalServerException", 500, "api_error", None),
        ("UnrecognizedClientException", 503, "api_error", None),
    ],
)
def test_a_refusal_is_a_real_status(proxy, streamed, code, status, type_, retry):
    proxy.upstream.script.append(UpstreamRefusal(code, "why 123456789012"))
    answer = post(proxy, stream=streamed)
    assert answer.status == status
    assert answer.json["error"]["type"] == type_
    assert answer.json["request_id"] == answer.headers["request-id"]
    assert answer.headers.get("retry-after") == retry
    assert "123456789012" not in answer.body.decode()
    (record,) = proxy.records
    assert (record.error, record.output_tokens) == (type_, 0)


def test_a_request_that_only_warms_the_cache(proxy, message):
    proxy.upstream.script.append(message)
    answer = post(proxy, max_tokens=0)
    assert (answer.json["content"], answer.json["stop_reason"]) == ([], "max_tokens")
    assert proxy.records[0].output_tokens == 34
    assert b'"max_tokens":1' in proxy.upstream.calls[0].body


def test_a_stream_that_breaks_ends_in_an_error_event(proxy):
    chunks = [chunk_frame(EVENTS[0][1]), exception_frame("throttlingException", "slow")]
    proxy.upstream.script.append(chunks)
    answer = post(proxy, stream=True)
    assert answer.status == 200
    assert [name for name, _ in answer.events] == [b"message_start", b"error"]
    assert b'"rate_limit_error"' in answer.events[-1][1]
    assert answer.complete
    (record,) = proxy.records
    assert (record.error, record.input_tokens) == ("rate_limit_error", 12)


def test_a_cut_at_every_byte_ends_in_an_error_event(make_proxy):
    proxy = make_proxy()
    first = len(chunk_frame(EVENTS[0][1]))
    for end in range(first, len(STREAM)):
        proxy.upstream.script.append([STREAM[:end]])
        answer = post(proxy, stream=True)
        names = [name for name, _ in answer.events]
        assert names[-1] == b"error"
        assert b"message_stop" not in names
        check_grammar(answer.events)
    assert len(proxy.records) == len(STREAM) - first


def test_a_flipped_bit_in_every_frame_ends_in_an_error_event(make_proxy):
    proxy = make_proxy()
    frames = [chunk_frame(data) for _, data in EVENTS]
    for broken in range(1, len(frames)):
        damaged = bytearray(frames[broken])
        damaged[len(damaged) // 2] ^= 4
        stream = b"".join([*frames[:broken], bytes(damaged), *frames[broken + 1 :]])
        proxy.upstream.script.append([stream])
        answer = post(proxy, stream=True)
        assert len(answer.events) == broken + 1
        assert answer.events[-1][0] == b"error"
        check_grammar(answer.events)


def test_one_byte_chunks_change_nothing(make_proxy):
    whole, bytewise = make_proxy(), make_proxy()
    whole.upstream.script.append([STREAM])
    bytewise.upstream.script.append([STREAM[i : i + 1] for i in range(len(STREAM))])
    assert post(whole, stream=True).events == post(bytewise, stream=True).events


def test_silences_are_filled_with_pings(make_proxy):
    proxy = make_proxy(pacing=Pacing(ping_seconds=0.0))
    first = len(chunk_frame(EVENTS[0][1]))
    proxy.upstream.script.append([STREAM[:first], b"", b"", STREAM[first:]])
    answer = post(proxy, stream=True)
    assert [name for name, _ in answer.events].count(b"ping") == 2
    assert fold(answer.events)["content"] == MESSAGE["content"]
    check_grammar(answer.events)


class Clock:
    def __init__(self):
        self.now = time.monotonic()

    def __call__(self):
        self.now += 1.0
        return self.now


@pytest.mark.parametrize("bound", ["idle_seconds", "total_seconds"])
def test_deadlines_end_a_stream(make_proxy, bound):
    proxy = make_proxy(pacing=Pacing(**{bound: 2.5}), monotonic=Clock())
    silence = [b""] * 10 if bound == "idle_seconds" else []
    deltas = [chunk_frame(data) for _, data in EVENTS[1:]]
    proxy.upstream.script.append([chunk_frame(EVENTS[0][1]), *silence, *deltas])
    answer = post(proxy, stream=True)
    assert answer.events[-1][0] == b"error"
    assert b"timeout_error" in answer.events[-1][1]
    assert proxy.upstream.streams[0].closed
    assert [made.code for made in proxy.logged[0].timeline.upstream] == ["TooLate"]


def test_a_client_that_leaves_a_stream_stops_the_model_and_is_charged(proxy):
    async def main():
        client = Client(proxy.app, headers=KEY, body={**BODY, "stream": True})
        reached = asyncio.Event()

        class Stream:
            upstream_request_id = service_tier = None
            usage_estimated = False
            closed = False
            events = [[EVENTS[0]], [*EVENTS[1:6]]]  # noqa: RUF012  # consumed once

            async def read(self, timeout):
                if self.events:
                    return self.events.pop(0)
                reached.set()
                await asyncio.Event().wait()
                return None

            def close(self):
                self.closed = True

        stream = Stream()

        async def open_stream(call, new_decoder):
            return stream

        proxy.upstream.stream = open_stream
        task = asyncio.create_task(client.send())
        await reached.wait()
        client.leave()
        await task
        assert stream.closed
        (record,) = proxy.records
        assert record.disconnected
        assert record.estimated
        assert record.input_tokens == 12
        assert record.output_tokens > 0

    asyncio.run(main())


def test_a_client_that_leaves_while_the_model_thinks_is_charged_its_request(proxy):
    async def main():
        called = asyncio.Event()

        async def never(call):
            called.set()
            await asyncio.Event().wait()

        proxy.upstream.call = never
        client = Client(proxy.app, headers=KEY, body=BODY)
        task = asyncio.create_task(client.send())
        await called.wait()
        client.leave()
        await task
        (record,) = proxy.records
        assert (record.disconnected, record.estimated) == (True, True)
        assert record.input_tokens > 0

    asyncio.run(main())


async def begin_stuck(proxy):
    """A client that takes no byte of its stream, and the task that serves it, stuck in sending."""
    proxy.upstream.script.append([chunk_frame(data) for _, data in EVENTS])
    bounds = ConnectionBounds(unsent_bytes=0)
    client = Client(proxy.app, headers=KEY, body={**BODY, "stream": True}, bounds=bounds)
    client.blocked = True
    task = asyncio.create_task(client.send())
    while not proxy.upstream.streams:
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0)
    return client, task


def test_a_slow_client_slows_the_model_and_may_leave(proxy):
    async def main():
        client, task = await begin_stuck(proxy)
        assert len(proxy.upstream.streams[0]._chunks) == len(EVENTS) - 1  # nothing read ahead
        client.leave()
        await task
        assert proxy.upstream.streams[0].closed
        assert len(proxy.records) == 1

    asyncio.run(main())


def test_a_server_that_stops_says_so_in_the_stream(proxy):
    async def main():
        reached = asyncio.Event()

        class Stream:
            upstream_request_id = service_tier = None
            usage_estimated = False
            first = True

            async def read(self, timeout):
                if self.first:
                    self.first = False
                    return [EVENTS[0]]
                reached.set()
                await asyncio.Event().wait()
                return None

            def close(self):
                pass

        async def open_stream(call, new_decoder):
            return Stream()

        proxy.upstream.stream = open_stream
        client = Client(proxy.app, headers=KEY, body={**BODY, "stream": True})
        task = asyncio.create_task(client.send())
        await reached.wait()
        client.connection.protocol.stop()
        await task
        assert [name for name, _ in client.answer.events] == [b"message_start", b"error"]
        assert client.answer.complete
        assert len(proxy.records) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "The request body is not valid JSON"),
        ({**BODY, "model": "gpt-4"}, None),
        ({**BODY, "fallbacks": [{"model": "x"}]}, "fallbacks:"),
        ({k: v for k, v in BODY.items() if k != "max_tokens"}, "max_tokens: Field required"),
    ],
)
def test_bad_input_changes_nothing(proxy, body, message):
    answer = post(proxy, body)
    assert answer.status == (400 if message else 404)
    assert answer.json["error"]["message"].startswith(message or "model: gpt-4")
    assert not proxy.upstream.calls
    assert not proxy.records


def test_an_unexpected_error_leaks_nothing(proxy):
    proxy.upstream.script.append(RuntimeError("secret detail"))
    answer = post(proxy)
    assert answer.status == 500
    assert answer.json["error"] == {"type": "api_error", "message": "Internal error of the proxy."}
    assert len(proxy.records) == 1


@pytest.mark.parametrize("where", ["model", "stream", "encoder"])
def test_an_unexpected_error_is_noted_as_what_it_is(proxy, where):
    first = chunk_frame(EVENTS[0][1])
    script = {"model": KeyError("secret detail"), "stream": [first, KeyError("secret detail")]}
    proxy.upstream.script.append(script.get(where, [first]))
    if where == "encoder":
        opened = proxy.upstream.stream

        async def open_stream(call, new_decoder):
            stream = await opened(call, new_decoder)
            stream.first = [(Exception, b"no event")]
            return stream

        proxy.upstream.stream = open_stream
    answer = post(proxy, stream=True)
    assert b"Internal error of the proxy." in answer.body
    assert b"secret" not in answer.body
    (made,) = proxy.logged[0].timeline.upstream
    assert made.code == ("TypeError" if where == "encoder" else "KeyError")


def test_an_unknown_version_is_refused(proxy):
    answer = post(proxy, headers={"anthropic-version": "1999-01-01"})
    assert answer.status == 400
    assert answer.json["error"]["message"].startswith("anthropic-version:")


def test_answers_of_a_model_that_sends_no_message(proxy):
    proxy.upstream.script.append(encode([]))
    assert post(proxy).status == 500


@pytest.mark.parametrize("usage", [None, {}, [], {"output_tokens": 7}])
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_does_not_tell_what_it_used_is_charged_an_estimate(proxy, streamed, usage):
    told = {"type": "message_start", "message": {**MESSAGE, "content": [], "usage": usage}}
    done = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    events = [(b"message_start", encode(told)), *EVENTS[1:-2]]
    events += [(b"message_delta", encode(done)), EVENTS[-1]]
    whole = encode({**MESSAGE, "usage": usage})
    proxy.upstream.script.append([bedrock_stream(events)] if streamed else whole)
    assert post(proxy, stream=streamed).status == 200
    (record,) = proxy.records
    assert record.input_tokens > 0
    assert record.output_tokens > 0
    assert record.estimated


def test_what_comes_with_the_deadline_is_still_delivered(make_proxy):
    proxy = make_proxy(pacing=Pacing(total_seconds=0.5), monotonic=Clock())
    proxy.upstream.script.append([STREAM])
    answer = post(proxy, stream=True)
    assert answer.events[-1][0] == b"message_stop"
    assert proxy.records[0].output_tokens == 34


def test_a_request_the_model_may_have_run_is_charged_an_estimate(proxy):
    refusal = UpstreamRefusal("ModelTimeoutException", "no answer")
    refusal.sent = True
    proxy.upstream.script.append(refusal)
    assert post(proxy).status == 504
    assert proxy.records[0].input_tokens > 0
    assert proxy.records[0].estimated


def test_a_client_that_takes_nothing_is_let_go(make_proxy):
    async def main():
        proxy = make_proxy()
        client, task = await begin_stuck(proxy)
        client.connection.pass_time(ConnectionBounds().stall_seconds - 1)
        await asyncio.sleep(0)
        assert not proxy.records
        client.connection.pass_time(1)
        await task
        assert proxy.upstream.streams[0].closed
        (record,) = proxy.records
        assert record.disconnected

    asyncio.run(main())


def test_a_stopping_server_does_not_wait_for_a_client_that_takes_nothing(proxy):
    async def main():
        client, _ = await begin_stuck(proxy)
        await client.connection.server.stop(timeout_seconds=0, last_words_seconds=0)
        await asyncio.sleep(0)
        assert len(proxy.records) == 1
        assert client.connection.transport.closed

    asyncio.run(main())


def test_an_unexpected_error_in_a_stream_ends_it_with_an_error_event(proxy):
    proxy.upstream.script.append([chunk_frame(EVENTS[0][1]), RuntimeError("secret detail")])
    answer = post(proxy, stream=True)
    assert [name for name, _ in answer.events] == [b"message_start", b"error"]
    assert b"secret" not in answer.body
    assert answer.complete
    assert proxy.records[0].error == "api_error"


def test_refused_requests_leave_nothing_for_the_collector(make_proxy):
    class Refusing:
        async def call(self, call):
            raise UpstreamRefusal("ThrottlingException", "slow")

    proxy = make_proxy()
    proxy.app._observers = ()
    messages = proxy.messages
    messages._upstreams = {"default": Refusing()}
    body = {**BODY, "messages": [{"role": "user", "content": "x" * 1_000_000}]}
    post(proxy, body)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(20):
            assert post(proxy, body).status == 429
        assert tracemalloc.get_traced_memory()[0] < 5_000_000
    finally:
        tracemalloc.stop()
        gc.enable()


def test_the_last_events_and_the_end_of_a_stream_leave_in_one_write(proxy, stream):
    proxy.upstream.script.append([stream])
    client = Client(proxy.app, headers=KEY, body={**BODY, "stream": True})
    writes = []
    client.on_chunk = lambda answer: writes.append(answer.complete)
    asyncio.run(client.send())
    assert writes == [True]


SEARCH = {"type": "tool_search_tool_regex", "name": "tool_search_tool_regex"}
TOOL = {"name": "t", "input_schema": {"type": "object"}}


@pytest.mark.parametrize("tools", [[], [SEARCH, TOOL]])
@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-opus-4-1"])  # a turn on the second
def test_a_thread_is_refused_with_what_tool_runners_look_for(proxy, model, tools):
    answer = post(proxy, model=model, thread={"type": "create"}, tools=tools)
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert answer.json["error"]["details"] == {
        "error_code": "thread_unsupported_request",
        "unsupported": ["thread"],
    }
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("streams", [False, True])
def test_checks_of_tool_calls_that_the_model_lacks_are_told_in_the_answer(proxy, message, streams):
    proxy.upstream.script.append([STREAM] if streams else message)
    answer = post(proxy, stream=streams, safeguards=[{"type": "dangerous_tool_use"}])
    if streams:
        check_grammar(answer.events)
        told = fold(answer.events)
        (ending,) = [json.loads(data) for name, data in answer.events if name == b"message_delta"]
        assert ending["delta"]["safeguard_results"] == told["safeguard_results"]
    else:
        told = answer.json
    status = {"type": "unavailable", "reason": "disabled"}
    assert told["safeguard_results"] == [{"type": "dangerous_tool_use", "status": status}]
    assert answer.headers["x-proxy-warning"].startswith("safeguards: ")
    assert b"safeguards" not in proxy.upstream.calls[0].body


RESULTS = [{"type": "dangerous_tool_use", "status": {"type": "available", "tool_uses": {}}}]


def test_results_of_checks_are_relayed(proxy):
    proxy.upstream.script.append(encode({**MESSAGE, "safeguard_results": RESULTS}))
    asked = {"model": "claude-opus-5-5", "safeguards": [{"type": "dangerous_tool_use"}]}
    answer = post(proxy, headers={"anthropic-beta": "dangerous-tool-use-2026-09-03"}, **asked)
    assert answer.json["safeguard_results"] == RESULTS
    (call,) = proxy.upstream.calls
    assert json.loads(call.body)["safeguards"] == asked["safeguards"]
    assert ("anthropic-beta", "dangerous-tool-use-2026-09-03") in call.headers


@pytest.mark.parametrize(("model", "sends"), [("claude-haiku-4-5", True), ("claude-opus-5", False)])
def test_sampling_under_the_newest_version_is_left_out_where_the_operator_says_so(
    make_proxy, message, model, sends
):
    proxy = make_proxy(policy=Policy(drops_sampling=True))
    proxy.upstream.script.append(message)
    version = {"anthropic-version": "2026-10-21"}
    answer = post(proxy, headers=version, model=model, temperature=0.5)
    assert answer.status == 200
    (call,) = proxy.upstream.calls
    assert (b"temperature" in call.body) is sends
    assert ("x-proxy-warning" in answer.headers) is not sends


ENDS = "claude-opus-4-1-20250805"
ENDING = f"model: {ENDS} is retired on 2027-01-08"


@pytest.mark.parametrize("streams", [False, True])
def test_the_end_of_a_model_is_told_with_each_answer(proxy, message, streams):
    proxy.upstream.script += [[STREAM] if streams else message] * 2
    assert post(proxy, model=ENDS, stream=streams).headers["x-proxy-warning"] == ENDING
    answer = post(proxy, model="claude-haiku-4-5", stream=streams)
    assert "x-proxy-warning" not in answer.headers


def test_the_end_of_a_model_is_told_before_what_was_changed(proxy, message):
    proxy.upstream.script.append(message)
    answer = post(proxy, model=ENDS, safeguards=[{"type": "dangerous_tool_use"}])
    assert answer.headers["x-proxy-warning"].startswith(f"{ENDING}; safeguards: ")


def test_a_model_that_is_gone_names_the_day(proxy):
    refusal = UpstreamRefusal("ResourceNotFoundException", "It has reached its end.", status=404)
    proxy.upstream.script.append(refusal)
    answer = post(proxy, model=ENDS)
    assert answer.status == 404
    told = answer.json["error"]["message"]
    assert told.startswith(f"It has reached its end. ({ENDING}; ")
    assert answer.headers["x-should-retry"] == "false"
