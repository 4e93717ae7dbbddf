"""Web fetch of the official SDK, through a real proxy, from a real server, on every dialect."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import pytest
from sandboxes import MODELS, dialects

FOXES = (
    "<html><head><title>Foxes</title></head><body><nav>Menu</nav><article><h1>Foxes</h1>"
    "<p>The quick brown fox jumped over a café in Nîmes, and nobody saw where it went.</p>"
    "<p>See <a href='/more'>more about it</a>.</p></article></body></html>"
)
PAGES = {
    "/": ("text/html; charset=iso-8859-1", FOXES),
    "/more": ("text/plain", "It went home."),
    "/moved": ("text/plain", ""),
    "/picture": ("image/png", "\x89PNG\r\n\x1a\n"),
    "/paper.pdf": ("application/pdf", "%PDF-1.7\n% a paper\n%%EOF"),
}


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        kind, text = PAGES.get(self.path, (None, ""))
        body = text.encode("latin-1")
        self.send_response(302 if self.path == "/moved" else 200 if kind else 404)
        if self.path == "/moved":
            self.send_header("location", "http://169.254.169.254/latest/meta-data/")
        self.send_header("content-type", kind or "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(start, simulator, site):
    settings = dialects(simulator) | {
        "FETCH_ALLOW_PRIVATE": "true",
        "FETCH_ALLOWED_PORTS": site.rpartition(":")[2],
    }
    server = start(**settings)
    with anthropic.Anthropic(base_url=server.url, api_key=server.key, max_retries=0) as sdk:
        yield sdk


def calls(url, identifier="toolu_fetch"):
    given = {"type": "tool_use", "id": identifier, "name": "web_fetch", "input": {"url": url}}
    return {"reply": {"content": [given]}}


def says(words):
    return {"reply": {"content": [{"type": "text", "text": words}]}}


def ask(client, model, said, *, stream, messages=None, **tool):
    body = {
        "model": model,
        "max_tokens": 500,
        "tools": [{"type": "web_fetch_20250910", "name": "web_fetch", **tool}],
        "messages": messages or [{"role": "user", "content": said}],
    }
    if not stream:
        return client.beta.messages.create(**body)
    with client.beta.messages.stream(**body) as answer:
        return answer.get_final_message()


def shown_to_model(request):
    return str(request["body"])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("dialect", MODELS)
def test_a_page_is_fetched_and_cited_and_seen_again(client, sim, site, dialect, stream):
    model, cited = MODELS[dialect], {"citations": {"enabled": True}}
    url = f"{site}/"
    sim.script([calls(url), says("-")])
    ask(client, model, f"Read {url}", stream=False, **cited)
    shown = shown_to_model(sim.requests()[-1])
    index = re.search(r"\[([a-z0-9]{5}-\d+)\][^\[]*quick brown", shown)[1]

    sim.reset()
    sim.script([calls(url), says(f'Look: <cited index="{index}">it jumped</cited>.')])
    message = ask(client, model, f"Read {url}", stream=stream, **cited)
    call, found, look, quoted, end = message.content
    assert (call.type, call.name, call.input) == ("server_tool_use", "web_fetch", {"url": url})
    assert found.tool_use_id == call.id
    page = found.content
    assert (page.type, page.url, page.content.title) == ("web_fetch_result", url, "Foxes")
    assert page.content.source.data.startswith("# Foxes\n")
    assert "café in Nîmes" in page.content.source.data
    assert f"[more about it]({site}/more)" in page.content.source.data
    assert (look.text, quoted.text, end.text) == ("Look: ", "it jumped", ".")
    [citation] = quoted.citations
    data = page.content.source.data
    assert citation.type == "char_location"
    assert data[citation.start_char_index : citation.end_char_index] == citation.cited_text
    assert "quick brown fox" in citation.cited_text
    assert message.usage.server_tool_use.web_fetch_requests == 1
    assert {request["status"] for request in sim.requests()} == {200}

    # The next turn: the model sees the page again, and may fetch what it links to.
    history = [
        {"role": "user", "content": f"Read {url}"},
        {"role": "assistant", "content": [block.to_dict() for block in message.content]},
        {"role": "user", "content": "And then?"},
    ]
    sim.reset()
    sim.script([calls(f"{site}/more", "toolu_more"), says("Home.")])
    message = ask(client, model, "", stream=stream, messages=history, **cited)
    assert message.content[1].content.content.source.data == "It went home."
    assert message.content[-1].text == "Home."
    assert "The quick brown fox" in shown_to_model(sim.requests()[0])
    assert {request["status"] for request in sim.requests()} == {200}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/gone", "url_not_accessible"),
        ("/picture", "unsupported_content_type"),
        ("/moved", "url_not_allowed"),
        ("/?of=mine", "url_not_in_prior_context"),
    ],
)
def test_what_cannot_be_fetched_is_told_in_the_answer(client, sim, site, path, code):
    sim.script([calls(site + path), says("No.")])
    named = "/" if "of=mine" in path else path
    message = ask(client, MODELS["invoke"], f"Read {site}{named}", stream=True)
    assert message.content[1].content.error_code == code
    assert message.content[2].text == "No."
    assert message.usage.server_tool_use.web_fetch_requests == 0


@pytest.mark.parametrize("dialect", MODELS)
def test_a_pdf_is_given_to_the_model_where_it_takes_one(client, sim, site, dialect):
    url = f"{site}/paper.pdf"
    sim.script([calls(url), says("A paper.")])
    message = ask(client, MODELS[dialect], f"Read {url}", stream=True)
    assert message.content[1].content.content.source.media_type == "application/pdf"
    assert message.content[-1].text == "A paper."
    assert {request["status"] for request in sim.requests()} == {200}
