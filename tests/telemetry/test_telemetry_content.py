"""The content log: off unless a key is named; keys and images are never in it."""

from __future__ import annotations

import logging

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
    assert ContentLog(["key_1"]).wants("key_1")
    assert not ContentLog(["key_1"]).wants("key_2")
    assert not ContentLog(["key_1"]).wants("")
    assert ContentLog(["*"]).wants("key_2")


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
    assert "(4002 characters)" in line
    assert secret.decode() not in line
    assert len(line) < 70_000
