"""Sources of AWS credentials that do what nobody should."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading

import pytest
from lookups import CHAIN, PACE, children, environ_of, static_keys, told, until

from anthropic_bedrock_proxy.aws.credentials import CredentialsError
from anthropic_bedrock_proxy.aws.resolver.child import Child
from anthropic_bedrock_proxy.aws.resolver.lookup import reason_of
from anthropic_bedrock_proxy.aws.resolver.resolver import Resolver
from anthropic_bedrock_proxy.aws.sigv4 import Credentials

KEYS = {"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "s"}
MFA = """\
[default]
role_arn = arn:aws:iam::123456789012:role/x
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/me
[profile base]
aws_access_key_id = A
aws_secret_access_key = s
"""


def config(home, text):
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text(text)


def process(home, program):
    """Makes this Python program the default profile's `credential_process`."""
    (home / "process.py").write_text(program)
    config(home, f"[default]\ncredential_process = {sys.executable} {home}/process.py\n")


async def first_answer(home, **pace):
    """Returns the first keys, or why there are none."""
    resolver = Resolver(environ_of(home), pace=PACE._replace(**{"hang": 60.0, **pace}))
    try:
        return await resolver.source(CHAIN).get()
    except CredentialsError as error:
        return str(error)
    finally:
        await resolver.close()


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import sys; sys.exit(repr(sys.stdin.read()) + ' is no code')", "'' is no code"),
        ("import sys; sys.exit('a.' * 100_000)", "a.a.a."),
        ("print('hello')", "what it printed or sent is not JSON"),
        (
            f"print({json.dumps({**KEYS, 'SessionToken': '*'})!r}.replace('*', 'x' * 100_000))",
            "is none",
        ),
    ],
    ids=["asks", "writes much", "writes no JSON", "gives a long token"],
)
def test_what_a_process_does_is_told_at_once(tmp_path, program, reason):
    process(tmp_path, program)
    answer = asyncio.run(first_answer(tmp_path))
    assert reason in answer


def test_nobody_is_there_to_type_a_code(tmp_path):
    config(tmp_path, MFA)
    assert "it asks for something" in asyncio.run(first_answer(tmp_path))


def test_an_empty_session_token_is_none(tmp_path):
    process(tmp_path, f"print({json.dumps({**KEYS, 'SessionToken': ''})!r})")
    assert asyncio.run(first_answer(tmp_path)) == Credentials("AKIA", "s")


def test_a_process_that_hangs_is_ended_and_nothing_else_is(tmp_path):
    async def main():
        process(tmp_path, "import time; time.sleep(600)")
        resolver = Resolver(environ_of(tmp_path), pace=PACE._replace(hang=1.0))
        source = resolver.source(CHAIN)
        with pytest.raises(CredentialsError, match="no answer within"):
            await source.get()
        (child,) = children()
        (tmp_path / ".aws" / "config").unlink()
        static_keys(tmp_path)
        await until(lambda: source.current is not None)
        assert children() == [child]
        await resolver.close()

    asyncio.run(main())


def test_a_process_of_somebody_else_stands_in_no_one_s_way(tmp_path, monkeypatch, caplog):
    def killpg(*_):
        raise PermissionError  # what is left of the group runs as root

    async def main():
        static_keys(tmp_path)
        resolver = Resolver(environ_of(tmp_path), pace=PACE)
        await resolver.source(CHAIN).get()
        monkeypatch.setattr(os, "killpg", killpg)
        async with asyncio.timeout(20):
            await resolver.close()

    asyncio.run(main())
    assert told(caplog) == []


@pytest.mark.parametrize("line", [b"x" * 200_000 + b"\n", b"{\n"], ids=["long", "no JSON"])
def test_a_worker_that_cannot_read_a_line_listens_again(line):
    async def main():
        resolver = Resolver({"PYTHONHOME": "/nowhere"}, pace=PACE)  # the test is the child
        source = resolver.source(CHAIN)
        control = resolver._meeting.theirs
        control.settimeout(10.0)
        keys = {"access_key_id": "AKIA", "secret_access_key": "s", "session_token": None}
        message = {"id": 0, "keys": {**keys, "expires_at": None}, "failure": None}
        for answer in (line, json.dumps(message).encode() + b"\n"):
            _, (descriptor,), _, _ = await asyncio.to_thread(socket.recv_fds, control, 1, 1)
            with socket.socket(fileno=descriptor) as connection:
                await asyncio.to_thread(connection.sendall, answer)
        assert (await source.get()).access_key_id == "AKIA"
        await resolver.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "secret",
    [
        "/JalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE1",
        "+JalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "ASIAIOSFODNN7EXAMPLE",
    ],
)
@pytest.mark.parametrize("text", ["no {} here", '{{"key":"{}"}}', "key={}"])
def test_reasons_hold_no_secret(text, secret):
    assert secret[1:] not in reason_of(ValueError(text.format(secret)))


def test_reasons_hold_paths():
    path = "/home/somebody/projects/number-1/of-many/with/credentials.json"
    assert path in reason_of(ValueError(f"{path} cannot be read"))


class Flickering:
    """A feed whose look-up ends between two glances."""

    ended = False

    def __init__(self):
        self._began = [0.0, None]

    @property
    def began(self):
        return self._began.pop(0)


class TestChild:
    def child(self, control):
        return Child(control, PACE._replace(hang=1e9), look_up=None, report=None)

    def test_a_look_up_that_has_just_ended_does_not_hang(self):
        one, other = socket.socketpair()
        with one, other:
            child = self.child(one)
            child._feeds["x"] = Flickering()
            child._watch()

    def test_an_introduction_that_another_took_is_not_waited_for(self):
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with one, other:
            welcoming = threading.Thread(target=self.child(one)._welcome, daemon=True)
            welcoming.start()
            welcoming.join(5.0)
            assert not welcoming.is_alive()
