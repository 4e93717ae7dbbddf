"""Broken set-ups of AWS, each with what its operator and its clients are told; and a sound one.

What can be known at the start ends it; the rest is told at the first request. How sources of
credentials fail while others serve: test_credential_outages.py.
"""

from __future__ import annotations

import hashlib
import json
import socketserver
import subprocess
import sys
import threading
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from credential_cases import PROCESS
from fakeaws import FakeAWS
from servers import AWS_KEY_ID, AWS_SECRET, MASTER_KEY, PYTHON, proxy_environment, wait_for

ACCOUNT = "123456789012"
NOT_STATIC = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
SSO = f"""\
[profile corp]
sso_start_url = https://example.com/start
sso_region = us-east-1
sso_account_id = {ACCOUNT}
sso_role_name = r
"""
STARTS = {
    "a profile that does not exist": (
        {"AWS_PROFILE": "nosuch"},
        "[profile other]\nregion = us-east-1\n",
        ("AWS_PROFILE is nosuch", "Profiles there: other", "aws configure"),
    ),
    "a source_profile that does not exist": (
        {"AWS_PROFILE": "role"},
        f"[profile role]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/x\nsource_profile = gone\n",
        ("source_profile = gone, which does not exist", "correct source_profile"),
    ),
    "an SSO session that has ended": (
        {"AWS_PROFILE": "corp"},
        SSO,
        ("ended at 2026-01-01T00:00:00Z", "aws sso login --profile corp"),
    ),
    "no credentials at all": (
        {"AWS_EC2_METADATA_DISABLED": "true"},
        "[default]\nregion = eu-central-1\n",
        ("No AWS credentials were found", "AWS_BEARER_TOKEN_BEDROCK", "serve --demo"),
    ),
}


def configure(folder, text):
    """A home with this AWS configuration, and the token of an SSO session that has ended."""
    cache = folder / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    (folder / ".aws" / "config").write_text(text)
    name = hashlib.sha1(b"https://example.com/start").hexdigest()
    token = {"accessToken": "secret-token", "expiresAt": "2026-01-01T00:00:00Z"}
    (cache / f"{name}.json").write_text(json.dumps(token))
    return folder


def get(url, data=None):
    """(status, headers, body) of an answer."""
    request = Request(url, data, {"x-api-key": MASTER_KEY, "content-type": "application/json"})
    try:
        with urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, json.loads(answer.read())
    except HTTPError as error:
        with error:
            return error.code, error.headers, json.loads(error.read())


def ask(proxy, model="claude-haiku-4-5"):
    body = {"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": "Hello"}]}
    return get(f"{proxy.url}/v1/messages", json.dumps(body).encode())


@pytest.mark.parametrize("name", STARTS)
def test_what_the_start_can_know_ends_it(name, tmp_path):
    environ, config, told = STARTS[name]
    folder = configure(tmp_path, config)
    done = subprocess.run(
        [PYTHON, "-m", "anthropic_bedrock_proxy", "serve", "--port", "0"],
        cwd=folder,
        env=proxy_environment(folder, "http://127.0.0.1:1", NOT_STATIC | environ),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    for words in told:
        assert words in done.stderr
    for secret in ("Traceback", ACCOUNT, "secret-token"):
        assert secret not in done.stderr + done.stdout
    assert done.stdout == "", "no banner of a proxy that does not serve"


CANNOT_REACH = (
    "The proxy cannot reach Amazon Bedrock: {} failed. Its log says how; ask the operator."
)
NOWHERE = "https://bedrock-runtime.nowhere-1.invalid"
WAYS = {
    "a region that has no endpoint, or no DNS": (
        {"BEDROCK_ENDPOINT_URL": NOWHERE},
        CANNOT_REACH.format("DNS"),
        "check AWS_REGION, and DNS",
    ),
    "an egress proxy that is not there": (
        {
            "BEDROCK_ENDPOINT_URL": "https://bedrock-runtime.us-east-1.amazonaws.com",
            "HTTPS_PROXY": "http://127.0.0.1:1",
        },
        CANNOT_REACH.format("the egress proxy"),
        "cannot connect to the egress proxy 127.0.0.1:1 (HTTPS_PROXY)",
    ),
    "an endpoint with a certificate of its own": (
        {"BEDROCK_ENDPOINT_URL": "the fake"},
        CANNOT_REACH.format("TLS"),
        "AWS_CA_BUNDLE",
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_a_way_that_cannot_be_gone_is_told_as_the_proxys_own(name, start):
    settings, client, log = WAYS[name]
    with FakeAWS(tls=True) as fake:
        if settings["BEDROCK_ENDPOINT_URL"] == "the fake":
            settings = {"BEDROCK_ENDPOINT_URL": fake.url}
        proxy = start(make_key=False, UPSTREAM_MAX_ATTEMPTS="1", **settings)
        status, headers, body = ask(proxy)
        assert (status, body["error"]["type"]) == (503, "api_error")
        assert body["error"]["message"] == client
        assert headers["x-should-retry"] == "false"
        assert log in proxy.logged()
        assert "Traceback" not in proxy.logged()
        status, _, ready = get(f"{proxy.url}/ready")
        assert (status, ready["missing"]) == (503, ["upstream"])
        assert ready["components"]["credentials"]["state"] == "ok"
        assert "127.0.0.1" not in json.dumps(ready)


def test_a_model_that_the_region_does_not_have_is_not_found(start, sim):
    words = "The provided model identifier is invalid."
    sim.script([{"error": {"type": "ValidationException", "message": words}, "times": "forever"}])
    proxy = start(make_key=False)
    status, headers, body = ask(proxy)
    assert (status, body["error"]["type"]) == (404, "not_found_error")
    assert (body["error"]["message"], headers["x-should-retry"]) == (words, "false")
    assert get(f"{proxy.url}/ready")[0] == 200


def test_credentials_that_are_lost_while_it_runs(start, sim, tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    program = folder / "vault.py"
    program.write_text(PROCESS.replace('f"KEY{count}"', f'"{AWS_KEY_ID}"'))
    text = program.read_text().replace(
        '"SecretAccessKey": "s"', f'"SecretAccessKey": "{AWS_SECRET}"'
    )
    program.write_text(text.replace('"SessionToken": "t", ', ""))
    (folder / "mode.json").write_text(json.dumps(["ok", 3600]))
    configure(folder, f"[profile vault]\ncredential_process = {sys.executable} {program}\n")
    proxy = start(
        folder, make_key=False, AWS_PROFILE="vault", UPSTREAM_MAX_ATTEMPTS="1", **NOT_STATIC
    )
    assert ask(proxy)[0] == 200
    (folder / "mode.json").write_text(json.dumps(["refuse", 3600]))
    expired = {"type": "ExpiredTokenException", "message": "expired", "status": 403}
    sim.script([{"error": expired}])

    def lost():
        status, headers, body = ask(proxy)
        assert (status, body["error"]["type"]) == (503, "api_error")
        assert headers["x-should-retry"] == "true"
        assert body["error"]["message"].startswith("The proxy could not authenticate")
        assert "vault" not in json.dumps(body)
        return "the vault said no" in proxy.logged()

    wait_for(lost, "the log, and it alone, says why")
    status, _, ready = get(f"{proxy.url}/ready")
    assert (status, ready["missing"]) == (503, ["credentials"])
    assert "vault" not in json.dumps(ready)


EUROPE = f"""\
[profile europe]
region = eu-central-1
aws_access_key_id = {AWS_KEY_ID}
aws_secret_access_key = {AWS_SECRET}
"""


class Tunnels(socketserver.ThreadingTCPServer):
    """An egress proxy that notes where to, and opens no tunnel."""

    daemon_threads = True

    def __init__(self):
        self.asked = []
        super().__init__(("127.0.0.1", 0), None)

    def finish_request(self, request, client_address):
        line = request.recv(65536).split(b"\r\n")[0].decode()
        self.asked.append(line)
        request.sendall(b"HTTP/1.1 403 no\r\n\r\n")


def test_the_region_of_the_profile_is_where_requests_go(start, sim, tmp_path):
    home = tmp_path / "fresh"
    home.mkdir()
    configure(home, EUROPE)
    settings = {
        "AWS_PROFILE": "europe",
        "AWS_REGION": None,
        "INFERENCE_GEOGRAPHY": "regional",
        **NOT_STATIC,
    }
    proxy = start(home, make_key=False, **settings)
    assert ask(proxy)[0] == 200
    (request,) = sim.requests()
    assert request["model"].startswith("eu.anthropic.claude-haiku-4-5")

    with Tunnels() as tunnels:
        threading.Thread(target=tunnels.serve_forever, args=(0.02,), daemon=True).start()
        egress = f"http://127.0.0.1:{tunnels.server_address[1]}"
        proxy = start(
            home, make_key=False, BEDROCK_ENDPOINT_URL=None, HTTPS_PROXY=egress, **settings
        )
        assert ask(proxy)[0] == 503
        tunnels.shutdown()
    host = "bedrock-runtime.eu-central-1.amazonaws.com:443"
    assert {line.split()[1] for line in tunnels.asked} == {host}
