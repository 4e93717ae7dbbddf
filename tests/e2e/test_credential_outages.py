"""Sources of AWS credentials on their bad days, in front of real workers."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from servers import AWS_KEY_ID, AWS_SECRET, MASTER_KEY, wait_for

ACCOUNT = "123456789012"
ROLE = f"""\
[profile role]
role_arn = arn:aws:iam::{ACCOUNT}:role/bedrock
source_profile = base
[profile base]
aws_access_key_id = AKIABASE
aws_secret_access_key = s
"""
NOT_STATIC = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
# Where an STS should be, there is: nobody, no such name, somebody without TLS.
UNREACHABLE = ["http://127.0.0.1:1", "https://sts.invalid", "the simulator, as https"]


@pytest.fixture
def profile(tmp_path):
    """A folder for a proxy, whose home has this AWS configuration."""

    def write(text):
        folder = tmp_path / "proxy"
        (folder / ".aws").mkdir(parents=True, exist_ok=True)
        (folder / ".aws" / "config").write_text(text)
        return folder

    return write


def ask(proxy, text="Hello"):
    """(status, body) of one message."""
    body = {
        "model": "claude-haiku-4-5",
        "max_tokens": 16,
        "messages": [{"role": "user", "content": text}],
    }
    request = Request(
        f"{proxy.url}/v1/messages",
        json.dumps(body).encode(),
        {"x-api-key": MASTER_KEY, "content-type": "application/json"},
    )
    try:
        with urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def health(proxy):
    with urlopen(f"{proxy.url}/health", timeout=30) as answer:
        return answer.status


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.parametrize("sts", UNREACHABLE, ids=["closed port", "unresolvable", "no TLS"])
def test_an_unreachable_sts_ends_no_worker(start, simulator, profile, sts):
    if sts not in UNREACHABLE[:2]:
        sts = simulator.url.replace("http:", "https:")
    proxy = start(
        profile(ROLE),
        make_key=False,
        WORKERS="2",
        AWS_PROFILE="role",
        AWS_ENDPOINT_URL_STS=sts,
        **NOT_STATIC,
    )
    wait_for(lambda: len(children(proxy.process.pid)) == 2, "both workers were forked")
    workers = children(proxy.process.pid)
    with ThreadPoolExecutor(12) as pool:
        for status, body in pool.map(lambda _: ask(proxy), range(24)):
            assert (status, body["error"]["type"]) == (503, "api_error")
            assert ACCOUNT not in json.dumps(body)
    assert health(proxy) == 200
    assert children(proxy.process.pid) == workers
    told = "no AWS credentials from the profile role"
    wait_for(lambda: told in proxy.logged(), "the log says why")
    assert ACCOUNT not in proxy.logged()


def test_another_provider_serves_while_the_first_has_no_credentials(start, simulator, profile):
    second = {
        "region": "us-west-2",
        "endpoint_url": simulator.url,
        "access_key_id": AWS_KEY_ID,
        "secret_access_key": AWS_SECRET,
    }
    proxy = start(
        profile(ROLE),
        make_key=False,
        AWS_PROFILE="role",
        AWS_ENDPOINT_URL_STS=UNREACHABLE[0],
        PROVIDERS=json.dumps({"second": second}),
        FAILOVER_CHAINS='{"*": ["default", "second"]}',
        **NOT_STATIC,
    )
    assert [ask(proxy)[0] for _ in range(3)] == [200] * 3


def test_a_role_and_a_profile_that_cannot_be_had_are_no_error_of_ours(start, simulator, profile):
    providers = {
        "role": {"role_arn": f"arn:aws:iam::{ACCOUNT}:role/x"},
        "profile": {"profile": "there is none"},
    }
    common = {"region": "us-west-2", "endpoint_url": simulator.url}
    proxy = start(
        profile(""),
        make_key=False,
        AWS_ENDPOINT_URL_STS=UNREACHABLE[0],
        PROVIDERS=json.dumps(
            {name: {**common, **provider} for name, provider in providers.items()}
        ),
        FAILOVER_CHAINS='{"*": ["role", "profile", "default"]}',
    )
    assert [ask(proxy)[0] for _ in range(3)] == [200] * 3
    assert "Traceback" not in proxy.logged()


def test_a_slow_process_delays_nobody_else(start, profile, tmp_path):
    script = tmp_path / "process.py"
    go = tmp_path / "go"
    keys = {"Version": 1, "AccessKeyId": AWS_KEY_ID, "SecretAccessKey": AWS_SECRET}
    script.write_text(
        "import pathlib, time\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
        f"print({json.dumps(json.dumps(keys))})\n"
    )
    config = f"[profile slow]\ncredential_process = {sys.executable} {script}\n"
    proxy = start(profile(config), make_key=False, AWS_PROFILE="slow", **NOT_STATIC)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, proxy)
        for _ in range(50):
            assert health(proxy) == 200
        assert not waiting.done()
        go.touch()
        assert waiting.result()[0] == 200


def test_a_start_waits_for_no_credentials(start, profile):
    config = "[profile stuck]\ncredential_process = sleep 600\n"
    proxy = start(
        profile(config),
        make_key=False,
        AWS_PROFILE="stuck",
        STORE_URL="dynamodb://",
        DYNAMODB_ENDPOINT_URL="http://127.0.0.1:1",
        **NOT_STATIC,
    )
    wait_for(lambda: health(proxy) == 200, "the proxy serves")
    (child,) = [pid for pid in children(proxy.process.pid) if is_resolver(pid)]
    assert proxy.stop() == 0
    assert not Path(f"/proc/{child}").exists()


def is_resolver(pid):
    return b"resolver.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
