"""A small web for tests from outside: a search service, a site, and a model that has read both.

The site and what is found in it never change, so that the indexes of passages are known before a
model is scripted to cite them.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from fake_search import FakeSearch
from sandboxes import dialects, text
from servers import RunningServer

from anthropic_bedrock_proxy.tools.passages import source_index, split_passages

QUESTION = {"role": "user", "content": "Who jumped, and where is it now?"}
HTML = (
    "<html><head><title>Foxes</title></head><body><nav>Menu</nav><article><h1>Foxes</h1>"
    "<p>The quick brown fox jumped over a café in Nîmes, and nobody saw where it went that "
    "evening, although many had come for nothing else.</p>"
    "<p>It was seen again in Arles, two days later, asleep under the bridge.</p>"
    "</article></body></html>"
)
# The same as Markdown, without the menu.
PAGE = (
    "# Foxes\n\nThe quick brown fox jumped over a café in Nîmes, and nobody saw where it went that "
    "evening, although many had come for nothing else.\n\n"
    "It was seen again in Arles, two days later, asleep under the bridge."
)
FOUND = (
    "A fox jumped over a café on Monday, the first that did so since the café was opened there "
    "in 1904 by a baker. "
    "Its owner has offered a reward of 100 euros to whoever finds the animal and brings it back."
)
OTHER = "https://other.example/dogs"
# Code that finds the page, fetches it, and prints what the model will cite.
FILTER = """
import json
pages = json.loads(await web_search({"query": "fox"}))
page = json.loads(await web_fetch({"url": pages[0]["url"]}))
for passage in pages[0]["passages"] + page["passages"]:
    if "reward" in passage["text"] or "Arles" in passage["text"]:
        print(passage["index"], passage["text"])
"""
PRICE = 0.007  # USD for a search
CALL_COST = (1000 * 3 + 100 * 15) / 1_000_000  # USD, of one scripted answer of Claude Sonnet 4.6
_USAGE = {"input_tokens": 1000, "output_tokens": 100}


class _Site(BaseHTTPRequestHandler):
    def do_GET(self):
        body = HTML.encode() if self.path == "/foxes" else b""
        self.send_response(200 if body else 404)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Web(NamedTuple):
    """Where the page is, and who finds it."""

    page: str
    search: FakeSearch

    def settings(self, simulator: RunningServer, **more: str) -> dict[str, str]:
        """Settings of a proxy that searches and fetches here, on all dialects."""
        port = self.page.rpartition("/")[0].rpartition(":")[2]
        return {
            **dialects(simulator),
            "FETCH_ALLOW_PRIVATE": "true",
            "FETCH_ALLOWED_PORTS": port,
            "WEB_SEARCH_PROVIDER": "searxng",
            "WEB_SEARCH_URL": self.search.url,
            "WEB_SEARCH_PRICE": str(PRICE),
            "WEB_SEARCH_RATE_LIMIT": "0",
            **more,
        }

    def found_index(self, words: str) -> str:
        """The index of the passage with these words, of what the search tells of the page."""
        for number, (start, end) in enumerate(split_passages(FOUND), 1):
            if words in FOUND[start:end]:
                return f"{source_index(self.page, FOUND)}-{number}"
        raise LookupError(words)

    def page_index(self, words: str) -> str:
        """The index of the passage with these words, of the page."""
        for start, end in split_passages(PAGE):
            if words in PAGE[start:end]:
                return f"{source_index(self.page, PAGE)}-{start}"
        raise LookupError(words)

    def quotes(self, again: str = "") -> str:
        """An answer that cites both."""
        reward, asleep = self.found_index("reward"), self.page_index("Arles")
        return (
            f'Look{again}: <cited index="{reward}">there is a reward</cited>, and '
            f'<cited index="{asleep}">it sleeps in Arles</cited>.'
        )


@contextlib.contextmanager
def small_web() -> Iterator[Web]:
    """The web, as long as the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    page = f"http://127.0.0.1:{server.server_port}/foxes"
    hits = ((page, "Foxes", FOUND, 10), (OTHER, "Dogs", "Dogs do not jump.", None))
    try:
        with FakeSearch("searxng", hits) as search:
            yield Web(page, search)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def searches(query: str = "fox", identifier: str = "toolu_search") -> dict[str, Any]:
    """A model's search."""
    call = {"type": "tool_use", "id": identifier, "name": "web_search"}
    return call | {"input": {"query": query}}


def fetches(url: str, identifier: str = "toolu_fetch") -> dict[str, Any]:
    """A model's fetch."""
    return {"type": "tool_use", "id": identifier, "name": "web_fetch", "input": {"url": url}}


def answers(sim, *replies, chunk_chars: int | None = 7) -> None:
    """Scripts answers of the model, each a list of blocks, cut in so many characters."""
    fixed = {"usage": _USAGE, "chunk_chars": chunk_chars}
    sim.script([{"reply": {"content": list(content)} | fixed} for content in replies])


def web_tools(search: str = "web_search_20250305", fetch: str = "web_fetch_20250910", **more):
    """Both tools; the fetched page is cited. `more` is for the search alone."""
    return [
        {"type": search, "name": "web_search", **more},
        {"type": fetch, "name": "web_fetch", "citations": {"enabled": True}},
    ]


def said(text: str) -> dict[str, Any]:
    """A message of the user."""
    return {"role": "user", "content": text}


def history_of(message) -> dict[str, Any]:
    """An answer as clients send it back."""
    return {"role": "assistant", "content": message.to_dict()["content"]}


def shown_to_model(sim) -> list[str]:
    """What Bedrock was sent, one JSON text a call."""
    log = sim.requests()
    assert {entry["status"] for entry in log} == {200}
    return [json.dumps(entry["body"], ensure_ascii=False) for entry in log]


def without_chance(value: Any, names: dict[str, str] | None = None) -> Any:
    """A document with placeholders for what is made anew each time: ids, seals and moments."""
    names = {} if names is None else names
    if isinstance(value, list):
        return [without_chance(each, names) for each in value]
    if isinstance(value, dict):
        hidden = ("encrypted_content", "encrypted_index", "retrieved_at")
        return {
            key: "$" if key in hidden else without_chance(each, names)
            for key, each in value.items()
        }
    if isinstance(value, str) and value.startswith(("srvtoolu_", "toolu_", "container_")):
        return names.setdefault(value, f"${len(names)}")
    return value


def ask(client, model, *messages, stream, tools=None, **more):
    """The answer of the official SDK, whole or put together from a stream."""
    body = {"model": model, "max_tokens": 4000, "tools": tools or web_tools(), **more}
    if not stream:
        return client.messages.create(messages=messages, **body)
    with client.messages.stream(messages=messages, **body) as answer:
        return answer.get_final_message()


def script_the_conversation(sim, web):
    """The model searches, fetches what was found, and cites both."""
    answers(
        sim,
        [text("I search."), searches()],
        [fetches(web.page)],
        [text(web.quotes())],
    )


def check_citations(blocks):
    """Two parts of the answer cite what was found and what was fetched, in their own words."""
    look, reward, between, asleep, end = blocks
    assert [each.text for each in blocks] == [
        look.text,
        "there is a reward",
        ", and ",
        "it sleeps in Arles",
        ".",
    ]
    assert not any(each.citations for each in (look, between, end))
    [found], [fetched] = reward.citations, asleep.citations
    assert found.type == "web_search_result_location"
    assert found.cited_text in FOUND
    assert "reward of 100 euros" in found.cited_text
    assert len(found.cited_text) <= 150
    assert found.title == "Foxes"
    assert (fetched.type, fetched.document_title) == ("char_location", "Foxes")
    assert PAGE[fetched.start_char_index : fetched.end_char_index] == fetched.cited_text
    assert "asleep under the bridge" in fetched.cited_text
    return found, fetched
