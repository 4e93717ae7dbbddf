"""The life of credentials from every origin: with the real child process, and fakes of AWS.

First use, refresh ahead of time, a failing refresh, garbage, expiry, recovery, refusal, a hang. The
origins are lived through side by side, since all that takes real seconds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time

import pytest
from credential_cases import EXPIRING
from fakeaws import FakeAWS
from fakeserver import until as _until
from msgspec.structs import replace

from anthropic_bedrock_proxy.aws.credentials import CredentialsError
from anthropic_bedrock_proxy.aws.resolver.pace import Pace
from anthropic_bedrock_proxy.aws.resolver.resolver import Resolver

PACE = Pace(least=0.1, unending=0.3, first_failure=0.1, most_failures=0.3, hang=3.0)
LONG = 60.0
LIFETIME = 6.0  # a busy machine refreshes late: at half of it


async def until(condition):
    await _until(condition, rounds=int(LONG * 1000))


class Told(logging.Handler):
    """What the log was told, of all origins."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())

    def of(self, name):
        return [line for line in self.lines if re.search(f"from {name}(:| can)", line)]


async def live(name, home, told):
    home.mkdir()
    with FakeAWS() as aws:
        aws.lifetime = LIFETIME
        origin = EXPIRING[name](home, aws)
        origin.set_mode("ok")
        kept = {n: v for n, v in os.environ.items() if n.startswith(("COVERAGE_", "PYTHON"))}
        resolver = Resolver(
            {
                **kept,
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "AWS_EC2_METADATA_DISABLED": "true",
                **origin.environ,
            },
            pace=PACE,
            wait_seconds=LONG,
            # Workers let go of keys ten seconds before they expire; these live for six.
            now=lambda: time.time() - 10,
        )
        source = resolver.source(replace(origin.identity, name=name))
        assert source.current is None  # nobody has waited
        first = await source.get()
        assert first.access_key_id.startswith("KEY")
        stretched = name == "instance metadata"  # botocore lets such keys live longer
        if not stretched:
            await until(lambda: source.current != first)
            assert source.current is not None, "refreshed before the old ones expired"
        assert told.of(name) == []

        # Failing: the keys at hand serve until they expire, or AWS refuses them.
        origin.set_mode("refuse")
        if stretched:
            source.invalidate(source.current)
        await until(lambda: len(told.of(name)) == 1)
        await until(lambda: source.current is None)
        with pytest.raises(CredentialsError) as failure:
            await source.get()
        assert told.of(name) == [f"no AWS credentials from {failure.value}"]
        assert "123456789012" not in str(failure.value)
        origin.set_mode("garbage")
        await until(lambda: len(told.of(name)) == 2)
        with pytest.raises(CredentialsError):
            await source.get()

        origin.set_mode("ok")
        await until(lambda: source.current is not None)
        recovered = f"AWS credentials from {name} can be had again"
        await until(lambda: told.of(name)[2:] == [recovered])

        refused = source.current
        source.invalidate(refused)
        assert (await source.get()).access_key_id != refused.access_key_id

        origin.set_mode("hang")
        source.invalidate(source.current)
        with pytest.raises(CredentialsError):
            await source.get()
        await until(lambda: len(told.of(name)) > 3)
        origin.set_mode("ok")
        aws.released.set()
        assert await patiently(source) is not None
        await resolver.close()
        return aws


async def patiently(source):
    await until(lambda: source.current is not None)
    return source.current


@pytest.fixture(scope="module")
def lives(tmp_path_factory):
    home = tmp_path_factory.mktemp("homes")
    told = Told()
    logger = logging.getLogger("anthropic_bedrock_proxy.aws")
    logger.addHandler(told)

    async def main():
        names = list(EXPIRING)
        all_lives = (live(name, home / name.replace(" ", "-"), told) for name in names)
        return dict(
            zip(names, await asyncio.gather(*all_lives, return_exceptions=True), strict=True)
        )

    try:
        return asyncio.run(main())
    finally:
        logger.removeHandler(told)


@pytest.mark.parametrize("name", EXPIRING)
def test_a_life(lives, name):
    if isinstance(lives[name], BaseException):
        raise lives[name]


def test_what_was_sent(lives):
    sent = {name: aws.requests for name, aws in lives.items() if isinstance(aws, FakeAWS)}
    outer = [form for _, _, form in sent["role chain"] if form.get("DurationSeconds")]
    assert outer[0]["DurationSeconds"] == "900"
    assert sent["role of a place"][0][2]["ExternalId"] == "a b+c/d=e"
    assert sent["role of a place"][0][2]["RoleSessionName"] == "anthropic-bedrock-proxy"
    assert sent["web identity"][0][2]["WebIdentityToken"] == "a.b.c"
    assert sent["container"][0][2]["Authorization"] == "ecs-token"
    assert sent["pod identity"][0][2]["Authorization"] == "eks-token"
    assert sent["instance metadata"][0][:2] == ("PUT", "/latest/api/token")
    assert sent["SSO"][0][2]["x-amz-sso_bearer_token"] == "sso-token"
