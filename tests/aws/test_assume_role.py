"""AssumeRole on a scripted STS; the form of the request is compared with botocore's."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from contextlib import asynccontextmanager
from hashlib import sha256
from urllib.parse import parse_qs

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSResponse
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.session import Session
from fakeserver import ok, serving

from anthropic_bedrock_proxy.aws import assume_role
from anthropic_bedrock_proxy.aws.assume_role import (
    Role,
    assumed_role_source,
    read_answer,
    request_body,
    sts_url,
)
from anthropic_bedrock_proxy.aws.connect import Endpoint, connector
from anthropic_bedrock_proxy.aws.credentials import CredentialsError, RefreshingSource, StaticSource
from anthropic_bedrock_proxy.aws.http import Pool
from anthropic_bedrock_proxy.aws.sigv4 import Credentials

ACCOUNT = "123456789012"
ROLE = Role(arn=f"arn:aws:iam::{ACCOUNT}:role/team/bedrock", external_id="a b+c/d=e")
BASE = Credentials("AKIDEXAMPLE", "base-secret", "base-token")
ANSWER = b"""<?xml version="1.0" encoding="utf-8"?>
<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/bedrock/x</Arn></AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIAROLE</AccessKeyId>
      <SecretAccessKey>role/secret+</SecretAccessKey>
      <SessionToken>role//token==</SessionToken>
      <Expiration>2033-05-18T03:33:20.500Z</Expiration>
    </Credentials>
  </AssumeRoleResult>
</AssumeRoleResponse>"""
KEYS = Credentials("ASIAROLE", "role/secret+", "role//token==", 2_000_000_000.5)


def refused(code, status=403, message=f"User: arn:aws:iam::{ACCOUNT}:user/x is not authorized"):
    body = (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender'
        f"</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    ).encode()
    return b"HTTP/1.1 %d x\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body


def script(*steps):
    left = list(steps)

    async def answer(_, writer):
        step = left.pop(0)
        if step is None:
            return True
        writer.write(step)
        return None

    return answer


@asynccontextmanager
async def sts(answer, *, base=None, role=ROLE):
    async with serving(answer) as server:
        endpoint = Endpoint("127.0.0.1", server.port, tls=False)
        yield (
            assumed_role_source(
                role,
                base or StaticSource(BASE),
                endpoint,
                region="eu-central-1",
                new_pool=lambda: Pool(connector(endpoint)),
            ),
            server,
        )


def get(*steps, **options):
    """(keys, requests)"""

    async def main():
        async with sts(script(*steps), **options) as (source, server):
            return await source.get(), server.requests

    return asyncio.run(main())


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(assume_role, "_PAUSE_SECONDS", 0.001)


def theirs(url, at):
    """The request that botocore sends for the same role and moment."""
    session = Session()
    session.set_credentials(BASE.access_key_id, BASE.secret_access_key, BASE.session_token)
    client = session.create_client("sts", region_name="eu-central-1", endpoint_url=url)
    sent = []

    def keep(request, **_):
        sent.append(request)
        return AWSResponse(request.url, 200, {}, _Raw())

    client.meta.events.register("before-send.sts.AssumeRole", keep)
    client.assume_role(
        RoleArn=ROLE.arn,
        ExternalId=ROLE.external_id,
        RoleSessionName="anthropic-bedrock-proxy",
        DurationSeconds=3600,
    )
    (request,) = sent
    amz_date = at.strftime("%Y%m%dT%H%M%SZ")
    auth = SigV4Auth(
        BotocoreCredentials(BASE.access_key_id, BASE.secret_access_key, BASE.session_token),
        "sts",
        "eu-central-1",
    )
    return request, auth, amz_date


class _Raw:
    def stream(self, **_):
        yield ANSWER


def test_the_request_is_botocore_s():
    _, (request,) = get(ok(ANSWER))
    head, body = request.split(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    at = dt.datetime.strptime(headers["x-amz-date"].upper(), "%Y%m%dT%H%M%SZ").replace(
        tzinfo=dt.UTC
    )
    oracle, auth, amz_date = theirs(f"http://{headers['host']}", at)
    assert lines[0] == f"{oracle.method} / HTTP/1.1"
    assert headers["content-type"] == _text(oracle.headers["Content-Type"]).lower()
    assert parse_qs(body.decode()) == parse_qs(_text(oracle.body))
    # Signed by them at our moment, over our body: fields may stand in another order.
    signed = "content-type;host;x-amz-date;x-amz-security-token"
    canonical = "\n".join(
        [
            "POST",
            "/",
            "",
            *(f"{name}:{value_of(lines, name)}" for name in signed.split(";")),
            "",
            signed,
            sha256(body).hexdigest(),
        ]
    )
    oracle.context = {"timestamp": amz_date}
    signature = auth.signature(auth.string_to_sign(oracle, canonical), oracle)
    authorization = value_of(lines, "authorization")
    assert f"/eu-central-1/sts/aws4_request, SignedHeaders={signed}" in authorization
    assert authorization.endswith(f"Signature={signature}")


def value_of(lines, name):
    (value,) = [line.split(": ", 1)[1] for line in lines if line.startswith(f"{name}: ")]
    return value


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


def test_the_keys_of_the_role():
    keys, _ = get(ok(ANSWER))
    assert keys == KEYS


def test_they_are_kept_and_fetched_again_when_refused():
    async def main():
        async with sts(ok(ANSWER)) as (source, server):
            for _ in range(3):
                assert await source.get() == KEYS
            assert len(server.requests) == 1
            source.invalidate(KEYS)
            assert await source.get() == KEYS
            assert len(server.requests) == 2

    asyncio.run(main())


def test_without_an_external_id():
    assert b"ExternalId" not in request_body(Role(arn=ROLE.arn))


@pytest.mark.parametrize("first", [None, refused("ServiceUnavailable", 503)])
def test_one_more_attempt(first):
    keys, requests = get(first, ok(ANSWER))
    assert keys == KEYS
    assert len(requests) == 2


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([refused("AccessDenied")], "AccessDenied; the role's trust policy"),
        ([refused("RegionDisabledException")], "STS is not activated"),
        ([refused("InvalidClientTokenId")], "not accepted"),
        ([refused("MalformedPolicyDocument", 400)], "STS refused: MalformedPolicyDocument"),
        ([refused(f"arn:{ACCOUNT}", 400)], "STS refused: HTTP 400"),
        ([refused("InternalFailure", 500)] * 2, "InternalFailure"),
        ([None, None], "STS: "),
        ([ok(b"<html>")], "no credentials"),
        ([ok(b"\xff\xfe")], "no credentials"),
        ([ok(ANSWER.replace(b"2033", b"soon"))], "no credentials"),
        ([ok(ANSWER.replace(b"Secret", b""))], "no credentials"),
    ],
)
def test_what_goes_wrong_is_said_without_accounts(steps, words):
    with pytest.raises(CredentialsError, match=re.escape(words)) as refusal:
        get(*steps)
    assert str(refusal.value).startswith("role team/bedrock: ")
    assert ACCOUNT not in str(refusal.value)


def test_keys_that_sts_refuses_are_fetched_anew():
    fetched = []

    async def fetch():
        fetched.append(1)
        return Credentials(f"AKID{len(fetched)}", "s")

    async def main():
        async with sts(
            script(refused("ExpiredToken"), ok(ANSWER)), base=RefreshingSource(fetch)
        ) as (source, server):
            with pytest.raises(CredentialsError):
                await source.get()
            assert await source.get() == KEYS
            assert b"Credential=AKID2/" in server.requests[1]

    asyncio.run(main())


def test_documents_with_entities_are_not_read():
    bomb = b'<!DOCTYPE x [<!ENTITY a "AS">]>' + ANSWER.partition(b"?>")[2].replace(b"AS", b"&a;")
    with pytest.raises(CredentialsError):
        read_answer(bomb, ROLE)
    for encoding in ("utf-16", "utf-16-le"):
        declared = f'<?xml version="1.0" encoding="utf-16"?>{bomb.decode()}'
        with pytest.raises(CredentialsError):
            read_answer(declared.encode(encoding), ROLE)


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-central-1", "https://sts.eu-central-1.amazonaws.com"),
        ("cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com"),
    ],
)
def test_endpoints(region, url):
    assert sts_url(region) == url
