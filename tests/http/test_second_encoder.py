"""A second family of clients, thrown away after this file: nothing below http/ knows of it.

Its API is another shape of the same: requests in fields of other names, one JSON line for each
event, errors as `{"fault": ...}`, limits in one header. It stands on the gateway, the application
and the parts that serve the Messages API.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from http_client import Client
from streams import EVENTS, MESSAGE, chunk_frame, encode, exception_frame

from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.gateway.admission.rate_limits import LimitOptions
from anthropic_bedrock_proxy.http.anthropic.encoder import ANTHROPIC
from anthropic_bedrock_proxy.http.application import Application, HTTPRoute
from anthropic_bedrock_proxy.http.body import read_body
from anthropic_bedrock_proxy.http.encoder import Encoder, StreamEncoder
from anthropic_bedrock_proxy.http.reply import encoded
from anthropic_bedrock_proxy.http.server.request import Request

KEY = {"x-api-key": "sk-master"}


class Lines:
    """Encodes each event as a numbered line of JSON: unlike Anthropic's, it remembers something."""

    content_type = b"application/jsonl"
    filler = b"\n"

    def __init__(self):
        self.number = 0

    def events(self, events):
        return b"".join(
            self.line({"kind": name.decode(), "of": json.loads(data)}) for name, data in events
        )

    def error(self, error, request_id):
        return self.line({"fault": error.message, "again": error.should_retry, "id": request_id})

    def line(self, document):
        self.number += 1
        return json.dumps({"n": self.number} | document).encode() + b"\n"


class LinesEncoder:
    def stream(self, exchange):
        return Lines()

    def message(self, message, exchange):
        texts = [block["text"] for block in json.loads(message)["content"] if "text" in block]
        return json.dumps({"said": texts, "by": exchange.model}).encode()

    def lines(self, exchange):
        left = ",".join(f"{limit.kind}={limit.remaining}" for limit in exchange.limits)
        return b"x-left: %b\r\n" % left.encode()

    def error(self, error, request_id):
        return json.dumps({"fault": error.message, "kind": error.type}).encode()

    def error_lines(self, error):
        return b"x-again: %d\r\n" % error.should_retry


ENCODER: Encoder = LinesEncoder()


@pytest.fixture
def asked(make_proxy):
    """Asks the other API: (the proxy, a function of the request)."""
    proxy = make_proxy(limits=LimitOptions(requests=3))

    async def ask(request: Request):
        await proxy.authentication.authenticate(request)
        exchange = request.exchange
        exchange.version = "2023-06-01"
        asked = json.loads(await read_body(request, 1 << 20))
        body = {
            "model": asked["who"],
            "max_tokens": 9,
            "stream": asked.get("bit_by_bit", False),
            "messages": [{"role": "user", "content": asked["what"]}],
        }
        return encoded(await proxy.messages.handle(exchange, encode(body)), exchange, ENCODER)

    app = Application([HTTPRoute("/ask", {"POST": ask}, ENCODER)], ANTHROPIC)

    def send(body, path="/ask", method="POST", headers=KEY):
        client = Client(app, method, path, headers=headers, body=body)
        return asyncio.run(client.send())

    return proxy, send


QUESTION = {"who": "claude-haiku-4-5", "what": "Hello"}


def test_a_whole_answer_in_its_shape(asked):
    proxy, send = asked
    proxy.upstream.script.append(encode(MESSAGE))
    answer = send(QUESTION)
    texts = [block["text"] for block in MESSAGE["content"] if block["type"] == "text"]
    assert answer.json == {"said": texts, "by": "claude-haiku-4-5"}


def test_a_stream_in_its_shape(asked, stream):
    proxy, send = asked
    proxy.upstream.script.append([stream])
    answer = send(QUESTION | {"bit_by_bit": True})
    assert answer.headers["content-type"] == "application/jsonl"
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert [line["n"] for line in lines] == list(range(1, len(lines) + 1))
    assert [line["kind"].encode() for line in lines] == [name for name, _ in EVENTS]
    assert [line["of"] for line in lines][1:] == [json.loads(data) for _, data in EVENTS][1:]


def test_a_stream_that_breaks_ends_with_an_error_of_its_shape(asked):
    proxy, send = asked
    broken = [chunk_frame(EVENTS[0][1]), exception_frame("throttlingException", "slow")]
    proxy.upstream.script.append(broken)
    lines = send(QUESTION | {"bit_by_bit": True}).body.splitlines()
    last = json.loads(lines[-1])
    assert (last["fault"], last["again"]) == ("slow", True)


def test_errors_of_every_kind_are_in_its_shape(asked):
    proxy, send = asked
    proxy.upstream.script.append(UpstreamRefusal("ThrottlingException", "slow"))
    for answer, status, kind in (
        (send(QUESTION), 429, "rate_limit_error"),
        (send(QUESTION | {"who": "nobody"}), 404, "not_found_error"),
        (send(QUESTION, headers={}), 401, "authentication_error"),
        (send(QUESTION, method="PUT"), 405, "invalid_request_error"),
    ):
        assert (answer.status, answer.json["kind"]) == (status, kind)
        assert set(answer.json) == {"fault", "kind"}
        assert answer.headers["x-again"] in ("0", "1")


def test_elsewhere_errors_keep_anthropics_shape(asked):
    _, send = asked
    assert send(QUESTION, path="/other").json["error"]["type"] == "not_found_error"


def test_limits_are_told_in_its_words(make_proxy, asked):
    proxy, send = asked
    proxy.upstream.script.append(encode(MESSAGE))
    secret = proxy.add_key(rate_limit=5)
    assert send(QUESTION, headers={"x-api-key": secret}).headers["x-left"] == "requests=4"


def test_the_throw_away_classes_fit_the_seam():
    encoder: StreamEncoder = Lines()
    assert encoder.events([]) == b""
