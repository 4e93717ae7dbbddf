"""The content log: off unless a key is named; keys and images are never in it."""

from __future__ import annotations

import logging

import msgspec
import pytest

from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.telemetry.content import ContentLog
from anthropic_bedrock_proxy.telemetry.logs import JSONFormatter


@pytest.fixture
def exchange():
    return Exchange("req_1", started=0.0, at_ms=0, key_id="key_1")


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO)
    return lambda: [JSONFormatter().format(record) for record in caplog.records]


def test_only_named_keys_are_logged():
    one, two, nobody = (Exchange("req_1", 0.0, 0, key_id=key) for key in ("key_1", "key_2", ""))
    assert ContentLog(["key_1"]).wants(one)
    assert not ContentLog(["key_1"]).wants(two)
    assert not ContentLog(["key_1"]).wants(nobody)
    assert ContentLog(["*"]).wants(two)


def test_contents_are_told_with_request_and_key(exchange, lines):
    ContentLog(["*"]).request(exchange, b'{"model":"m"}')
    ContentLog(["*"]).answer(exchange, b'{"type":"message"}')
    request, answer = lines()
    assert '"message":"request"' in request
    assert '"request_id":"req_1"' in request
    assert '"key_id":"key_1"' in request
    assert "message" in answer


def test_keys_and_images_are_left_out_and_the_rest_is_cut(exchange, lines):
    image = b'"data":"' + b"QUJD" * 1000 + b'"'
    secret = b"sk-" + b"Ab1_" * 10
    ContentLog(["*"]).request(exchange, b"{%b,%b}" % (image, secret) + b"x " * 100_000)
    (line,) = lines()
    assert "QUJDQUJD" not in line
    assert "(4000 characters)" in line
    assert secret.decode() not in line
    assert len(line) < 70_000


@pytest.mark.parametrize("secret", ["correct-horse", 'with "quotes" in it'])
def test_secrets_of_the_installation_are_hidden_whatever_form_they_have(exchange, lines, secret):
    log = ContentLog(["*"], [secret])
    log.request(exchange, msgspec.json.encode({"text": f"my key is {secret}, too"}))
    log.answer(exchange, msgspec.json.encode({"text": f"do not tell {secret}"}))
    request, answer = (msgspec.json.decode(line)["content"] for line in lines())
    assert request == '{"text":"my key is (hidden), too"}'
    assert answer == '{"text":"do not tell (hidden)"}'


def test_what_stands_behind_a_large_image_is_told(exchange, lines):
    image = b'"data":"' + b"QUJD" * 500_000 + b'"'
    ContentLog(["*"]).request(exchange, b'{%b,"text":"What is this?"}' % image)
    (line,) = lines()
    assert "What is this?" in line
    assert "(2000000 characters)" in line


def delta(text):
    data = {"index": 0, "delta": {"type": "text_delta", "text": text}}
    return b"content_block_delta", msgspec.json.encode(data)


def test_a_key_that_is_split_over_events_is_hidden(exchange, lines):
    start = {"index": 0, "content_block": {"type": "text", "text": ""}}
    secret = "sk-" + "Ab1_" * 10
    events = [(b"content_block_start", msgspec.json.encode(start)), *map(delta, f"{secret} it is.")]
    ContentLog(["*"]).answer(exchange, events)
    (line,) = lines()
    content = msgspec.json.decode(msgspec.json.decode(line)["content"])
    assert content == {"content": [{"type": "text", "text": "sk-(hidden) it is."}]}


def test_events_that_are_no_message_are_not_told(exchange, lines):
    ContentLog(["*"]).answer(exchange, [delta("lost"), (b"content_block_start", b"{")])
    (line,) = lines()
    assert msgspec.json.decode(line)["content"] == "2 events that are no message"
