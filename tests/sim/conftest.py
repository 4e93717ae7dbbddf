"""One real simulator process for the whole folder; every test starts from a reset one."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from urllib.parse import quote, urlsplit

import pytest
from simprocess import KEY_ID, SECRET, TOKEN, simulator

from anthropic_bedrock_proxy.sim.client import SimClient

SONNET_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.fixture(scope="session")
def address():
    with simulator() as url:
        yield url


@pytest.fixture
def sim(address):
    client = SimClient(address)
    client.reset()
    return client


@pytest.fixture
def body():
    """A minimal valid InvokeModel body; keyword arguments replace or add fields."""

    def build(**fields):
        document = {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 200,
            "messages": [{"role": "user", "content": "hello"}],
        }
        return json.dumps({**document, **fields})

    return build


@pytest.fixture(scope="session")
def boto(address):
    """`boto("bedrock-runtime")` gives a client that signs for the simulator and never retries."""
    boto3 = pytest.importorskip("boto3", reason="boto3 is the oracle for the wire")
    from botocore.config import Config  # noqa: PLC0415  # only present with boto3

    clients = {}

    def build(service="bedrock-runtime", **keys):
        keys = {"aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET, **keys}
        name = (service, *sorted(keys.items()))
        if name not in clients:
            clients[name] = boto3.client(
                service,
                region_name="us-east-1",
                endpoint_url=address,
                config=Config(retries={"total_max_attempts": 1}, read_timeout=10),
                **keys,
            )
        return clients[name]

    yield build
    for client in clients.values():
        client.close()


@pytest.fixture
def ask(address):
    """One Messages request with the bearer token; returns status, headers and the raw body.

    Keyword arguments replace or add body fields, None removes one. The body is whatever arrived
    before the connection broke.
    """

    def send(path="/anthropic/v1/messages", headers=None, *, method="POST", raw=None, **fields):
        document = {"max_tokens": 200, "messages": [{"role": "user", "content": "hello"}], **fields}
        data = json.dumps({k: v for k, v in document.items() if v is not None})
        given = {"authorization": f"Bearer {TOKEN}", "anthropic-version": "2023-06-01"}
        given = {k: v for k, v in {**given, **(headers or {})}.items() if v is not None}
        connection = HTTPConnection(urlsplit(address).netloc, timeout=10)
        received = bytearray()
        try:
            connection.request(method, path, data if raw is None else raw, given)
            response = connection.getresponse()
            try:
                while piece := response.read1(65536):
                    received += piece
            except (HTTPException, OSError):
                pass  # the test looks at what came before
            response.close()
        finally:
            connection.close()
        return response.status, response.headers, bytes(received)

    return send


@pytest.fixture
def error_of():
    """Status, type and message of an answer of `ask` that is an Anthropic error."""

    def read(answer):
        status, headers, received = answer
        document = json.loads(received)
        assert document["type"] == "error"
        assert document["request_id"] == headers["request-id"]
        assert headers["x-amzn-requestid"]
        assert headers["x-amzn-errortype"] is None
        return status, document["error"]["type"], document["error"]["message"]

    return read


@pytest.fixture
def post(address):
    """One request with the bearer token; returns status, headers and the body as read so far.

    The body is whatever arrived before the connection broke; the exception is the fourth value.
    """

    def send(body, operation="invoke-with-response-stream", model=SONNET_45, *, timeout=10):
        connection = HTTPConnection(urlsplit(address).netloc, timeout=timeout)
        received, failure = bytearray(), None
        try:
            path = f"/model/{quote(model, safe='')}/{operation}"
            connection.request("POST", path, body, {"authorization": f"Bearer {TOKEN}"})
            response = connection.getresponse()
            try:
                while data := response.read1(65536):
                    received += data
            except Exception as error:  # noqa: BLE001  # http.client has its own tree
                failure = error
            response.close()
        finally:
            connection.close()
        return response.status, response.headers, bytes(received), failure

    return send
