from __future__ import annotations

import asyncio
import json
import sys

import pytest
from fakeserver import until

from anthropic_bedrock_proxy.aws.credentials import (
    CredentialsError,
    RefreshingSource,
    StaticSource,
    chain_source,
    credentials_hint,
)
from anthropic_bedrock_proxy.aws.sigv4 import Credentials


class Chain:
    """A source of credentials that counts how often it is asked."""

    def __init__(self, lifetime):
        self.lifetime = lifetime
        self.now = 1000.0
        self.fetched = 0
        self.fails = False

    async def __call__(self):
        self.fetched += 1
        if self.fails:
            raise CredentialsError("gone")
        expires = None if self.lifetime is None else self.now + self.lifetime
        return Credentials(f"key{self.fetched}", "secret", None, expires)

    def source(self):
        return RefreshingSource(self, now=lambda: self.now)


def test_static_keys_stay():
    keys = Credentials("a", "b")
    source = StaticSource(keys)
    source.invalidate()
    assert source.current is keys
    assert asyncio.run(source.get()) is keys


def test_fetched_once_for_all_who_wait():
    async def main():
        chain = Chain(None)
        source = chain.source()
        assert source.current is None
        await asyncio.gather(*(source.get() for _ in range(10)))
        assert chain.fetched == 1
        assert source.current is not None

    asyncio.run(main())


def test_refreshed_in_the_background_before_they_expire():
    async def main():
        chain = Chain(3600)
        source = chain.source()
        await source.get()
        chain.now += 3600 - 200
        assert source.current.access_key_id == "key1"
        await until(lambda: source.current.access_key_id == "key2")
        assert chain.fetched == 2

    asyncio.run(main())


def test_never_signed_with_keys_about_to_expire():
    async def main():
        chain = Chain(3600)
        source = chain.source()
        await source.get()
        chain.now += 3595
        assert source.current is None
        assert (await source.get()).access_key_id == "key2"

    asyncio.run(main())


def test_a_failing_refresh_keeps_the_old_keys_while_they_last():
    async def main():
        chain = Chain(3600)
        source = chain.source()
        await source.get()
        chain.fails = True
        chain.now += 3500
        assert source.current.access_key_id == "key1"
        await until(lambda: chain.fetched == 2)
        chain.now += 200
        with pytest.raises(CredentialsError):
            await source.get()

    asyncio.run(main())


def test_refused_keys_are_forgotten():
    async def main():
        chain = Chain(None)
        source = chain.source()
        await source.get()
        source.invalidate()
        assert (await source.get()).access_key_id == "key2"

    asyncio.run(main())


def test_refused_keys_are_forgotten_by_their_origin_too():
    async def main():
        remembered = []

        async def fetch():
            if not remembered:
                remembered.append(Credentials(f"key{len(asked)}", "secret"))
                asked.append(remembered[0])
            return remembered[0]

        asked = []
        source = RefreshingSource(fetch, reset=remembered.clear)
        old = await source.get()
        source.invalidate(old)
        new = await source.get()
        assert (old.access_key_id, new.access_key_id) == ("key0", "key1")

    asyncio.run(main())


def test_a_late_refusal_of_old_keys_does_not_cost_the_new_ones():
    async def main():
        chain = Chain(None)
        source = chain.source()
        old = await source.get()
        source.invalidate(old)
        source.invalidate(old)  # another request that was refused for the same keys
        new = await source.get()
        source.invalidate(old)
        assert source.current is new
        source.invalidate(Credentials(new.access_key_id, "secret", None, 1.0))  # fetched twice
        assert source.current is None

    asyncio.run(main())


def test_one_cancelled_request_does_not_take_the_refresh_from_the_others():
    async def main():
        release = asyncio.Event()

        async def fetch():
            await release.wait()
            return Credentials("a", "b")

        source = RefreshingSource(fetch)
        first, second = asyncio.create_task(source.get()), asyncio.create_task(source.get())
        await asyncio.sleep(0)
        first.cancel()
        release.set()
        assert (await second).access_key_id == "a"
        await asyncio.gather(first, return_exceptions=True)

    asyncio.run(main())


CRT_PROGRAM = """
import asyncio, json, os, sys
from anthropic_bedrock_proxy.aws.credentials import chain_source, CredentialsError
try:
    found = asyncio.run(chain_source(sys.argv[1] or None, os.environ).get())
    print(json.dumps([found.access_key_id, found.session_token, found.expires_at is not None]))
except CredentialsError as error:
    print(json.dumps(str(error)))
"""


def resolve(tmp_path, profile="", config="", credentials="", *, program=CRT_PROGRAM, **environ):
    """What the AWS chain finds in a process of its own with this HOME and environment."""
    import os  # noqa: PLC0415
    import subprocess  # noqa: PLC0415

    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "config").write_text(config)
    (folder / "credentials").write_text(credentials)
    done = subprocess.run(
        [sys.executable, "-c", program, profile],
        env={
            "HOME": str(tmp_path),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "AWS_EC2_METADATA_DISABLED": "true",
            **{n: v for n, v in os.environ.items() if n.startswith("COVERAGE_")},
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


def test_chain_environment(tmp_path):
    found = resolve(
        tmp_path, AWS_ACCESS_KEY_ID="AKENV", AWS_SECRET_ACCESS_KEY="s", AWS_SESSION_TOKEN="t"
    )
    assert found[:2] == ["AKENV", "t"]


def test_chain_default_profile(tmp_path):
    text = "[default]\naws_access_key_id = AKDEF\naws_secret_access_key = s\n"
    assert resolve(tmp_path, credentials=text)[0] == "AKDEF"


def test_chain_named_profile(tmp_path):
    text = "[work]\naws_access_key_id = AKWORK\naws_secret_access_key = s\n"
    assert resolve(tmp_path, "work", credentials=text)[0] == "AKWORK"


def test_chain_credential_process(tmp_path):
    document = {
        "Version": 1,
        "AccessKeyId": "AKPROC",
        "SecretAccessKey": "s",
        "SessionToken": "t",
        "Expiration": "2099-01-01T00:00:00Z",
    }
    (tmp_path / "keys.json").write_text(json.dumps(document))
    config = f"[default]\ncredential_process = cat {tmp_path}/keys.json\n"
    assert resolve(tmp_path, config=config) == ["AKPROC", "t", True]


ROTATION = """
import asyncio, json, os, sys
from pathlib import Path
from anthropic_bedrock_proxy.aws.credentials import chain_source
async def main():
    source = chain_source(sys.argv[1] or None, os.environ)
    old = await source.get()
    path = Path(os.environ["HOME"], ".aws", "credentials")
    path.write_text(path.read_text().replace("AKOLD", "AKNEW"))
    source.invalidate(old)
    print(json.dumps([old.access_key_id, (await source.get()).access_key_id]))
asyncio.run(main())
"""


@pytest.mark.parametrize("profile", ["", "work"], ids=["default chain", "profile"])
def test_chain_asks_again_once_its_keys_are_refused(tmp_path, profile):
    section = "[{}]\naws_access_key_id = AKOLD\naws_secret_access_key = s\n"
    text = section.format("default") + section.format("work")
    found = resolve(tmp_path, profile, credentials=text, program=ROTATION)
    assert found == ["AKOLD", "AKNEW"]


def test_chain_without_anything_says_so(tmp_path):
    assert "gave no credentials" in resolve(tmp_path)


def test_sso_profiles_go_to_botocore_and_say_what_they_lack(tmp_path):
    config = (
        "[profile corp]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n"
        "[sso-session s]\nsso_start_url = https://example.com/start\nsso_region = us-east-1\n"
    )
    assert resolve(tmp_path, "corp", config=config).startswith("profile 'corp'")


@pytest.mark.parametrize(
    ("environ", "hint"),
    [
        ({"AWS_PROFILE": "work"}, "AWS profile work"),
        ({"AWS_ACCESS_KEY_ID": "a"}, "AWS keys from the environment"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}, "a web identity token"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://x"}, "the container's role"),
        ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x"}, "the container's role"),
        ({}, None),
    ],
)
def test_hints_need_no_network(tmp_path, environ, hint):
    base = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    assert credentials_hint(None, {**base, **environ}) == hint


def test_hint_of_profile_files(tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("[default]\n")
    assert credentials_hint(None, {"HOME": str(tmp_path)}) == "the default AWS profile"
    assert credentials_hint("p", {}) == "AWS profile p"


def test_a_plain_profile_is_not_sso(tmp_path):
    (tmp_path / "broken").write_text("not an ini [")
    for environ in ({"HOME": str(tmp_path)}, {"AWS_CONFIG_FILE": str(tmp_path / "broken")}):
        assert isinstance(chain_source("p", environ), RefreshingSource)
