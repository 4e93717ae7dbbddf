"""Drives an ASGI application in memory, for tests of the HTTP side and the gateway."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from anthropic_bedrock_proxy.protocol.sse import SSEDecoder


class Answer:
    """What the application sent."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self.complete = False

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[tuple[bytes, bytes]]:
        return SSEDecoder().receive(self.body)


class Client:
    """One request: `send` runs it; `leave` makes the client vanish."""

    def __init__(self, app, method="POST", path="/v1/messages", *, headers=None, body=b"", **more):
        if not isinstance(body, bytes | list):
            body = json.dumps(body).encode()
        self._parts = body if isinstance(body, list) else [body]
        path, _, query = path.partition("?")
        self._scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "client": ("127.0.0.1", 1),
            "headers": [
                (name.lower().encode(), value.encode("utf-8", "surrogateescape"))
                for name, value in (headers or {}).items()
                for value in (value if isinstance(value, list) else [value])
            ],
            **more,
        }
        self._app = app
        self._left = asyncio.Event()
        self.answer = Answer()
        self.on_chunk = None
        self.blocked: asyncio.Event | None = None  # set: sending waits, as for a slow client

    async def _receive(self):
        if self._parts:
            part = self._parts.pop(0)
            if part is None:
                await self._left.wait()
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": part, "more_body": bool(self._parts)}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        answer = self.answer
        if message["type"] == "http.response.start":
            assert not answer.status, "the answer began twice"
            answer.status = message["status"]
            answer.headers = {
                name.decode(): value.decode("latin-1") for name, value in message["headers"]
            }
            return
        if self.blocked is not None:
            await self.blocked.wait()
        assert not answer.complete, "bytes after the end"
        if message["body"]:
            answer.chunks.append(message["body"])
        answer.complete = not message.get("more_body", False)
        if self.on_chunk is not None:
            self.on_chunk(answer)

    def leave(self):
        self._left.set()

    async def send(self) -> Answer:
        await self._app(self._scope, self._receive, self._send)
        return self.answer
