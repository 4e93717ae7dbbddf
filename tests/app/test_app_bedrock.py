"""The environment in which AWS credentials are looked up."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress

import pytest
from credential_cases import ROLE
from fakeaws import FakeAWS
from fakeserver import TLS

from anthropic_bedrock_proxy.app.bedrock import aws_environ, describe_credentials
from anthropic_bedrock_proxy.aws.credentials import CredentialsError
from anthropic_bedrock_proxy.aws.resolver.resolver import Identity, Resolver
from anthropic_bedrock_proxy.config import load_settings

CHAIN = Identity(name="the chain", region="us-east-1")


@pytest.fixture
def environ(tmp_path, monkeypatch):
    """`environ(env_file, NAME="value")`: what the child gets from this process's environment."""
    for name in list(os.environ):
        if name.upper().startswith("AWS_") or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)

    def make(env_file="", **variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        (tmp_path / ".env").write_text(env_file)
        return aws_environ(load_settings(env_file=tmp_path / ".env"))

    return make


def test_the_proxy_s_own_secrets_stay_here(environ):
    found = environ(
        MASTER_API_KEY="sk-master",
        PROVIDER_KEY_ENCRYPTION_SECRET="secret",
        LIMITS_URL="redis://:hush@r",
        AWS_BEARER_TOKEN_BEDROCK="token",
        VAULT_ADDR="http://vault",
        AWS_SESSION_TOKEN="t",
    )
    assert found["VAULT_ADDR"] == "http://vault"  # for a credential_process
    assert found["AWS_SESSION_TOKEN"] == "t"
    assert not {"MASTER_API_KEY", "PROVIDER_KEY_ENCRYPTION_SECRET", "LIMITS_URL"} & found.keys()
    assert "AWS_BEARER_TOKEN_BEDROCK" not in found


def test_what_env_files_and_settings_say_of_aws_is_handed_on(environ, tmp_path):
    found = environ(
        f"AWS_CONFIG_FILE=/x\nAWS_ROLE_ARN=from-file\nAWS_PROFILE=corp\nAWS_CA_BUNDLE={tmp_path}\n"
        "AWS_REGION=eu-west-1\nHTTPS_PROXY=http://proxy:1\nAWS_USE_FIPS_ENDPOINT=true\n",
        AWS_ROLE_ARN="from-environment",
        no_proxy="localhost",
    )
    assert found["AWS_CONFIG_FILE"] == "/x"
    assert found["AWS_ROLE_ARN"] == "from-environment"
    assert (found["AWS_PROFILE"], found["AWS_CA_BUNDLE"]) == ("corp", str(tmp_path))
    assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert (found["HTTPS_PROXY"], found["NO_PROXY"]) == ("http://proxy:1", "localhost")
    assert "no_proxy" not in found
    assert found["AWS_USE_FIPS_ENDPOINT"] == "true"
    assert "AWS_USE_DUALSTACK_ENDPOINT" not in found


def test_temporary_keys_are_described_with_their_end(environ):
    keys = {"AWS_ACCESS_KEY_ID": "ASIA", "AWS_SECRET_ACCESS_KEY": "s"}

    def described(**more):
        return describe_credentials(load_settings(None, environ=keys | more, env_file=None))

    environ(AWS_CREDENTIAL_EXPIRATION="2026-01-02T03:04:05+00:00")
    assert described() == "AWS_ACCESS_KEY_ID"
    token = described(AWS_SESSION_TOKEN="t")
    assert token == "AWS_ACCESS_KEY_ID (temporary, until 2026-01-02 03:04 UTC)"


def test_an_empty_profile_is_none(environ):
    assert "AWS_PROFILE" not in environ(AWS_PROFILE="")


class Tunnels:
    """An egress proxy: passes on what comes after CONNECT, and notes whereto."""

    def __init__(self):
        self.asked = []
        self._tasks = []

    async def serve(self, reader, writer):
        self._tasks.append(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        target = head.split()[1].decode()
        self.asked.append(target)
        host, _, port = target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        finally:
            far_writer.close()
            writer.close()

    async def _copy(self, source, sink):
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
        sink.close()

    async def end(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.mark.parametrize("trusted", [True, False])
def test_sts_is_reached_through_the_egress_proxy_and_trusted_by_the_bundle(
    environ, tmp_path, trusted
):
    (tmp_path / "token").write_text("a.b.c")

    async def main():
        tunnels = Tunnels()
        proxy = await asyncio.start_server(tunnels.serve, "127.0.0.1", 0)
        with FakeAWS(tls=True) as aws:
            aws.lifetime = 3600.0
            found = environ(
                f"AWS_ENDPOINT_URL_STS={aws.url}\nAWS_ROLE_ARN={ROLE}\n"
                f"AWS_WEB_IDENTITY_TOKEN_FILE={tmp_path}/token\n"
                f"HTTPS_PROXY=http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}\n"
                + (f"AWS_CA_BUNDLE={TLS / 'server.pem'}\n" if trusted else ""),
                HOME=str(tmp_path),
            )
            resolver = Resolver(found, now=time.time)
            source = resolver.source(CHAIN)
            if trusted:
                assert (await source.get()).access_key_id == "KEY1"
            else:
                with pytest.raises(CredentialsError, match="certificate verify failed"):
                    await source.get()
            await resolver.close()
            assert set(tunnels.asked) == {aws.url.removeprefix("https://")}
        await tunnels.end()
        proxy.close()
        await proxy.wait_closed()

    asyncio.run(main())
