"""One suite for every implementation of the Upstream seam."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from fakeserver import MESSAGE as ANSWER
from fakeserver import chunked, ok, serving
from streams import EVENTS, MESSAGE, STREAM, chunk_frame, exception_frame

from anthropic_bedrock_proxy.aws.connect import Endpoint, connector
from anthropic_bedrock_proxy.aws.http import Pool
from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.protocol.answer.events import fold
from anthropic_bedrock_proxy.protocol.native.answer import InvokeStream
from anthropic_bedrock_proxy.timeline import Timeline
from anthropic_bedrock_proxy.upstream.base import CredentialsState, ModelCall
from anthropic_bedrock_proxy.upstream.bedrock import BedrockUpstream, RetryOptions
from anthropic_bedrock_proxy.upstream.fake import FakeUpstream

CALL = ModelCall(operation="invoke", bedrock_model_id="m", body=b"{}")


def new_call():
    """A call with a timeline of its own."""
    return ModelCall(operation="invoke", bedrock_model_id="m", body=b"{}", timeline=Timeline())


@asynccontextmanager
async def fake(answer):
    yield FakeUpstream([answer])


@asynccontextmanager
async def bedrock(answer):
    if isinstance(answer, UpstreamRefusal):
        body = b'{"message":"%b"}' % answer.message.encode()
        head = b"HTTP/1.1 400 x\r\nx-amzn-errortype: %b\r\ncontent-length: %d\r\n\r\n"
        wire = head % (answer.code.encode(), len(body)) + body
    elif isinstance(answer, list):
        wire = chunked(*answer)
    else:
        wire = ok(answer, b"x-amzn-requestid: fake-request\r\n")
    async with serving(wire) as server:
        endpoint = Endpoint("127.0.0.1", server.port, tls=False)
        upstream = BedrockUpstream(
            Pool(connector(endpoint)),
            endpoint,
            region="us-east-1",
            credentials=None,
            bearer_token="t",
            options=RetryOptions(max_attempts=1),
        )
        yield upstream
        await upstream.close()


@pytest.fixture(params=[fake, bedrock], ids=lambda make: make.__name__)
def with_answer(request):
    def run(answer, work):
        async def main():
            async with request.param(answer) as upstream:
                return await work(upstream)

        return asyncio.run(main())

    return run


def decoder():
    return InvokeStream(MESSAGE["model"])


async def read_all(stream):
    events = []
    while (more := await stream.read(5)) is not None:
        events += more
    return events


def test_a_whole_answer(with_answer):
    async def work(upstream):
        return await upstream.call(CALL)

    answer = with_answer(ANSWER, work)
    assert (answer.body, answer.upstream_request_id) == (ANSWER, "fake-request")


def test_whatever_is_answered_the_endpoint_is_there(with_answer):
    async def work(upstream):
        await upstream.reach()

    with_answer(UpstreamRefusal("UnknownOperationException", "no"), work)


def test_credentials_that_never_expire_are_there(with_answer):
    async def work(upstream):
        return await upstream.look_at_credentials()

    assert with_answer(b"", work) == CredentialsState()


def test_a_refusal(with_answer):
    async def work(upstream):
        with pytest.raises(UpstreamRefusal) as refused:
            await upstream.call(CALL)
        return refused.value

    refusal = with_answer(UpstreamRefusal("ValidationException", "bad"), work)
    assert (refusal.code, refusal.message) == ("ValidationException", "bad")


def test_a_stream(with_answer):
    async def work(upstream):
        stream = await upstream.stream(CALL, decoder)
        events = await read_all(stream)
        assert await stream.read(5) is None
        stream.close()
        stream.close()
        return events

    assert fold(with_answer([STREAM[:50], STREAM[50:]], work)) == MESSAGE


def test_a_stream_that_is_refused_before_its_first_event(with_answer):
    async def work(upstream):
        with pytest.raises(UpstreamRefusal, match="ValidationException"):
            await upstream.stream(CALL, decoder)

    with_answer([exception_frame("validationException", "bad")], work)


def test_a_stream_that_breaks_gives_its_events_first(with_answer):
    async def work(upstream):
        stream = await upstream.stream(CALL, decoder)
        assert [name for name, _ in await stream.read(5)] == [EVENTS[0][0]]
        with pytest.raises(UpstreamRefusal, match="ThrottlingException"):
            await stream.read(5)
        stream.close()

    broken = chunk_frame(EVENTS[0][1]) + exception_frame("throttlingException", "slow")
    with_answer([broken], work)


def test_an_empty_stream_is_a_refusal(with_answer):
    async def work(upstream):
        with pytest.raises(UpstreamRefusal):
            await upstream.stream(CALL, decoder)

    with_answer([chunk_frame(b'{"type":"ping"}')], work)


def noted(call):
    (made,) = call.timeline.upstream
    assert (made.provider, made.bedrock_model_id, made.operation, made.step) == (
        "default",
        "m",
        "invoke",
        1,
    )
    assert 0 < made.began <= made.sent <= made.ended
    return made


def test_a_whole_answer_is_noted_with_its_end_and_its_id(with_answer):
    call = new_call()

    async def work(upstream):
        await upstream.call(call)

    with_answer(ANSWER, work)
    made = noted(call)
    assert (made.code, made.upstream_request_id) == ("ok", "fake-request")
    assert made.sent <= made.first <= made.ended


def test_a_refusal_is_noted_with_its_code(with_answer):
    call = new_call()

    async def work(upstream):
        with pytest.raises(UpstreamRefusal):
            await upstream.call(call)

    with_answer(UpstreamRefusal("ValidationException", "bad"), work)
    assert noted(call).code == "ValidationException"


def test_a_stream_is_noted_with_its_first_event_and_its_end(with_answer):
    call = new_call()

    async def work(upstream):
        stream = await upstream.stream(call, decoder)
        (made,) = call.timeline.upstream
        assert made.first
        assert not made.ended
        await read_all(stream)
        stream.close()

    with_answer([STREAM[:50], STREAM[50:]], work)
    assert noted(call).code == "ok"


@pytest.mark.parametrize("breaks", [True, False], ids=["broken", "left"])
def test_a_stream_that_does_not_come_to_its_end_is_noted_with_why(with_answer, breaks):
    call = new_call()

    async def work(upstream):
        stream = await upstream.stream(call, decoder)
        await stream.read(5)
        if breaks:
            with pytest.raises(UpstreamRefusal):
                await stream.read(5)
        stream.close()

    broken = chunk_frame(EVENTS[0][1]) + exception_frame("throttlingException", "slow")
    with_answer([broken if breaks else chunk_frame(EVENTS[0][1])], work)
    assert noted(call).code == ("ThrottlingException" if breaks else "cancelled")
