"""Claude Code, the real one, searches and fetches through the proxy."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import parts
import pytest
from claude_runs import run_claude
from fake_search import HITS, FakeSearch
from servers import RunningProxy

TLS = Path(__file__).parents[1] / "support" / "tls"
MAIN_LOOP = '"name": ?"Bash"'
SIDE = "Perform a web search for the query"
TASK = "When did Python 3.14 come out?"


@pytest.fixture(scope="module")
def claude():
    return parts.claude()


@pytest.fixture
def service():
    with FakeSearch("searxng") as fake:
        yield fake


def told_by_claude(claude, server: RunningProxy, tmp_path, task: str):
    """The events of one task, as Claude Code tells them."""
    settings = tmp_path / "home" / ".claude" / "settings.json"
    settings.parent.mkdir(parents=True)
    # Else it asks Anthropic, which is not there, whether a page may be fetched.
    settings.write_text('{"skipWebFetchPreflight": true}')
    environment = {
        "ANTHROPIC_MODEL": "claude-opus-4-6",
        "NODE_EXTRA_CA_CERTS": str(TLS / "server.pem"),
    }
    options = ("--output-format", "stream-json", "--verbose")
    told = run_claude(claude, server, tmp_path, task, *options, **environment)
    return [json.loads(line) for line in told.splitlines()]


@pytest.fixture
def page():
    """The URL of a page that only this machine has."""
    text = b"<html><title>Foxes</title><body><p>Quick brown foxes jump.</p></body></html>"

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def calls(identifier: str, name: str, **given: Any) -> dict[str, Any]:
    return {"content": [{"type": "tool_use", "id": identifier, "name": name, "input": given}]}


def script_the_search(sim, *, sums_up=False) -> None:
    told = {"content": [{"type": "text", "text": "In October."}]}
    steps = [
        ('"tool_use_id": ?"toolu_first"', told),
        (SIDE, calls("toolu_side", "web_search", query="python 3.14")),
        (MAIN_LOOP, calls("toolu_first", "WebSearch", query="python 3.14 release")),
    ]
    if sums_up:
        summed = {"content": [{"type": "text", "text": "Summed up: October."}]}
        steps.insert(0, (f'{SIDE}(.|\\n)*"toolu_', summed))
    sim.script([{"match": {"body": body}, "reply": reply} for body, reply in steps])


@pytest.mark.parametrize("shortcut", [True, False])
def test_web_search(claude, start, sim, service, tmp_path, shortcut):
    server = start(
        WEB_SEARCH_PROVIDER="searxng",
        WEB_SEARCH_URL=service.url,
        WEB_SEARCH_SHORTCUT=str(shortcut).lower(),
    )
    script_the_search(sim, sums_up=not shortcut)
    events = told_by_claude(claude, server, tmp_path, TASK)
    assert events[-1]["result"] == "In October."
    assert sim.queued() == []
    # The main loop twice, and the search: one call to ask, another one to sum up unless spared.
    log = sim.requests()
    side = [entry for entry in log if SIDE in json.dumps(entry["body"])]
    assert len(side) == (1 if shortcut else 2)
    assert len(log) == 2 + len(side)
    assert {entry["status"] for entry in log} == {200}
    assert [asked.query["q"] for asked in service.asked] == ["python 3.14"]
    # "Did 1 search", with its sources, and the text that was found.
    (told,) = [event for event in events if event.get("tool_use_result")]
    found = told["tool_use_result"]
    assert found["searchCount"] == 1
    assert [(one["title"], one["url"]) for one in found["results"][0]["content"]] == [
        (title, url) for url, title, *_ in HITS
    ]
    (block,) = told["message"]["content"]
    for url, title, text, _ in HITS:
        assert url in block["content"]
        if shortcut:
            assert f"{title} ({url})" in block["content"]
            assert text in block["content"]
    if not shortcut:
        assert "Summed up: October." in block["content"]


def test_a_search_that_fails_is_told_and_the_task_goes_on(claude, start, sim, service, tmp_path):
    service.mode = 500
    server = start(WEB_SEARCH_PROVIDER="searxng", WEB_SEARCH_URL=service.url)
    script_the_search(sim, sums_up=True)
    events = told_by_claude(claude, server, tmp_path, TASK)
    assert events[-1]["result"] == "In October."
    (told,) = [event for event in events if event.get("tool_use_result")]
    assert "unavailable" in json.dumps(told)
    assert len(sim.requests()) == 4


def test_where_nobody_searches_nothing_is_made_up(claude, start, sim, tmp_path):
    server = start(ENABLE_WEB_SEARCH="false")
    script_the_search(sim)
    events = told_by_claude(claude, server, tmp_path, TASK)
    assert events[-1]["result"] == "In October."
    (told,) = [event for event in events if event.get("tool_use_result")]
    assert "nobody searches the web" in json.dumps(told)
    assert len(sim.requests()) == 2  # the side request never left


def test_web_fetch(claude, start, sim, tmp_path, page):
    """Claude Code fetches by itself, and asks a small model about the page."""
    server = start()
    told = {"content": [{"type": "text", "text": "It is about foxes."}]}
    steps = [
        ('"tool_use_id": ?"toolu_first"', told),
        ("Quick brown foxes", {"content": [{"type": "text", "text": "Foxes, it says."}]}),
        (MAIN_LOOP, calls("toolu_first", "WebFetch", url=page, prompt="What is it about?")),
    ]
    sim.script([{"match": {"body": body}, "reply": reply} for body, reply in steps])
    events = told_by_claude(claude, server, tmp_path, "What is on that page?")
    assert events[-1]["result"] == "It is about foxes."
    (told,) = [event for event in events if event.get("tool_use_result")]
    assert (told["tool_use_result"]["code"], told["tool_use_result"]["url"]) == (200, page)
    assert told["message"]["content"][0]["content"] == "Foxes, it says."
    assert [entry["status"] for entry in sim.requests()] == [200, 200, 200]
    assert sim.queued() == []
