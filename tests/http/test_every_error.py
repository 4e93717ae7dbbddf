"""Every error, whoever makes it: Anthropic's shape, a request id, and whether a retry helps."""

from __future__ import annotations

import asyncio
import json
from typing import get_args

import pytest
from anthropic.types.shared import ErrorType
from factories import make_application, make_authentication, make_routes
from http_client import Answer, Client, Connection, h11

from anthropic_bedrock_proxy import errors
from anthropic_bedrock_proxy.aws_errors import (
    AWS_ERRORS,
    OWN_REFUSALS,
    UpstreamRefusal,
    from_refusal,
)
from anthropic_bedrock_proxy.gateway.admission.authenticator import KeyOptions
from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.errors import BodyTooSlowError, ProtocolError
from anthropic_bedrock_proxy.store.memory.store import MemoryStore

KEY = {"x-api-key": "sk-master"}
TYPES = {*get_args(ErrorType), "request_too_large"}  # the SDK has no class for the last
BOUNDS = ConnectionBounds(headers=3, target_bytes=64)
HELLO = (
    b'{"model": "claude-haiku-4-5", "max_tokens": 1,'
    b' "messages": [{"role": "user", "content": "a"}]}'
)


def check(status, headers, body, *, retry=None):
    """Returns the type of the error."""
    tree = json.loads(body)
    assert status >= 400
    assert tree.keys() == {"type", "error", "request_id"}
    assert tree["type"] == "error"
    assert tree["error"].keys() <= {"type", "message", "details"}
    assert tree["error"]["type"] in TYPES
    assert tree["error"]["message"]
    assert tree["request_id"].startswith("req_")
    assert headers["request-id"] == tree["request_id"]
    assert headers["content-type"] == "application/json"
    assert headers["x-should-retry"] in {"true", "false"}
    if retry is not None:
        assert headers["x-should-retry"] == retry
    return tree["error"]["type"]


def ask(app, method, path, **rest):
    answer = asyncio.run(Client(app, method, path, **rest).send())
    return answer, lambda **more: check(answer.status, answer.headers, answer.body, **more)


def all_of(kind):
    """A class and those below it, but for the fakes of other tests."""
    ours = [one for one in kind.__subclasses__() if one.__module__.startswith(errors.__package__)]
    return [kind, *(found for one in ours for found in all_of(one))]


def made(kind):
    match kind:
        case errors.MethodNotAllowedError:
            return kind("no", allow="GET")
        case _ if kind is BodyTooSlowError:
            return kind(5)
        case _:
            return kind("no")


MADE = [made(kind) for kind in all_of(errors.ProxyError)]
REFUSED = [
    from_refusal(UpstreamRefusal(code, "no", status=400))
    for code in (*AWS_ERRORS, *OWN_REFUSALS, "NeverHeardOf")
]


@pytest.mark.parametrize(
    "error", [*MADE, *REFUSED], ids=lambda error: f"{type(error).__name__}-{error.cause}"
)
def test_of_each_kind(make_proxy, error):
    async def refuse():
        return make_proxy().app.refuse(error, "127.0.0.1")

    status, lines, body = asyncio.run(refuse())
    headers = dict(line.split(": ", 1) for line in lines.decode().splitlines())
    assert check(status, headers, body) == error.type
    if status < 500 and status not in {408, 409, 429}:
        assert headers["x-should-retry"] == "false", "the same request would fail again"


def routes():
    return [
        (method, route.template)
        for route in make_routes(build_admin=lambda: None)
        for method in ("GET", "POST", "DELETE", "PUT", "PATCH")
        if method in route.methods or "GET" in route.methods
    ]


@pytest.fixture(scope="module")
def application():
    """Every route, admin too, and one master key."""
    keys = KeyOptions(master_api_key="sk-master")
    return make_application(
        make_authentication(MemoryStore(), keys), build_admin=lambda: None, observers=()
    )


@pytest.mark.parametrize(("method", "template"), routes())
def test_of_each_route_without_a_key_or_with_a_wrong_method(application, method, template):
    path = template.replace("{model_id:path}", "m").replace("{file_id}", "file_1")
    answer, checked = ask(application, method, path, body=b"{}")
    if answer.status >= 400:
        checked(retry="false" if answer.status in {401, 404, 405} else None)
    else:
        assert path in OPEN, "whoever asks is answered"


OPEN = {
    *("/health", "/health/ptc", "/health/web-search", "/liveness", "/metrics", "/ready"),
    *("/api/event_logging/batch", "/api/hello", "/docs", "/docs/{name}", "/openapi.json", "/"),
}


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/nowhere", 404, "not_found_error"),
        ("/v1/messages/batches/msgbatch_1", 404, "not_found_error"),
        ("/v1/files/file_none", 404, "not_found_error"),
        ("/v1/models/claude-of-tomorrow", 404, "not_found_error"),
        ("/v1/messages", 405, "invalid_request_error"),
    ],
)
def test_of_what_is_not_there(proxy, path, status, kind):
    answer, checked = ask(proxy.app, "GET", path, headers=KEY)
    assert (answer.status, checked(retry="false")) == (status, kind)


@pytest.mark.parametrize(
    ("headers", "body", "status", "kind"),
    [
        ({}, b"{", 400, "invalid_request_error"),
        ({}, b"[]", 400, "invalid_request_error"),
        ({"content-encoding": "br"}, HELLO, 400, "invalid_request_error"),
        ({"anthropic-version": "yesterday"}, HELLO, 400, "invalid_request_error"),
        ({"content-length": "99999999"}, [None], 413, "request_too_large"),
    ],
)
def test_of_bodies_and_headers(proxy, headers, body, status, kind):
    answer, checked = ask(proxy.app, "POST", "/v1/messages", headers=KEY | headers, body=body)
    assert (answer.status, checked(retry="false")) == (status, kind)


def on_the_wire(proxy, data, *, seconds=0.0, ends=False):
    """The answer to bytes of which the first request is none."""
    answer, wire = Answer(), h11.Connection(h11.CLIENT)

    def read(data):
        wire.receive_data(data)
        while (event := wire.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Response):
                answer.status = event.status_code
                answer.headers = {k.decode(): v.decode() for k, v in event.headers}
            elif isinstance(event, h11.Data):
                answer.chunks.append(bytes(event.data))
            elif isinstance(event, h11.ConnectionClosed):
                break

    async def play():
        wire.send(h11.Request(method="GET", target="/", headers=[("host", "t")]))
        wire.send(h11.EndOfMessage())
        connection = Connection(proxy.app, read, bounds=BOUNDS)
        connection.feed(data)
        if seconds:
            connection.pass_time(seconds)
        if ends:
            connection.protocol.eof_received()
        connection.transport.close()
        await asyncio.sleep(0)

    asyncio.run(play())
    return answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nhost: t\r\n\r\n", 505),
        (b"BREW / HTTP/1.1\r\nhost: t\r\n\r\n", 501),
        (b"GET /" + b"x" * 100 + b" HTTP/1.1\r\nhost: t\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nhost: t\r\n" + b"a: b\r\n" * 9 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: t\r\nexpect: cake\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: gzip\r\n\r\n", 400),
    ],
)
def test_of_what_is_no_request(proxy, data, status):
    answer = on_the_wire(proxy, data)
    assert answer.status == status
    check(answer.status, answer.headers, answer.body, retry="false")


def test_of_a_head_that_is_slow(proxy):
    answer = on_the_wire(proxy, b"GET / HTTP/1.1\r\nhost", seconds=10_000)
    assert answer.status == 408
    check(answer.status, answer.headers, answer.body, retry="true")


def test_of_a_connection_that_ends_inside_a_head(proxy):
    answer = on_the_wire(proxy, b"GET / HTTP/1.1\r\nhost", ends=True)
    assert answer.status == 400
    check(answer.status, answer.headers, answer.body, retry="false")


def test_of_a_fault_of_ours(proxy):
    proxy.upstream.script.append(ZeroDivisionError("secret"))
    answer, checked = ask(proxy.app, "POST", "/v1/messages", headers=KEY, body=HELLO)
    assert (answer.status, checked(retry="true")) == (500, "api_error")
    assert "secret" not in answer.json["error"]["message"]


def test_each_status_of_the_connection_says_whether_the_same_bytes_may_help():
    assert ProtocolError("slow", status=408).should_retry
    assert not ProtocolError("wrong", status=400).should_retry
