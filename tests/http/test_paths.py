"""Paths as clients write them: those of their APIs are found, no other is reached by it."""

from __future__ import annotations

import asyncio

import pytest
from http_client import Client

from anthropic_bedrock_proxy.http.paths import meant_path

BODY = {
    "model": "claude-haiku-4-5",
    "max_tokens": 10,
    "messages": [{"role": "user", "content": "Hello"}],
}
KEY = {"x-api-key": "sk-master"}
PREFIXES = (
    "/v1/v1",
    "//v1",
    "/v1/",
    "//v1//",
    "",
    "/",
    "/anthropic",
    "/anthropic/v1",
    "/anthropic/",
    "/anthropic/v1/v1",
    "/v1/anthropic/v1",
)


def ask(proxy, path, method="POST", body=BODY, headers=KEY):
    return asyncio.run(Client(proxy.app, method, path, headers=headers, body=body).send())


@pytest.mark.parametrize("end", ["", "/", "//", "?beta=true", "/?beta=true"])
@pytest.mark.parametrize("prefix", [*PREFIXES, "/v1"])
def test_messages_are_found(proxy, message, prefix, end):
    proxy.upstream.script.append(message)
    answer = ask(proxy, f"{prefix}/messages{end}")
    assert (answer.status, answer.json["type"]) == (200, "message")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_so_are_the_other_endpoints(proxy, prefix):
    assert ask(proxy, f"{prefix}/models/", "GET", None).json["data"]
    one = ask(proxy, f"{prefix}/models/claude-opus-5-5/", "GET", None).json
    assert one["id"] == "claude-opus-5-5"
    proxy.upstream.script.append(b'{"inputTokens":7}')
    assert ask(proxy, f"{prefix}/messages/count_tokens/").json == {"input_tokens": 7}


def test_a_wrong_method_is_told_as_on_the_exact_path(proxy):
    answer = ask(proxy, "/v1/messages/", "GET", None)
    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_key_is_asked_for_there_too(proxy, prefix):
    assert ask(proxy, f"{prefix}/messages", headers={}).status == 401
    assert not proxy.upstream.calls


@pytest.mark.parametrize(
    "path",
    [
        "/v1/admin/api/keys",
        "/anthropic/admin",
        "//admin",
        "/admin/",
        "/v1//health",
        "/anthropic/metrics",
        "/v1/../admin/api/keys",
        "/v1/./messages",
        "/other/v1/messages",
        "/v2/messages",
        "/v1/messages.json",
        "/%76%31/messages",
        "/anthropic",
        "/",
    ],
)
def test_nothing_else_is_meant(path):
    assert meant_path(path.encode()) is None


def test_a_name_keeps_its_encoding():
    meant = meant_path(b"/v1//models/arn%3Aaws%2Fx")
    assert meant == ("/v1/models/arn:aws/x", b"/v1/models/arn%3Aaws%2Fx")
