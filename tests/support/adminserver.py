"""A proxy that serves only its admin API, on a real port: what `--url` talks to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from factories import make_application, make_authentication
from http_client import Client

from anthropic_bedrock_proxy.app.admin import build_admin
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.gateway.admission.authenticator import KeyOptions
from anthropic_bedrock_proxy.store.select import store_from_url

MASTER = "sk-master-of-the-tests"
_OF_THE_HOP = ("connection", "content-length", "host", "transfer-encoding")


@contextmanager
def proxy(environment: Mapping[str, str]) -> Iterator[str]:
    """The address of a proxy with these settings; the store is open for each request only."""
    settings = load_settings(None, environ=environment, env_file=None)

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            answer = asyncio.run(_serve(settings, self, body))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  # the names that http.server looks for

        def log_message(self, *_):
            """Nothing on stderr: tests look at it."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def _serve(settings, request, body):
    store = store_from_url(settings.store.url)
    await store.open()
    application = make_application(
        make_authentication(store, KeyOptions(master_api_key=MASTER)),
        build_admin=lambda: build_admin(settings, store),
    )
    headers = {
        name: value for name, value in request.headers.items() if name.lower() not in _OF_THE_HOP
    }
    client = Client(
        application,
        request.command,
        request.path,
        headers=headers,
        body=body,
    )
    try:
        return await client.send()
    finally:
        await store.close()
