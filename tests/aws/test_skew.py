"""How far a machine's clock is off, told by the `Date` of answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from email.utils import formatdate

import pytest
from fakeserver import serving
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.aws.connect import Endpoint, connector
from anthropic_bedrock_proxy.aws.credentials import StaticSource
from anthropic_bedrock_proxy.aws.dynamodb import DynamoDB, DynamoDBError
from anthropic_bedrock_proxy.aws.http import Pool
from anthropic_bedrock_proxy.aws.sigv4 import Credentials
from anthropic_bedrock_proxy.aws.skew import Skew

NOON = 1_795_867_200.0


def date_of(at):
    return formatdate(int(at), usegmt=True).encode()


def answered(skew, offset, *, at=NOON, took=0.2, made=0.5):
    """An answer of a service whose clock is ahead by `offset`."""
    skew.learn(date_of(at + offset + took * made), sent=at, came=at + took)


@given(
    st.floats(-4000, 4000),
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1), st.floats(0, 100)), min_size=1),
)
def test_the_skew_is_known_to_within_a_second_and_the_slowest_answer(offset, answers):
    skew, at, slowest = Skew("x"), NOON, 0.0
    for took, made, later in answers:
        at += later
        slowest = max(slowest, took)
        answered(skew, offset, at=at, took=took, made=made)
        assert abs(skew.seconds - offset) <= slowest + 1.001


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 1), st.floats(0, 3)), min_size=1))
def test_clocks_that_agree_are_never_said_to_differ(answers):
    skew, at = Skew("x"), NOON
    for took, made, later in answers:
        at += later
        answered(skew, 0, at=at, took=took, made=made)
        assert skew.seconds == 0


@given(st.binary(max_size=40))
def test_what_is_no_date_changes_nothing(date):
    skew = Skew("x")
    skew.learn(None, sent=NOON, came=NOON)
    with contextlib.suppress(OverflowError):
        skew.learn(date, sent=0.0, came=9e15)
    assert skew.seconds == 0


def test_a_skew_is_told_once_and_when_it_changes_by_much(caplog):
    skew = Skew("DynamoDB")
    with caplog.at_level(logging.INFO):
        for number, offset in enumerate([2, 90, 91, 88, 90, -400, -400, 0, 0.4, 2]):
            answered(skew, offset, at=NOON + number * 10)
    told = [record.getMessage() for record in caplog.records]
    assert [text.split(": ")[0] for text in told] == [
        "the clock of this machine is 90 s behind that of DynamoDB",
        "the clock of this machine is 400 s ahead of that of DynamoDB",
        "the clock of this machine agrees with that of DynamoDB again",
    ]
    assert "from 300 s on AWS refuses signatures" in told[0]


def test_signatures_follow_only_when_it_matters():
    skew = Skew("x")
    answered(skew, 30)
    assert not skew.follow()
    answered(skew, 1000, at=NOON + 10)
    assert skew.signing == 0, "nothing was refused"
    assert skew.follow()
    assert abs(skew.signing - 1000) < 2
    assert not skew.follow(), "it would be refused again"


class Strict:
    """DynamoDB with a clock that is right; it refuses signatures of another time."""

    def __init__(self):
        self.signed_at = []

    async def __call__(self, request, writer):
        (stamp,) = [
            line.partition(": ")[2]
            for line in request.decode().split("\r\n")
            if line.startswith("x-amz-date")
        ]
        signed = time.strptime(stamp, "%Y%m%dT%H%M%SZ")
        now = time.time()
        off = abs(now - time.mktime(signed) + time.timezone)
        self.signed_at.append(off)
        refusal = b'{"__type":"x#InvalidSignatureException","message":"Signature expired"}'
        status, body = (400, refusal) if off > 300 else (200, b"{}")
        head = b"HTTP/1.1 %d X\r\ndate: %b\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % (status, date_of(now), len(body)) + body)


def client_of(server, offset):
    """DynamoDB on a machine whose clock is off by so many seconds."""
    endpoint = Endpoint.from_url(f"http://127.0.0.1:{server.port}")
    return DynamoDB(
        Pool(connector(endpoint)),
        endpoint,
        region="eu-west-1",
        credentials=StaticSource(Credentials("AKID", "secret")),
        now=lambda: time.time() + offset,
    )


@pytest.mark.parametrize("offset", [1000.0, -1000.0])
def test_a_machine_whose_clock_is_far_off_reaches_dynamodb(offset):
    async def run():
        strict = Strict()
        async with serving(strict) as server:
            client = client_of(server, offset)
            try:
                for _ in range(2):
                    assert await client.call("GetItem", {}) == {}
            finally:
                await client.close()
        assert [off > 300 for off in strict.signed_at] == [True, False, False]
        assert abs(client.skew.seconds + offset) < 3

    asyncio.run(run())


def test_a_signature_that_is_wrong_for_another_reason_stays_so():
    async def refuse(_, writer):
        body = b'{"__type":"x#InvalidSignatureException","message":"The secret"}'
        head = b"HTTP/1.1 400 X\r\ndate: %b\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % (date_of(time.time()), len(body)) + body)

    async def run():
        async with serving(refuse) as server:
            client = client_of(server, 900)
            try:
                with pytest.raises(DynamoDBError, match="The secret"):
                    await client.call("GetItem", {})
            finally:
                await client.close()
            return len(server.requests)

    assert asyncio.run(run()) == 3, "with the right time, with fresh keys, and no more"
