"""Pages of other origins: what browsers are told, by the Fetch standard."""

from __future__ import annotations

import asyncio

import pytest
from http_client import Client
from streams import MESSAGE, STREAM, encode

from anthropic_bedrock_proxy.app.build import check
from anthropic_bedrock_proxy.config import SettingsError, load_settings
from anthropic_bedrock_proxy.gateway.admission.rate_limits import LimitOptions
from anthropic_bedrock_proxy.http.cors import CORS, EXPOSED

KEY = {"x-api-key": "sk-master"}
APP = "https://app.example"
ANY = CORS(origins=frozenset(("*",)))
NAMED = CORS(origins=frozenset((APP, "https://other.example:8443")))
HELLO = {
    "model": "claude-haiku-4-5",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hello"}],
}
ASKS = {
    "origin": APP,
    "access-control-request-method": "POST",
    "access-control-request-headers": "x-api-key, content-type",
}


def send(proxy, method="POST", path="/v1/messages", *, headers, body=HELLO):
    proxy.upstream.script.append([STREAM] if "stream" in body else encode(MESSAGE))
    body = body if method == "POST" else b""
    return asyncio.run(Client(proxy.app, method, path, headers=headers, body=body).send())


def cors_of(answer):
    """The headers of an answer that are about origins."""
    return {
        name.removeprefix("access-control-"): value
        for name, value in answer.headers.items()
        if name.startswith("access-control-") or name == "vary"
    }


def test_by_default_nobody_is_told_anything(make_proxy):
    proxy = make_proxy()
    for method, path in (("POST", "/v1/messages"), ("GET", "/health"), ("OPTIONS", "/v1/messages")):
        answer = send(proxy, method, path, headers=KEY | ASKS)
        assert answer.status in (200, 204)
        assert cors_of(answer) == {}


def test_a_preflight_needs_no_key(make_proxy):
    answer = send(make_proxy(cors=ANY), "OPTIONS", headers=ASKS)
    assert (answer.status, answer.body) == (204, b"")
    told = cors_of(answer)
    assert told.pop("expose-headers")
    assert told == {
        "allow-origin": "*",
        "allow-methods": "POST, OPTIONS",
        "allow-headers": "x-api-key, content-type",
        "max-age": "600",
    }


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/models", "GET, HEAD, OPTIONS"),
        ("/v1/models/claude-haiku-4-5", "GET, HEAD, OPTIONS"),
        ("*", "OPTIONS"),
    ],
)
def test_a_preflight_names_the_methods_of_the_path(make_proxy, path, methods):
    answer = send(make_proxy(cors=ANY), "OPTIONS", path, headers=ASKS)
    assert cors_of(answer)["allow-methods"] == methods


def test_methods_and_headers_can_be_listed(make_proxy):
    cors = CORS(origins=frozenset((APP,)), methods=("GET", "POST"), headers=("x-api-key",))
    told = cors_of(send(make_proxy(cors=cors), "OPTIONS", headers=ASKS))
    assert (told["allow-methods"], told["allow-headers"]) == ("GET, POST", "x-api-key")


def test_options_without_a_preflight_are_only_what_the_path_serves(make_proxy):
    answer = send(make_proxy(cors=ANY), "OPTIONS", headers={"origin": APP})
    assert answer.headers["allow"] == "POST, OPTIONS"
    assert set(cors_of(answer)) == {"allow-origin", "expose-headers"}


def test_a_page_may_read_every_header_that_means_something(make_proxy):
    proxy = make_proxy(cors=ANY, limits=LimitOptions())
    key = proxy.add_key(rate_limit=10, tpm_limit=100_000)
    answer = send(proxy, headers={"x-api-key": key, "origin": APP})
    assert "anthropic-ratelimit-requests-limit" in answer.headers
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert exposed == list(EXPOSED)
    assert "*" not in "".join(exposed)  # in a list of names it would be one
    always = {"content-type", "content-length", "date", "cache-control", "x-accel-buffering"}
    sent = {name for name in answer.headers if not name.startswith("access-control-")}
    assert sent - always <= set(exposed)


def test_a_stream_can_be_read_too(make_proxy):
    answer = send(
        make_proxy(cors=NAMED), headers=KEY | {"origin": APP}, body=HELLO | {"stream": True}
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = cors_of(answer)
    assert (told["allow-origin"], told["vary"]) == (APP, "origin")
    assert answer.events


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v1/messages", {}, 401),
        ("POST", "/nowhere", KEY, 404),
        ("OPTIONS", "/nowhere", ASKS, 404),
        ("GET", "/v1/messages", KEY, 405),
        ("POST", "/v1/messages", KEY | {"anthropic-version": "1999-01-01"}, 400),
    ],
)
def test_errors_can_be_read_too(make_proxy, method, path, headers, status):
    answer = send(make_proxy(cors=NAMED), method, path, headers=headers | {"origin": APP})
    assert answer.status == status
    assert answer.json["type"] == "error"
    assert cors_of(answer)["allow-origin"] == APP


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example", "null", "https://app.example.evil.example", "http://app.example"),
        *("https://app.example:444", "https://APP.example", "https://app.example/"),
        [APP, "https://evil.example"],
        "https://app.example\xff",
    ],
)
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
def test_origins_that_are_not_named_learn_nothing(make_proxy, origin, method):
    answer = send(make_proxy(cors=NAMED), method, headers=KEY | ASKS | {"origin": origin})
    assert cors_of(answer) == {"vary": "origin"}  # for caches: others would be told something else


def test_who_names_no_origin_is_no_page(make_proxy):
    assert cors_of(send(make_proxy(cors=ANY), headers=KEY)) == {}
    assert cors_of(send(make_proxy(cors=NAMED), headers=KEY)) == {"vary": "origin"}


def test_credentials_are_for_named_origins(make_proxy):
    cors = CORS(origins=frozenset((APP,)), credentials=True)
    for method in ("POST", "OPTIONS"):
        told = cors_of(send(make_proxy(cors=cors), method, headers=KEY | ASKS))
        assert (told["allow-origin"], told["allow-credentials"]) == (APP, "true")
        assert told["vary"] == "origin"
    answer = send(make_proxy(cors=cors), headers=KEY | {"origin": "https://evil.example"})
    assert "allow-credentials" not in cors_of(answer)


def test_what_a_preflight_asks_for_cannot_write_headers_of_its_own(make_proxy):
    asks = ASKS | {"access-control-request-headers": "a, b: c"}
    answer = send(make_proxy(cors=ANY), "OPTIONS", headers=asks)
    assert answer.headers["access-control-allow-headers"] == "a, b: c"
    assert "b" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        "app.example",
        "https://app.example/",
        "https://a.example/x",
        "HTTPS://A.Example",
        "https://*.x",
    ],
)
def test_origins_that_no_browser_sends_are_refused_at_the_start(origin):
    settings = load_settings(None, environ={"CORS_ORIGINS": origin}, env_file=None)
    with pytest.raises(SettingsError, match="CORS_ORIGINS: "):
        check(settings)
    check(
        load_settings(
            None, environ={"CORS_ORIGINS": "https://a.b:1, http://[::1]:2"}, env_file=None
        )
    )
