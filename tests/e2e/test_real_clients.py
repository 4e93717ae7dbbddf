"""Clients that people use, each in all its ways of speaking HTTP/1.1, against a running proxy."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import parts
import pytest
from servers import MASTER_KEY, ROOT, RunningServer, clean_environment, proxy_environment

MODEL = "claude-haiku-4-5"
TLS = ROOT / "tests" / "support" / "tls"
_SECONDS = 60


def body_of(**more):
    hello = [{"role": "user", "content": "Hello"}]
    return json.dumps({"model": MODEL, "max_tokens": 50, "messages": hello, **more})


BODY = body_of()
WAYS = pytest.mark.parametrize("way", ["--http1.0", "--http1.1", "--http2"])


def run(*command, folder):
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(folder),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def curl(proxy, sim, tmp_path):
    """`curl(*options)` with a key; it writes the answers, each with a line about it behind."""
    program = parts.program("curl")
    said = ["-w", r"\n%{http_code} %{http_version} %{num_connects}\n"]

    def curl(*options, key=proxy.key):
        keys = ["-H", f"x-api-key: {key}", "-H", "content-type: application/json"]
        return run(program, "-sS", *keys, *said, *options, folder=tmp_path)

    return curl


def answers(done):
    """Status, version and new connections of each answer."""
    return re.findall(r"^(\d{3}) (\S+) (\d)$", done.stdout, re.MULTILINE)


@WAYS
def test_curl_posts_and_gets_its_answer(curl, proxy, way):
    done = curl(way, f"{proxy.url}/v1/messages", "-d", BODY)
    assert json.loads(done.stdout.splitlines()[0])["type"] == "message"
    assert answers(done) == [("200", "1.1", "1")]


@WAYS
def test_curl_reads_a_stream_to_its_end(curl, proxy, way):
    done = curl(way, "-N", f"{proxy.url}/v1/messages", "-d", body_of(stream=True))
    assert done.stdout.count("event: message_stop") == 1
    assert answers(done) == [("200", "1.1", "1")]


@pytest.mark.parametrize("way", ["--http1.1", "--http2"])
def test_curl_keeps_its_connection(curl, proxy, way):
    several = [f"{proxy.url}/v1/messages"] * 3
    done = curl(way, *several, "-d", BODY)
    assert answers(done) == [("200", "1.1", "1"), ("200", "1.1", "0"), ("200", "1.1", "0")]


@pytest.mark.parametrize("way", ["--http1.1", "--http2"])
def test_curl_waits_for_100_and_uploads_in_chunks(curl, proxy, way):
    url = f"{proxy.url}/v1/messages"
    done = curl(way, "-v", "-H", "Expect: 100-continue", url, "-d", BODY)
    assert "< HTTP/1.1 100 Continue" in done.stderr
    assert answers(done) == [("200", "1.1", "1")]
    done = curl(way, "-v", "-H", "Transfer-Encoding: chunked", url, "-d", BODY)
    assert "> Transfer-Encoding: chunked" in done.stderr
    assert answers(done) == [("200", "1.1", "1")]


def test_curl_asks_for_heads_and_options(curl, proxy):
    done = curl("-I", f"{proxy.url}/health", f"{proxy.url}/health")
    assert [one[::2] for one in answers(done)] == [("200", "1"), ("200", "0")]
    done = curl("-X", "OPTIONS", "--request-target", "*", proxy.url)
    assert answers(done) == [("204", "1.1", "1")]
    done = curl("--proxy", proxy.url, "http://elsewhere.example/health")  # absolute-form
    assert answers(done) == [("200", "1.1", "1")]


def test_curl_is_refused_in_words(curl, proxy):
    done = curl("-H", "Host:", f"{proxy.url}/health")
    assert json.loads(done.stdout.splitlines()[0])["error"]["type"] == "invalid_request_error"
    done = curl(f"{proxy.url}/v1/messages", "-d", BODY, key="wrong")
    assert answers(done) == [("401", "1.1", "1")]


def test_curl_speaks_over_a_unix_socket(curl, simulator, tmp_path):
    path = tmp_path / "proxy.socket"
    environment = proxy_environment(tmp_path, simulator.url, {})
    with RunningServer(tmp_path, ["serve", "--host", f"unix://{path}"], environment):
        several = ["http://proxy/v1/messages"] * 2
        done = curl("--http2", "--unix-socket", path, *several, "-d", BODY, key=MASTER_KEY)
        assert answers(done) == [("200", "1.1", "1"), ("200", "1.1", "0")]


@pytest.fixture
def secure(start):
    """The address of a proxy that ends TLS itself."""
    settings = {"TLS_CERT_FILE": TLS / "server.pem", "TLS_KEY_FILE": TLS / "server.key"}
    proxy = start(**{name: str(path) for name, path in settings.items()})
    return proxy, f"https://localhost:{urlsplit(proxy.url).port}"


@WAYS
def test_curl_speaks_over_tls(curl, secure, way):
    proxy, url = secure
    path = f"{url}/v1/messages"
    done = curl("-k", way, path, "-d", body_of(stream=True), key=proxy.key)
    assert done.stdout.count("event: message_stop") == 1
    done = curl("--cacert", str(TLS / "server.pem"), way, path, "-d", BODY, key=proxy.key)
    assert [one[0] for one in answers(done)] == ["200"]


def test_java_asks_for_http_2_and_is_served(proxy, sim, tmp_path):
    source = parts.CLIENTS / "Client.java"
    done = run(parts.program("java"), source, proxy.url, proxy.key, BODY, folder=tmp_path)
    seen = [tuple(line.split()[:3]) for line in done.stdout.splitlines()]
    assert seen == [
        (asked, "HTTP_1_1", status)
        for asked in ("HTTP_1_1", "HTTP_2")
        for _ in range(3)
        for status in ("200", "200", "200", "401")
    ]


def test_node_fetches_and_keeps_its_connection(proxy, sim, tmp_path):
    source = parts.CLIENTS / "client.http.mjs"
    done = run(parts.program("node"), source, proxy.url, proxy.key, BODY, folder=tmp_path)
    seen = json.loads(done.stdout)
    assert seen["fetched"] == [[200, "message"]] * 10 + [[200, 0], [200, "message"]]
    assert [one[:2] for one in seen["kept"]] == [[200, "message"]] * 21
    assert len({port for *_, port in seen["kept"]}) == 1


def test_pythons_own_clients_are_served(proxy, sim):
    parts_of_url = urlsplit(proxy.url)
    connection = http.client.HTTPConnection(parts_of_url.hostname, parts_of_url.port, timeout=20)
    headers = {"x-api-key": proxy.key, "content-type": "application/json"}
    ports = set()
    for chunked in (False, True, False):
        body = iter([BODY[:10].encode(), BODY[10:].encode()]) if chunked else BODY
        connection.request(
            "POST", "/v1/messages", body=body, headers=headers, encode_chunked=chunked
        )
        answer = connection.getresponse()
        assert (answer.status, json.load(answer)["type"]) == (200, "message")
        ports.add(connection.sock.getsockname())
    connection.request("HEAD", "/health")
    assert connection.getresponse().read() == b""
    connection.close()
    assert len(ports) == 1
    request = urllib.request.Request(f"{proxy.url}/v1/messages", BODY.encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer)["type"] == "message"
    request = urllib.request.Request(f"{proxy.url}/v1/messages", BODY.encode(), {})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=20)
    assert json.load(refused.value)["error"]["type"] == "authentication_error"
    refused.value.close()


@pytest.mark.parametrize("path", ["/health", "/v1/messages"])
def test_h2load_is_served_by_http_1_1(proxy, sim, tmp_path, path):
    body = tmp_path / "body.json"
    body.write_text(BODY)
    post = ["-d", body, "-H", f"x-api-key: {proxy.key}"] if path != "/health" else []
    load = ["--h1", "-n", "300", "-c", "6", "-m", "4"]
    done = run(parts.program("h2load"), *load, *post, proxy.url + path, folder=tmp_path)
    assert "300 succeeded, 0 failed, 0 errored" in done.stdout
    assert "Application protocol: http/1.1" in done.stdout
