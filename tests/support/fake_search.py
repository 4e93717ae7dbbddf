"""Search services on loopback sockets that answer as the real ones do, and fail as they are told.

    with FakeSearch("tavily") as fake:
        fake.url             # for WEB_SEARCH_URL
        fake.mode = 429      # a status, or one of MODES; None: well
        fake.asked           # the requests, oldest first

Shapes: those of the services' own references, see the modules of `search/`.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

KINDS = ("agentcore-api", "agentcore", "tavily", "brave", "exa", "searxng")
MODES = ("hang", "cut", "garbage", "no json", "wrong", "huge", "compressed")
TOOL = "web-search-tool___WebSearch"
HITS = (
    ("https://docs.example/3.14", "What's new & old", "Python 3.14 came in <October>.", 10),
    ("http://news.example/a?b=1", "News", "A release.", None),
)
HUGE = 3 * 1024 * 1024


class Asked(NamedTuple):
    """One request as it came; `query` has the last value of each name."""

    method: str
    path: str
    query: dict
    headers: dict
    body: bytes

    @property
    def document(self):
        """The body as JSON."""
        return json.loads(self.body)


def recorded(kind, hits=HITS, *, structured=False):
    """The document by which a service tells hits (url, title, text, day of November 2026)."""
    return _SHAPES[kind](list(hits), structured)


def _agentcore(hits, _):
    return {
        "results": [
            {"text": text, "title": title, "url": url}
            | ({"publishedAt": f"2026-11-{day}T08:00:00Z"} if day else {})
            for url, title, text, day in hits
        ]
    }


def _gateway(hits, structured):
    pages = [
        {
            "publishedDate": f"2026-11-{day}T08:00:00Z" if day else "unknown",
            "text": text,
            "title": title,
            "url": url,
        }
        for url, title, text, day in hits
    ]
    found = {"id": "1", "results": pages}
    if structured:
        return {"isError": False, "content": [], "structuredContent": found}
    return {"isError": False, "content": [{"type": "text", "text": json.dumps(found)}]}


def _tavily(hits, _):
    results = [
        {"title": title, "url": url, "content": text, "score": 0.9, "raw_content": None}
        | ({"published_date": f"2026-11-{day}T08:00:00Z"} if day else {})
        for url, title, text, day in hits
    ]
    about = {"query": "q", "follow_up_questions": None, "answer": None, "images": []}
    return {**about, "results": results, "response_time": 1.2, "request_id": "r"}


def _brave(hits, _):
    results = [
        {
            "title": _escaped(title),
            "url": url,
            "is_source_local": False,
            "description": f"<strong>{_escaped(text)}</strong>",
            "language": "en",
            "family_friendly": True,
            "type": "search_result",
            "meta_url": {"scheme": "https", "hostname": "x"},
        }
        | ({"page_age": f"2026-11-{day}T08:00:00", "age": f"November {day}, 2026"} if day else {})
        for url, title, text, day in hits
    ]
    found = {"query": {"original": "q"}, "mixed": {"type": "mixed"}, "type": "search"}
    return found | ({"web": {"type": "search", "results": results}} if results else {})


def _exa(hits, _):
    results = [
        {"id": url, "title": title, "url": url, "author": None, "text": text}
        | ({"publishedDate": f"2026-11-{day}T08:00:00.000Z"} if day else {})
        for url, title, text, day in hits
    ]
    return {"requestId": "r", "resolvedSearchType": "auto", "results": results}


def _searxng(hits, _):
    results = [
        {
            "url": url,
            "title": title,
            "content": text,
            "engine": "x",
            "engines": ["x"],
            "score": 1.0,
            "category": "general",
            "publishedDate": f"2026-11-{day}T08:00:00" if day else None,
        }
        for url, title, text, day in hits
    ]
    empty = {"answers": [], "corrections": [], "infoboxes": [], "suggestions": []}
    return (
        {"query": "q", "number_of_results": 0, "results": results}
        | empty
        | {"unresponsive_engines": []}
    )


def _escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_SHAPES = {
    "agentcore-api": _agentcore,
    "agentcore": _gateway,
    "tavily": _tavily,
    "brave": _brave,
    "exa": _exa,
    "searxng": _searxng,
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Says nothing: whoever has heard enough hangs up."""


class FakeSearch:
    """One service; `hits` are what it finds, whatever is asked."""

    def __init__(self, kind, hits=HITS, *, port=0):
        self.kind = kind
        self.hits = hits
        self.mode = None
        self.replies = []  # documents or (status, document) that come first, one for each request
        self.framed = False  # as a server-sent event, which gateways may do
        self.structured = False
        self.headers = {}
        self.asked = []
        self._gone = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                fake.answer(self)

            do_POST = do_GET  # noqa: N815  # as `http.server` has it

            def log_message(self, *_):
                pass

        self._server = _Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        if kind == "agentcore":
            self.url += "/mcp"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._gone.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler):
        """Answers one request."""
        parts = urlsplit(handler.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        asked = Asked(handler.command, parts.path, query, headers, body)
        self.asked.append(asked)
        if self.kind == "agentcore" and self.mode is None:
            self._gateway(handler, asked)
        else:
            self._service(handler)

    def _gateway(self, handler, asked):
        call = asked.document
        if call["method"] == "tools/list":
            tools = [{"name": "x_amz_bedrock_agentcore_search"}, {"name": TOOL, "inputSchema": {}}]
            result = {"tools": tools}
        else:
            result = recorded(self.kind, self.hits, structured=self.structured)
        document = {"jsonrpc": "2.0", "id": call["id"], "result": result}
        if self.replies:
            document = self.replies.pop(0)
        if self.framed:
            text = f"event: message\r\ndata: {json.dumps(document)}\r\n\r\n".encode()
            send(handler, 200, text, {"content-type": "text/event-stream"})
        else:
            send(handler, 200, json.dumps(document).encode())

    def _service(self, handler):
        mode = self.mode
        well = json.dumps(recorded(self.kind, self.hits)).encode()
        if self.replies:
            status, document = self.replies.pop(0)
            send(handler, status, json.dumps(document).encode(), self.headers)
        elif mode is None:
            send(handler, 200, well, self.headers)
        elif isinstance(mode, int):
            send(handler, mode, b'{"message": "m"}', self.headers | {"location": "/elsewhere"})
        elif mode == "hang":
            self._gone.wait(30)
        elif mode == "cut":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + well)
            handler.wfile.flush()
            handler.close_connection = True
        elif mode == "garbage":
            send(handler, 200, bytes(range(256)))
        elif mode == "no json":
            send(handler, 200, b"<html>Just a moment</html>", {"content-type": "text/html"})
        elif mode == "wrong":
            send(handler, 200, b'{"type": "search", "web": {"results": 5}, "results": [5]}')
        elif mode == "huge":
            send(handler, 200, b" " * HUGE + well)
        elif mode == "compressed":
            send(handler, 200, b"\x1f\x8b\x08\x00garbage", {"content-encoding": "gzip"})


def send(handler, status, body, headers=None):
    """Writes a whole answer; nobody may be there to read it."""
    try:
        handler.send_response(status)
        for name, value in ({"content-type": "application/json"} | (headers or {})).items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
    except ConnectionError:
        handler.close_connection = True


if __name__ == "__main__":  # `fake_search.py KIND --port PORT`, until it is killed
    with FakeSearch(sys.argv[1], port=int(sys.argv[3])) as service:
        print(service.url, flush=True)
        threading.Event().wait()
