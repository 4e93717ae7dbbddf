"""Attempts, deadlines and refusals of the real upstream, against a scripted server."""

from __future__ import annotations

import asyncio
import calendar
import gc
import re
import time
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate

import pytest
from fakeserver import MESSAGE, chunked, ok, serving, until
from msgspec import structs
from sources import FetchedSource
from streams import EVENTS, STREAM, chunk_frame, exception_frame

from anthropic_bedrock_proxy.aws.connect import Endpoint, connector
from anthropic_bedrock_proxy.aws.credentials import (
    CredentialsError,
    StaticSource,
)
from anthropic_bedrock_proxy.aws.http import Pool
from anthropic_bedrock_proxy.aws.sigv4 import Credentials
from anthropic_bedrock_proxy.aws_errors import NOT_AN_ANSWER, UpstreamRefusal, from_refusal
from anthropic_bedrock_proxy.protocol.aws.eventstream import encode_frame
from anthropic_bedrock_proxy.protocol.native.answer import InvokeStream
from anthropic_bedrock_proxy.timeline import OK, Timeline
from anthropic_bedrock_proxy.upstream.base import ModelCall
from anthropic_bedrock_proxy.upstream.bedrock import BedrockUpstream, RetryOptions
from anthropic_bedrock_proxy.upstream.refusals import refusal_from_http, refusal_in_answer

CALL = ModelCall(operation="invoke", bedrock_model_id="arn:aws:x/y:z", body=b'{"a":1}')
KEYS = Credentials("AKID", "secret")
LONG = 5.0


def new_call():
    """Returns a call with a timeline of its own."""
    return structs.replace(CALL, timeline=Timeline())


def refused(status, code, message="no", extra=b""):
    body = b'{"message":"%b"}' % message.encode()
    head = b"HTTP/1.1 %d x\r\nx-amzn-errortype: %b:http://internal\r\n%bcontent-length: %d\r\n\r\n"
    return head % (status, code.encode(), extra, len(body)) + body


def script(*steps):
    """An answer per request, the last one for ever."""
    left = list(steps)

    async def answer(request, writer):
        step = left.pop(0) if len(left) > 1 else left[0]
        if step is None:
            return True
        writer.write(step)
        return None

    return answer


@asynccontextmanager
async def upstream_on(
    answer, *, credentials=None, token=None, waits=None, now=time.time, **options
):
    waits = [] if waits is None else waits

    async def sleep(seconds):
        waits.append(seconds)

    async with serving(answer) as server:
        endpoint = Endpoint("127.0.0.1", server.port, tls=False, path="/prefix")
        upstream = BedrockUpstream(
            Pool(connector(endpoint)),
            endpoint,
            region="us-east-1",
            credentials=credentials or StaticSource(KEYS),
            bearer_token=token,
            options=RetryOptions(**options),
            sleep=sleep,
            jitter=lambda: 1.0,
            now=now,
        )
        try:
            yield upstream, server
        finally:
            await upstream.close()


def test_the_request_on_the_wire():
    async def main():
        async with upstream_on(ok(MESSAGE)) as (upstream, server):
            answer = await upstream.call(CALL)
            assert answer.body == MESSAGE
            head, body = server.requests[0].split(b"\r\n\r\n")
            assert head.startswith(b"POST /prefix/model/arn%3Aaws%3Ax%2Fy%3Az/invoke HTTP/1.1\r\n")
            assert b"authorization: AWS4-HMAC-SHA256 Credential=AKID/" in head
            assert b"host: 127.0.0.1:%d\r\n" % server.port in head
            assert body == CALL.body

    asyncio.run(main())


def test_bearer_tokens_and_extra_headers():
    async def main():
        call = ModelCall(
            operation="converse-stream",
            bedrock_model_id="m",
            body=b"{}",
            headers=(("x-amzn-bedrock-trace", "ENABLED"),),
        )
        async with upstream_on(ok(MESSAGE), token="tok") as (upstream, server):
            await upstream.call(call)
            assert b"authorization: Bearer tok\r\n" in server.requests[0]
            assert b"x-amzn-bedrock-trace: ENABLED\r\n" in server.requests[0]
            assert b"x-amzn-bedrock-accept: application/json\r\n" in server.requests[0]

    asyncio.run(main())


def test_the_upstream_s_request_id_is_kept():
    async def main():
        async with upstream_on(ok(MESSAGE, b"x-amzn-RequestId: abc\r\n")) as (upstream, _):
            assert (await upstream.call(CALL)).upstream_request_id == "abc"

    asyncio.run(main())


def test_an_id_that_is_no_text_is_none():
    """It goes into our own headers as it is."""

    async def main():
        for strange in (b"\xe9", b"a\tb", b""):
            async with upstream_on(ok(MESSAGE, b"x-amzn-requestid: %b\r\n" % strange)) as (it, _):
                assert (await it.call(CALL)).upstream_request_id is None

    asyncio.run(main())


@pytest.mark.parametrize(
    "trouble",
    [
        refused(429, "ThrottlingException"),
        refused(503, "ServiceUnavailableException"),
        refused(500, "InternalServerException"),
        refused(424, "ModelErrorException"),
        refused(429, "ModelNotReadyException"),
        refused(502, "Unheard"),
        None,
    ],
    ids=["throttled", "unavailable", "internal", "model", "not ready", "bad gateway", "cut"],
)
def test_tried_again_before_the_first_byte(trouble):
    async def main():
        waits = []
        async with upstream_on(script(trouble, trouble, ok(MESSAGE)), waits=waits) as (up, server):
            assert (await up.call(CALL)).body == MESSAGE
            assert len(server.requests) == 3
            assert waits == [0.5, 1.0]  # full jitter at its ceiling, doubling

    asyncio.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        refused(400, "ValidationException"),
        refused(403, "AccessDeniedException"),
        refused(404, "ResourceNotFoundException"),
        refused(400, "ServiceQuotaExceededException"),
        refused(403, "InvalidSignatureException"),
    ],
)
def test_never_tried_again(answer):
    async def main():
        async with upstream_on(answer) as (upstream, server):
            with pytest.raises(UpstreamRefusal):
                await upstream.call(CALL)
            assert len(server.requests) == 1

    asyncio.run(main())


def test_attempts_are_bounded_in_number_and_time():
    async def main():
        throttled = refused(429, "ThrottlingException")
        async with upstream_on(throttled, max_attempts=3) as (upstream, server):
            with pytest.raises(UpstreamRefusal, match="ThrottlingException"):
                await upstream.call(CALL)
            assert len(server.requests) == 3
        async with upstream_on(throttled, retry_seconds=0.1) as (upstream, server):
            with pytest.raises(UpstreamRefusal):
                await upstream.call(CALL)
            assert len(server.requests) == 1

    asyncio.run(main())


@pytest.mark.parametrize("end", ["cut", "silence"])
def test_a_whole_answer_that_had_begun_is_not_asked_for_again(end):
    async def main():
        async def half(request, writer):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
            await writer.drain()
            return end == "cut"

        async with upstream_on(half, idle_seconds=0.02) as (upstream, server):
            with pytest.raises(UpstreamRefusal) as refusal:
                await upstream.call(CALL)
            assert len(server.requests) == 1
            assert refusal.value.sent

    asyncio.run(main())


@pytest.mark.parametrize(
    ("steps", "sent"),
    [
        ([refused(400, "ValidationException")], False),
        ([refused(429, "ThrottlingException")], False),
        ([b"HTTP/1.1 503 x\r\ncontent-length: 9\r\n\r\nab"], False),
        ([None], True),
        ([None, refused(400, "ValidationException")], True),  # the first attempt may be billed
    ],
    ids=["refused", "throttled", "refusal cut", "cut", "cut, then refused"],
)
def test_refusals_tell_whether_the_model_may_have_run(steps, sent):
    async def main():
        options = {"max_attempts": 2, "idle_seconds": 0.01}
        async with upstream_on(script(*steps), **options) as (upstream, _):
            with pytest.raises(UpstreamRefusal) as refusal:
                await upstream.call(CALL)
            assert refusal.value.sent == sent

    asyncio.run(main())


def test_nothing_was_sent_without_a_connection_or_time():
    async def main():
        async with upstream_on(ok(MESSAGE), total_seconds=0.0, max_attempts=2) as (
            upstream,
            server,
        ):
            call = new_call()
            with pytest.raises(UpstreamRefusal, match="TooLate") as late:
                await upstream.call(call)
            assert not server.requests
            assert not late.value.sent
            assert {made.sent for made in call.timeline.upstream} == {0.0}

        async def never(factory):
            await asyncio.Event().wait()

        endpoint = Endpoint("127.0.0.1", 1, tls=False)
        upstream = BedrockUpstream(
            Pool(never),
            endpoint,
            region="us-east-1",
            credentials=StaticSource(KEYS),
            options=RetryOptions(first_byte_seconds=0.01, max_attempts=1),
        )
        with pytest.raises(UpstreamRefusal, match="TooLate") as unsent:
            await upstream.call(CALL)
        assert not unsent.value.sent
        await upstream.close()

    asyncio.run(main())


def test_retry_after_of_aws_is_obeyed():
    async def main():
        waits = []
        throttled = refused(429, "ThrottlingException", extra=b"retry-after: 7\r\n")
        async with upstream_on(script(throttled, ok(MESSAGE)), waits=waits) as (upstream, _):
            await upstream.call(CALL)
            assert waits == [7.0]

    asyncio.run(main())


def test_expired_keys_are_fetched_anew():
    async def main():
        fetched = []

        async def fetch():
            fetched.append(1)
            return Credentials(f"KEY{len(fetched)}", "s")

        answer = script(refused(403, "ExpiredTokenException"), ok(MESSAGE))
        source = FetchedSource(fetch)
        async with upstream_on(answer, credentials=source) as (upstream, server):
            await upstream.call(CALL)
            assert b"Credential=KEY1/" in server.requests[0]
            assert b"Credential=KEY2/" in server.requests[1]

    asyncio.run(main())


def test_no_credentials_is_the_operator_s_problem_not_the_client_s():
    async def main():
        async def fetch():
            raise CredentialsError("nothing found")

        async with upstream_on(ok(MESSAGE), credentials=FetchedSource(fetch)) as (upstream, server):
            with pytest.raises(UpstreamRefusal, match="NoCredentials"):
                await upstream.call(CALL)
            assert not server.requests

    asyncio.run(main())


def test_credentials_that_do_not_come_are_not_waited_for_longer_than_the_answer():
    async def main():
        release = asyncio.Event()

        async def fetch():
            await release.wait()
            return KEYS

        options = {"credentials": FetchedSource(fetch), "first_byte_seconds": 0.01}
        async with upstream_on(ok(MESSAGE), **options) as (upstream, server):
            with pytest.raises(UpstreamRefusal, match="did not come in time") as refusal:
                await asyncio.wait_for(upstream.call(CALL), LONG)
            assert refusal.value.code == "NoCredentials"
            assert not refusal.value.sent
            assert not server.requests
            release.set()
            await asyncio.sleep(0)

    asyncio.run(main())


def test_no_credentials_at_all():
    async def main():
        upstream = BedrockUpstream(
            Pool(connector(Endpoint("127.0.0.1", 1, tls=False))),
            Endpoint("127.0.0.1", 1, tls=False),
            region="us-east-1",
            credentials=None,
        )
        with pytest.raises(UpstreamRefusal, match="no AWS credentials"):
            await upstream.call(CALL)
        await upstream.close()

    asyncio.run(main())


async def read_all(stream):
    events = []
    while (more := await stream.read(LONG)) is not None:
        events += more
    return events


def decoder():
    return InvokeStream("claude-haiku-4-5-20251001")


def test_a_stream_s_connection_is_used_again():
    async def main():
        async with upstream_on(chunked(STREAM)) as (upstream, server):
            for _ in range(2):
                stream = await upstream.stream(CALL, decoder)
                assert [name for name, _ in await read_all(stream)] == [n for n, _ in EVENTS]
                stream.close()
                await until(lambda: len(upstream._pool._free) == 1)
            assert server.connections == 1

    asyncio.run(main())


def test_a_stream_that_begins_with_an_exception_is_tried_again():
    async def main():
        throttled = chunked(exception_frame("throttlingException", "slow"))
        async with upstream_on(script(throttled, chunked(STREAM))) as (upstream, server):
            call = new_call()
            stream = await upstream.stream(call, decoder)
            assert len(await read_all(stream)) == len(EVENTS)
            assert len(server.requests) == 2
            stream.close()
            refusing, answering = call.timeline.upstream
            assert (refusing.code, refusing.first) == ("ThrottlingException", 0.0)
            assert answering.code == OK
            assert answering.sent < answering.first < answering.ended

    asyncio.run(main())


@pytest.mark.parametrize("how", ["keys", "decoder", "left"])
def test_a_try_that_no_refusal_ended_is_noted_as_what_it_is(how):
    class Broken:
        failure = None
        finished = False

        def receive(self, _):
            raise KeyError("a fault of ours")

    class Keys(StaticSource):
        current = None

        async def get(self):
            raise KeyError("a fault of ours")

    async def main():
        call = new_call()
        credentials = Keys(KEYS) if how == "keys" else None

        async def silent(request, writer):
            await asyncio.Event().wait()

        answer = silent if how == "left" else chunked(STREAM)
        async with upstream_on(answer, credentials=credentials) as (upstream, server):
            calling = asyncio.ensure_future(upstream.stream(call, Broken))
            if how == "left":
                await until(lambda: server.requests)
                calling.cancel()
            with pytest.raises(asyncio.CancelledError if how == "left" else KeyError):
                await calling
        (made,) = call.timeline.upstream
        assert made.code == ("cancelled" if how == "left" else "KeyError")
        assert made.ended

    asyncio.run(main())


def test_the_head_of_a_whole_answer_is_noted():
    async def main():
        call = new_call()
        async with upstream_on(ok(MESSAGE)) as (upstream, _):
            await upstream.call(call)
        (made,) = call.timeline.upstream
        assert made.sent < made.first < made.ended

    asyncio.run(main())


def test_a_stream_that_breaks_later_is_not():
    async def main():
        broken = chunk_frame(EVENTS[0][1]) + exception_frame("throttlingException", "slow")
        async with upstream_on(chunked(broken)) as (upstream, server):
            stream = await upstream.stream(CALL, decoder)
            assert len(await stream.read(LONG)) == 1
            with pytest.raises(UpstreamRefusal, match="ThrottlingException"):
                await stream.read(LONG)
            stream.close()
            assert len(server.requests) == 1

    asyncio.run(main())


@pytest.mark.parametrize("end", [True, False], ids=["clean HTTP end", "connection cut"])
def test_a_cut_stream_is_a_refusal(end):
    async def main():
        async def cut(request, writer):
            writer.write(chunked(STREAM[:-10], end=end))
            await writer.drain()
            return not end

        async with upstream_on(cut, max_attempts=1) as (upstream, _):
            stream = await upstream.stream(CALL, decoder)
            with pytest.raises(UpstreamRefusal):
                await read_all(stream)
            stream.close()

    asyncio.run(main())


def test_a_connection_cut_after_the_last_event_does_not_matter():
    async def main():
        async def cut(request, writer):
            writer.write(chunked(STREAM, end=False))
            await writer.drain()
            return True

        async with upstream_on(cut) as (upstream, _):
            stream = await upstream.stream(CALL, decoder)
            assert len(await read_all(stream)) == len(EVENTS)
            stream.close()

    asyncio.run(main())


def test_no_event_in_time():
    async def main():
        head = chunked(end=False)

        async def silent(request, writer):
            writer.write(head)

        options = {"first_byte_seconds": 0.02, "max_attempts": 1}
        async with upstream_on(silent, **options) as (upstream, _):
            with pytest.raises(UpstreamRefusal, match="TooLate"):
                await upstream.stream(CALL, decoder)
            await until(lambda: not upstream._pool._open)

    asyncio.run(main())


def dripping(first, drop):
    """A stream that begins with `first` and goes on with `drop` for ever, one every 2 ms."""

    async def answer(request, writer):
        writer.write(chunked(first, end=False))
        while not writer.is_closing():
            writer.write(b"%x\r\n%b\r\n" % (len(drop), drop))
            await asyncio.sleep(0.002)
        return True

    return answer


FUTURE = encode_frame({":message-type": "event", ":event-type": "future"}, b"{}")


def test_bytes_without_an_event_do_not_prolong_the_wait_for_the_first():
    async def main():
        options = {"first_byte_seconds": 0.03, "max_attempts": 1}
        async with upstream_on(dripping(FUTURE, FUTURE), **options) as (upstream, _):
            with pytest.raises(UpstreamRefusal, match="TooLate") as refusal:
                await asyncio.wait_for(upstream.stream(CALL, decoder), LONG)
            assert refusal.value.sent
            await until(lambda: not upstream._pool._open)

    asyncio.run(main())


def test_bytes_without_an_event_do_not_hold_back_pings():
    async def main():
        slow = dripping(chunk_frame(EVENTS[0][1]), FUTURE)
        async with upstream_on(slow) as (upstream, _):
            stream = await upstream.stream(CALL, decoder)
            assert len(await stream.read(LONG)) == 1
            assert await asyncio.wait_for(stream.read(0.02), LONG) == []
            await until(lambda: stream._response._connection._chunks)
            assert await stream.read(0.0) == []  # something came, but no event
            stream.close()

    asyncio.run(main())


@pytest.mark.parametrize("begun", [True, False], ids=["in the body", "before the headers"])
def test_the_total_deadline_ends_a_call(begun):
    async def main():
        async def slow(request, writer):
            if begun:
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")

        options = {"total_seconds": 0.05, "max_attempts": 1}
        async with upstream_on(slow, **options) as (upstream, _):
            with pytest.raises(UpstreamRefusal, match="TooLate"):
                await upstream.call(CALL)
            await until(lambda: not upstream._pool._open)

    asyncio.run(main())


def test_no_headers_in_time():
    async def main():
        async def silent(request, writer):
            return None

        options = {"first_byte_seconds": 0.02, "max_attempts": 1}
        async with upstream_on(silent, **options) as (upstream, _):
            with pytest.raises(UpstreamRefusal, match="TooLate"):
                await upstream.call(CALL)

    asyncio.run(main())


@pytest.mark.parametrize("status", [b"200 OK", b"400 x"])
def test_a_body_that_stops_or_is_cut(status):
    async def main():
        async def half(request, writer):
            writer.write(b"HTTP/1.1 %b\r\ncontent-length: 10\r\n\r\nabc" % status)
            await writer.drain()
            return True

        async with upstream_on(half, max_attempts=1) as (upstream, _):
            with pytest.raises(UpstreamRefusal, match="Unreachable"):
                await upstream.call(CALL)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "headers", "body", "code", "message"),
    [
        (400, {b"x-amzn-errortype": b"ValidationException:x"}, b'{"message":"m"}',
         "ValidationException", "m"),
        (400, {}, b'{"__type":"com.amazon#ThrottlingException","Message":"m"}',
         "ThrottlingException", "m"),
        (529, {}, b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}',
         "overloaded_error", "m"),
        (424, {b"x-amzn-errortype": b"ModelErrorException"},
         b'{"message":"m","originalStatusCode":400}', "ValidationException", "m"),
        (424, {b"x-amzn-errortype": b"ModelErrorException"},
         b'{"message":"m","originalStatusCode":429}', "ThrottlingException", "m"),
        (424, {b"x-amzn-errortype": b"ModelErrorException"},
         b'{"message":"m","originalStatusCode":503}', "ModelErrorException", "m"),
        (502, {}, b"<html>", "HTTP502", ""),
        (500, {}, b"[]", "HTTP500", ""),
    ],
)  # fmt: skip
def test_what_aws_meant(status, headers, body, code, message):
    refusal = refusal_from_http(status, headers, body)
    assert (refusal.code, refusal.message, refusal.status) == (code, message, status)


@pytest.mark.parametrize("status", [101, 204, 304, 400, 429, 503, 999])
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"[" * 100_000),
        ({}, b'{"message":' + b"9" * 6000 + b"}"),
        ({}, b'{"error":{"type":5,"message":[]}}'),
        ({}, b'{"message":"\xff"}'),
        ({b"x-amzn-errortype": b"\xff\xfe:" * 100}, b""),
        ({b"retry-after": b"9" * 400}, b"{}"),
        ({b"retry-after": b"1e999"}, b"{}"),
        ({b"retry-after": b"-5"}, b"{}"),
        ({b"retry-after": "٣".encode()}, b"{}"),
    ],
)
def test_an_odd_refusal_is_a_refusal(status, headers, body):
    error = from_refusal(refusal_from_http(status, headers, body))
    assert error.status >= 400
    assert (error.retry_after or 5) <= 5


def test_what_aws_asks_to_wait_is_passed_on():
    refusal = refusal_from_http(429, {b"retry-after": b"86400"}, b"{}")
    assert from_refusal(refusal).retry_after == 86400


def test_paths_are_remembered_but_not_for_ever():
    async def main():
        async with upstream_on(ok(MESSAGE)) as (upstream, _):
            for number in range(1100):
                upstream._path(
                    ModelCall(operation="invoke", bedrock_model_id=str(number), body=b"")
                )
            assert len(upstream._paths) <= 1024

    asyncio.run(main())


class Tracked(bytes):
    """A request's body that notes its end."""

    freed = 0

    def __del__(self):
        type(self).freed += 1


async def one_attempt(upstream, how):
    call = ModelCall(operation="invoke", bedrock_model_id="m", body=Tracked(b"{}"))
    with suppress(UpstreamRefusal):
        if how == "call":
            await upstream.call(call)
        else:
            stream = await upstream.stream(call, decoder)
            try:
                await read_all(stream)
            finally:
                stream.close()


BEGIN = chunk_frame(EVENTS[0][1])


@pytest.mark.parametrize(
    ("how", "step"),
    [
        ("call", refused(400, "ValidationException")),
        ("call", refused(429, "ThrottlingException")),
        ("call", refused(403, "ExpiredTokenException")),
        ("call", None),
        ("call", b"SSH-2.0 hello\r\n\r\n"),
        ("call", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"),
        ("call", b""),
        ("stream", refused(400, "ValidationException")),
        ("stream", chunked(exception_frame("throttlingException", "slow"))),
        ("stream", chunked(BEGIN + exception_frame("throttlingException", "slow"))),
        ("stream", chunked(BEGIN)),
        ("stream", chunked(BEGIN, end=False)),
        ("stream", chunked(BEGIN + b"x" * 20)),
        ("stream", chunked(chunk_frame(b'{"type":"ping"}') + b"x" * 20)),
    ],
    ids=[
        "refused", "throttled", "keys refused", "cut", "not HTTP", "silence in the body", "silence",
        "stream refused", "stream begins with an exception", "stream breaks", "stream ends early",
        "stream is cut", "stream is corrupt", "stream begins corrupt",
    ],
)  # fmt: skip
def test_a_failed_request_s_body_is_freed_without_the_collector(how, step):
    async def cut(request, writer):
        if step:
            writer.write(step)
            await writer.drain()
        return step is None or step == chunked(BEGIN, end=False)

    async def main():
        options = {"first_byte_seconds": 0.02, "idle_seconds": 0.02, "max_attempts": 2}
        async with upstream_on(cut, **options) as (upstream, server):
            Tracked.freed = 0
            await one_attempt(upstream, how)
            await asyncio.sleep(0)  # the last callbacks
            assert server.requests
            return Tracked.freed

    gc.disable()
    try:
        assert asyncio.run(main()) == 1
    finally:
        gc.enable()


def test_a_body_is_freed_when_nobody_listens():
    async def main():
        async with upstream_on(ok(MESSAGE), max_attempts=2) as (_, server):
            port = server.port
        endpoint = Endpoint("127.0.0.1", port, tls=False)
        upstream = BedrockUpstream(
            Pool(connector(endpoint)),
            endpoint,
            region="us-east-1",
            credentials=StaticSource(KEYS),
            options=RetryOptions(max_attempts=1),
        )
        Tracked.freed = 0
        await one_attempt(upstream, "call")
        await asyncio.sleep(0)
        await upstream.close()
        return Tracked.freed

    gc.disable()
    try:
        assert asyncio.run(main()) == 1
    finally:
        gc.enable()


def test_a_broken_stream_stays_broken():
    async def main():
        broken = chunked(BEGIN + exception_frame("throttlingException", "slow"))
        async with upstream_on(broken) as (upstream, _):
            stream = await upstream.stream(CALL, decoder)
            await stream.read(LONG)
            for _ in range(2):
                with pytest.raises(UpstreamRefusal, match="ThrottlingException: slow"):
                    await stream.read(LONG)
            stream.close()

    asyncio.run(main())


def dated(answer, at):
    """An answer with AWS's time in it."""
    head, _, rest = answer.partition(b"\r\n")
    return head + b"\r\ndate: " + formatdate(at, usegmt=True).encode() + b"\r\n" + rest


@pytest.mark.parametrize("code", ["InvalidSignatureException", "RequestTimeTooSkewed"])
def test_a_signature_of_another_time_is_made_again_by_the_time_of_aws(code):
    async def run():
        now = time.time()
        late = dated(refused(403, code, "Signature expired"), now)
        async with upstream_on(script(late, ok(MESSAGE)), now=lambda: now - 900) as (
            upstream,
            server,
        ):
            await upstream.call(CALL)
            await upstream.call(CALL)
            return now, [
                calendar.timegm(time.strptime(stamp.decode(), "%Y%m%dT%H%M%SZ"))
                for request in server.requests
                for stamp in re.findall(rb"x-amz-date: (\S+)", request)
            ]

    now, (first, *others) = asyncio.run(run())
    assert abs(first - now + 900) < 3
    assert len(others) == 2
    assert all(abs(other - now) < 3 for other in others)


def test_a_signature_that_is_wrong_at_the_right_time_is_not_sent_again():
    async def run():
        wrong = dated(refused(403, "InvalidSignatureException"), time.time())
        async with upstream_on(script(wrong)) as (upstream, server):
            with pytest.raises(UpstreamRefusal):
                await upstream.call(CALL)
            assert len(server.requests) == 1

    asyncio.run(run())


def test_a_clock_that_is_off_is_told_though_nothing_is_refused(caplog):
    async def run():
        now = time.time()
        answer = dated(ok(MESSAGE), now)
        async with upstream_on(script(answer), now=lambda: now - 90) as (upstream, _):
            for _ in range(3):
                await upstream.call(CALL)

    asyncio.run(run())
    (told,) = [r.getMessage() for r in caplog.records if r.name.endswith(".clock")]
    assert "90 s behind that of AWS (bedrock in us-east-1)" in told


OVERLOADED = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
NOT_AN_ANSWER_AT_ALL = [
    b"{}",
    b"null",
    b"[]",
    b"<html>",
    b"",
    b'{"message":"no"}',
    b'{"type":"error"}',
    b'{"Output":{},"Version":"1.0"}',
]
UNKNOWN_OPERATION = (
    b'{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}'
)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (OVERLOADED, "overloaded_error"),
        (UNKNOWN_OPERATION, "UnknownOperationException"),
        *((body, NOT_AN_ANSWER) for body in NOT_AN_ANSWER_AT_ALL),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_a_200_that_is_no_answer_is_a_refusal(body, code, streams, caplog):
    async def main():
        answer = ok(body, b"content-type: application/json\r\n")
        async with upstream_on(answer, max_attempts=1) as (upstream, _):
            if streams:
                return await upstream.stream(new_call(), lambda: InvokeStream("m"))
            return await upstream.call(CALL)

    with pytest.raises(UpstreamRefusal) as refused_:
        asyncio.run(main())
    assert refused_.value.code == code
    if code == "UnknownOperationException":
        assert f"{code}: an object with Output, Version" in caplog.text, "AWS's word is in the log"


def test_of_what_is_no_answer_no_text_is_logged(caplog):
    assert refusal_in_answer(b'{"completion":"what was said","sk-abcdef123456":1}') is not None
    assert refusal_in_answer(b"what was said") is not None
    assert "an object with completion, sk-(hidden)" in caplog.text
    assert "13 bytes" in caplog.text
    assert "what was said" not in caplog.text


def test_of_what_is_no_answer_aws_words_are_logged(caplog):
    words = b'{"message":"No such host in account 123456789012"}'
    refusal = refusal_in_answer(words)
    assert refusal is not None
    assert refusal.code == NOT_AN_ANSWER
    assert "HTTP200: No such host in account (account)" in caplog.text


@pytest.mark.parametrize(
    "body", [MESSAGE, b'{"output":{"message":{}}}', b'{"inputTokens":1}', b'{"input_tokens":1}']
)
def test_whatever_may_be_an_answer_is_one(body):
    assert refusal_in_answer(body) is None


def test_an_envelope_that_comes_with_200_is_tried_again_as_any_other():
    async def main():
        waits = []
        async with upstream_on(script(ok(OVERLOADED), ok(MESSAGE)), waits=waits) as (upstream, _):
            return (await upstream.call(CALL)).body, len(waits)

    assert asyncio.run(main()) == (MESSAGE, 1)
