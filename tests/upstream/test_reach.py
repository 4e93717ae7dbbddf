"""Looks at the real upstream: they cost nothing, and take nothing from requests."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import asynccontextmanager

import pytest
from fakeserver import MESSAGE, ok, serving

from anthropic_bedrock_proxy.aws.connect import Endpoint, connector
from anthropic_bedrock_proxy.aws.credentials import StaticSource
from anthropic_bedrock_proxy.aws.http import Pool, PoolOptions
from anthropic_bedrock_proxy.aws.sigv4 import Credentials
from anthropic_bedrock_proxy.aws_errors import (
    NO_WAY,
    UNREACHABLE,
    UpstreamRefusal,
    from_refusal,
    rule_for,
)
from anthropic_bedrock_proxy.upstream.base import CredentialsState, ModelCall
from anthropic_bedrock_proxy.upstream.bedrock import BedrockUpstream, RetryOptions

CALL = ModelCall(operation="invoke", bedrock_model_id="m", body=b"{}")
CODE = b"x-amzn-errortype: UnrecognizedClientException\r\n"
DENIED = b"HTTP/1.1 403 x\r\n" + CODE + b"content-length: 2\r\n\r\n{}"


@asynccontextmanager
async def upstream_on(port, *, token=None, keys=None, **options):
    endpoint = Endpoint("127.0.0.1", port, tls=False)
    upstream = BedrockUpstream(
        Pool(connector(endpoint), PoolOptions(**options)),
        endpoint,
        region="us-east-1",
        credentials=None if token else StaticSource(keys or Credentials("AKID", "secret")),
        bearer_token=token,
        options=RetryOptions(max_attempts=1),
    )
    try:
        yield upstream
    finally:
        await upstream.close()


def test_a_look_is_unsigned_and_keeps_its_connection():
    async def story():
        async with serving(ok(b"hello")) as server, upstream_on(server.port) as upstream:
            await upstream.reach()
            await upstream.reach()
            return server

    server = asyncio.run(story())
    assert server.connections == 1
    assert all(request.startswith(b"GET / HTTP/1.1\r\n") for request in server.requests)
    assert b"authorization" not in b"".join(server.requests).lower()


def test_nobody_is_there():
    async def story():
        async with upstream_on(1) as upstream:
            with pytest.raises(UpstreamRefusal) as refused:
                await upstream.reach()
            return refused.value

    refusal = asyncio.run(story())
    assert refusal.code == UNREACHABLE
    assert isinstance(refusal.__cause__.__cause__, ConnectionRefusedError)


def test_a_busy_pool_is_not_taken_for_an_endpoint_that_is_away():
    async def answer(request, writer):
        if request.startswith(b"GET"):
            writer.write(ok(b""))

    async def story():
        async with (
            serving(answer) as server,
            upstream_on(server.port, max_connections=1) as upstream,
        ):
            hanging = asyncio.create_task(upstream.call(CALL))
            while not server.requests:
                await asyncio.sleep(0)
            async with asyncio.timeout(5):
                await upstream.reach()
            hanging.cancel()
            await asyncio.gather(hanging, return_exceptions=True)

    asyncio.run(story())


@pytest.mark.parametrize("token", [None, "a-token"])
def test_keys_that_aws_refused_are_told_until_it_takes_them(token):
    replies = [DENIED, ok(MESSAGE)]

    async def answer(request, writer):
        writer.write(replies.pop(0))

    async def story():
        async with serving(answer) as server, upstream_on(server.port, token=token) as upstream:
            assert await upstream.look_at_credentials() == CredentialsState()
            with pytest.raises(UpstreamRefusal):
                await upstream.call(CALL)
            assert await upstream.look_at_credentials() == CredentialsState(refused=True)
            await upstream.call(CALL)
            assert await upstream.look_at_credentials() == CredentialsState()

    asyncio.run(story())


def test_the_end_of_keys_and_tokens_is_told():
    request = b"bedrock.amazonaws.com/?X-Amz-Date=20261129T060000Z&X-Amz-Expires=60"
    token = f"bedrock-api-key-{b64encode(request).decode()}"

    async def look(**given):
        async with upstream_on(1, **given) as upstream:
            return (await upstream.look_at_credentials()).expires_at

    assert asyncio.run(look(token=token)) == 1795932060
    assert asyncio.run(look(keys=Credentials("a", "b", "c", 5.0))) == 5.0


def test_where_there_is_no_way_a_client_need_not_try_again():
    async def story():
        endpoint = Endpoint("no-such-name.invalid", 443, tls=True)
        upstream = BedrockUpstream(
            Pool(connector(endpoint)),
            endpoint,
            region="us-east-1",
            credentials=StaticSource(Credentials("AKID", "secret")),
            bearer_token=None,
            options=RetryOptions(max_attempts=1),
        )
        with pytest.raises(UpstreamRefusal) as refused:
            await upstream.call(CALL)
        await upstream.close()
        return from_refusal(refused.value)

    error = asyncio.run(story())
    assert (error.status, error.type, error.should_retry) == (503, "api_error", False)
    assert "DNS failed" in error.message
    assert "no-such-name" not in error.message
    passing = from_refusal(UpstreamRefusal(UNREACHABLE, "The connection failed."))
    assert (passing.status, passing.retry_after) == (503, 1.0)
    assert rule_for(UpstreamRefusal(NO_WAY, "")).retryable, "another target may have one"
