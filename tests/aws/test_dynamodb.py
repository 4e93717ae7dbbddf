"""The client of DynamoDB against a scripted server."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from fakeserver import ok, serving
from sources import FetchedSource

from anthropic_bedrock_proxy.aws.connect import Endpoint, connector
from anthropic_bedrock_proxy.aws.credentials import CredentialsError, StaticSource
from anthropic_bedrock_proxy.aws.dynamodb import DynamoDB, DynamoDBError
from anthropic_bedrock_proxy.aws.http import Pool
from anthropic_bedrock_proxy.aws.sigv4 import Credentials

KEYS = Credentials("AKID", "secret", "token")


def refused(code: str, message: str = "no", status: int = 400) -> bytes:
    document = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
    body = json.dumps(document).encode()
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


class Story:
    """A server that gives these answers one after the other, and a client with a clock."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.requests: list[bytes] = []
        self.slept: list[float] = []
        self.credentials = StaticSource(KEYS)
        self.wait_seconds = 5.0

    async def _answer(self, _, writer):
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        writer.write(answer)
        return not answer  # nothing: the connection is cut

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def call(self, operation: str = "GetItem", **request):
        async with serving(self._answer) as server:
            self.requests = server.requests
            endpoint = Endpoint.from_url(f"http://127.0.0.1:{server.port}")
            client = DynamoDB(
                Pool(connector(endpoint)),
                endpoint,
                region="eu-west-1",
                credentials=self.credentials,
                wait_seconds=self.wait_seconds,
                sleep=self._sleep,
                clock=lambda: sum(self.slept),
            )
            try:
                return await client.call(operation, request)
            finally:
                await client.close()


def test_an_operation_is_one_signed_post():
    story = Story(ok(b'{"Item":{}}'))
    assert asyncio.run(story.call(TableName="t")) == {"Item": {}}
    (request,) = story.requests
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert head.startswith(b"POST / HTTP/1.1\r\n")
    assert headers["x-amz-target"] == "DynamoDB_20120810.GetItem"
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert headers["x-amz-security-token"] == "token"
    assert "/eu-west-1/dynamodb/aws4_request" in headers["authorization"]
    assert "x-amz-target" in re.search(r"SignedHeaders=(\S+),", headers["authorization"])[1]
    assert json.loads(body) == {"TableName": "t"}


@pytest.mark.parametrize(
    "passing",
    [
        refused("ProvisionedThroughputExceededException"),
        refused("ThrottlingException"),
        refused("RequestLimitExceeded"),
        refused("InternalServerError", status=500),
        b"HTTP/1.1 503 X\r\ncontent-length: 4\r\n\r\nbusy",
        ok(b"<html>"),
        ok(b'{"a": ' + b"[" * 100_000),
        ok(b'{"a": "\xff"}'),
        b"",
    ],
)
def test_what_passes_is_tried_again(passing):
    story = Story(passing, passing, ok(b'{"a":1}'))
    assert asyncio.run(story.call()) == {"a": 1}
    assert len(story.slept) == 2
    assert story.slept[0] <= 0.05
    assert story.slept[1] <= 0.1


def test_attempts_end_after_the_longest_wait():
    story = Story(refused("ThrottlingException", "slow down"))
    with pytest.raises(DynamoDBError, match="slow down") as caught:
        asyncio.run(story.call())
    assert caught.value.code == "ThrottlingException"
    assert sum(story.slept) < 5
    assert max(story.slept) <= 1
    assert len(story.requests) > 5


def test_what_does_not_pass_is_not_tried_again():
    story = Story(refused("ConditionalCheckFailedException"))
    with pytest.raises(DynamoDBError) as caught:
        asyncio.run(story.call())
    assert (caught.value.code, len(story.requests)) == ("ConditionalCheckFailedException", 1)


def test_no_account_is_named():
    arn = "arn:aws:iam::111122223333:user/x"
    story = Story(refused("AccessDeniedException", f"User: {arn} is not authorized"))
    with pytest.raises(DynamoDBError, match="not authorized") as caught:
        asyncio.run(story.call())
    assert "111122223333" not in str(caught.value)


def test_refused_keys_are_fetched_anew_once():
    fetched = iter(["old", "new", "newer"])

    async def fetch() -> Credentials:
        return Credentials("AKID", "secret", next(fetched))

    story = Story(refused("ExpiredTokenException"), ok(b"{}"))
    story.credentials = FetchedSource(fetch)
    assert asyncio.run(story.call()) == {}
    assert b"x-amz-security-token: new\r\n" in story.requests[1]
    assert next(fetched) == "newer"

    story = Story(refused("UnrecognizedClientException"))
    with pytest.raises(DynamoDBError) as caught:
        asyncio.run(story.call())
    assert (caught.value.code, len(story.requests)) == ("UnrecognizedClientException", 2)


def test_without_keys_nothing_is_sent():
    async def fetch() -> Credentials:
        raise CredentialsError("no keys anywhere")

    story = Story(ok(b"{}"))
    story.credentials = FetchedSource(fetch)
    with pytest.raises(DynamoDBError, match="no keys anywhere"):
        asyncio.run(story.call())
    assert story.requests == []


def test_keys_that_do_not_come_are_not_waited_for_longer_than_the_call_may_take():
    async def fetch() -> Credentials:
        await asyncio.Event().wait()

    story = Story(ok(b"{}"))
    story.wait_seconds = 0.01
    story.credentials = FetchedSource(fetch)
    with pytest.raises(DynamoDBError, match="did not come in time"):
        asyncio.run(story.call())
    assert story.requests == []
