"""Who is let in. botocore signs; the verification was written without it."""

from __future__ import annotations

import time
from http.client import HTTPConnection

import pytest

KEY_ID, SECRET, TOKEN = "AKIDSIMULATOR", "simulator/secret+key", "bedrock-api-key-sim"
PATH = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke"


@pytest.fixture
def signed(address, body):
    """Signs a request, lets the test tamper with it, and returns status and error type."""
    auth = pytest.importorskip("botocore.auth", reason="botocore is the reference signer")
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415  # only present with botocore
    from botocore.credentials import Credentials  # noqa: PLC0415

    def send(tamper=None, *, key_id=KEY_ID, secret=SECRET, token=None, service="bedrock", query=""):
        data = body()
        request = AWSRequest("POST", f"{address}{PATH}{query}", data=data)
        auth.SigV4Auth(Credentials(key_id, secret, token), service, "eu-west-1").add_auth(request)
        headers = dict(request.headers.items())
        method, path = "POST", PATH + query
        if tamper:
            method, path, data = tamper(headers, method, path, data)
        connection = HTTPConnection(address.removeprefix("http://"), timeout=10)
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            response.read()
        finally:
            connection.close()
        return response.status, response.headers["x-amzn-errortype"]

    return send


def test_a_good_signature(signed, sim):
    assert signed() == (200, None)
    assert signed(query="?b=2&a=x%20y&empty") == (200, None)


def altered_body(headers, method, path, data):
    return method, path, data.replace("hello", "hullo")


def altered_path(headers, method, path, data):
    return method, path.replace("us.", "eu."), data


def altered_signature(headers, method, path, data):
    headers["Authorization"] = headers["Authorization"][:-1] + "g"
    return method, path, data


@pytest.mark.parametrize("tamper", [altered_body, altered_path, altered_signature])
def test_tampering_breaks_the_signature(signed, sim, tamper):
    assert signed(tamper) == (403, "InvalidSignatureException")


def old(headers, method, path, data):
    headers["X-Amz-Date"] = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - 301))
    return method, path, data


def unsigned_host(headers, method, path, data):
    headers["Authorization"] = headers["Authorization"].replace("host;", "")
    return method, path, data


def no_signature(headers, method, path, data):
    headers["Authorization"] = headers["Authorization"].partition(", Signature")[0]
    return method, path, data


def anonymous(headers, method, path, data):
    del headers["Authorization"]
    return method, path, data


def wrong_token(headers, method, path, data):
    headers["Authorization"] = "Bearer nonsense"
    return method, path, data


@pytest.mark.parametrize(
    ("tamper", "keys", "type_"),
    [
        (None, {"secret": "other"}, "InvalidSignatureException"),
        (None, {"service": "bedrock-mantle"}, "InvalidSignatureException"),
        (None, {"key_id": "AKIDUNKNOWN"}, "UnrecognizedClientException"),
        (None, {"token": "not one we gave"}, "UnrecognizedClientException"),
        (old, {}, "InvalidSignatureException"),
        (unsigned_host, {}, "InvalidSignatureException"),
        (no_signature, {}, "IncompleteSignatureException"),
        (anonymous, {}, "MissingAuthenticationTokenException"),
        (wrong_token, {}, "UnrecognizedClientException"),
    ],
)
def test_strangers(signed, sim, tamper, keys, type_):
    assert signed(tamper, **keys) == (403, type_)


def test_temporary_credentials_expire(signed, sim):
    pair = {"access_key_id": "ASIATEMP", "secret_access_key": "s", "session_token": "t"}
    keys = {"key_id": "ASIATEMP", "secret": "s", "token": "t"}
    sim.set_credentials([{**pair, "expires_at": time.time() + 60}])
    assert signed(**keys) == (200, None)
    assert "x-amz-security-token" not in sim.requests()[0]["headers"]
    sim.set_credentials([{**pair, "expires_at": time.time() - 1}])
    assert signed(**keys) == (403, "ExpiredTokenException")


def test_a_bearer_token(post, sim, body):
    assert post(body(), "invoke")[0] == 200
    assert sim.requests()[0]["auth"] == "bearer"


def test_without_known_credentials_everyone_is_let_in(signed, sim):
    sim.set_credentials()
    assert signed(anonymous) == (200, None)
    assert signed(secret="anything") == (200, None)
    assert [entry["auth"] for entry in sim.requests()] == ["none", "sigv4"]
