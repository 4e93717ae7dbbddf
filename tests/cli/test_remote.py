"""What `--url` does where the proxy, or the way to it, is not as it should be."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from adminserver import MASTER, proxy
from click.testing import CliRunner

from anthropic_bedrock_proxy.cli.main import cli

SETTINGS = {"STORE_URL": "sqlite:///s.db"}


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Runs a command with nothing in the environment but what the test says."""
    monkeypatch.chdir(tmp_path)

    def invoke(*words, **environment):
        return CliRunner(env=environment).invoke(cli, [str(word) for word in words])

    return invoke


@contextmanager
def stranger(status, headers, body=b"hello"):
    """A server that is no proxy of ours; yields its address and what it was sent."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(dict(self.headers))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Nothing on stderr."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


def assert_failed(result, words):
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: ")
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_where_the_key_comes_from(ask, tmp_path):
    (tmp_path / "key").write_text(f"{MASTER}\n")
    (tmp_path / ".env").write_text(f"MASTER_API_KEY={MASTER}\n")
    with proxy(SETTINGS) as url:
        assert ask("keys", "list", "--url", url).exit_code == 0
        words = ("keys", "list", "--url", f"{url}/")
        assert_failed(ask(*words, ADMIN_API_KEY="sk-wrong"), "not known")
        file = ("--admin-key-file", "key")
        assert ask(*words, *file, ADMIN_API_KEY="sk-wrong").exit_code == 0
        assert_failed(ask(*words, "--admin-key-file", "missing"), "the key cannot be read")
        (tmp_path / ".env").unlink()
        assert_failed(ask(*words), "--url needs a key")
        assert_failed(ask(*words, ADMIN_API_KEY="a b"), "characters that none has")
    assert ask("keys", "list", *file).exit_code == 2


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "file:///etc/passwd",
        "http://",
        "http://u:p@x",
        "x",
        "http://[::1",
        "http://x:port",
        "http://x:99999",
        "http://x y",
        "http://x/\x01",
        "http://x?path=",
        "http://x/#",
    ],
)
def test_addresses_that_are_none(ask, url):
    result = ask("keys", "list", "--url", url, ADMIN_API_KEY="k")
    assert (result.exit_code, result.stdout) == (2, "")


def test_nobody_listens(ask):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        result = ask("keys", "list", "--url", url, ADMIN_API_KEY="k")
        assert_failed(result, "cannot be reached")
        assert "does the proxy run" in result.stderr
        assert "does the proxy run" in ask("top", "--url", url).stderr


def test_the_key_follows_no_redirect(ask):
    with stranger(200, {}) as (target, seen), stranger(302, {"location": target}) as (url, _):
        result = ask("keys", "list", "--url", url, ADMIN_API_KEY="k")
        assert_failed(result, f"the proxy answered 302 and leads to {target}; ")
    assert seen == []


@contextmanager
def speaker(answer):
    """A server that says the same to everybody and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            thread.join()


OURS = b"HTTP/1.1 200 OK\r\nrequest-id: r\r\ncontent-length: %d\r\n\r\n%s"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no HTTP\r\n\r\n",
        b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"keys": []}',
        OURS % (99, b"{"),
        OURS % (1, b"{"),
        OURS % (4, b"\xff\xfe[["),
        OURS % (200_000, b"[" * 200_000),
        b"HTTP/1.1 200 OK\r\nrequest-id: r\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 503 Down\r\ncontent-length: 99\r\n\r\n{",
    ],
)
def test_an_answer_that_is_cut_or_is_nobody_s(ask, answer):
    with speaker(answer) as url:
        assert_failed(ask("keys", "list", "--url", url, ADMIN_API_KEY="k"), url)


@pytest.mark.parametrize("status", [200, 502])
def test_something_else_answers(ask, status):
    with stranger(status, {"content-type": "text/html"}) as (url, _):
        assert_failed(ask("users", "list", "--url", url, ADMIN_API_KEY="k"), "answered")
