"""Raw HTTP clients for the tests of bad days: many at once, and exact about what they read."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from urllib.parse import urlsplit

MODEL = "claude-haiku-4-5"
# Steps of the simulator's script: what a text that says so is answered.
REFUSALS = [
    {
        "match": {"text": "throttled"},
        "error": {"type": "ThrottlingException", "message": "Too many requests"},
        "times": "forever",
    },
    {
        "match": {"text": "refused"},
        "error": {"type": "ValidationException", "message": "no"},
        "times": "forever",
    },
]


@dataclass
class Read:
    """What one client got: `complete` when the HTTP answer ended as it announced."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False


async def post(
    url: str,
    key: str,
    *,
    stream: bool = True,
    text: str = "Hello",
    on_body=None,
    path="/v1/messages",
    max_tokens: int = 200,
) -> Read:
    """One request on one connection, read to its end or to its cut."""
    parts = urlsplit(url)
    document = {
        "model": MODEL,
        "max_tokens": max_tokens,
        "stream": stream,
        "messages": [{"role": "user", "content": text}],
    }
    body = json.dumps(document).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: proxy\r\nx-api-key: {key}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    result = Read()
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except ConnectionError:
        return result
    try:
        writer.write(head.encode() + body)
        await read_answer(reader, result, on_body)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()
    return result


async def read_answer(reader, result, on_body):
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    result.status = int(status.split(" ")[1])
    result.headers = dict(line.lower().split(": ", 1) for line in lines if line)
    if "content-length" in result.headers:
        result.body = await reader.readexactly(int(result.headers["content-length"]))
        result.complete = True
        return
    while size := int(await reader.readuntil(b"\r\n"), 16):
        result.body += await reader.readexactly(size)
        await reader.readexactly(2)
        if on_body is not None:
            on_body(result)
    await reader.readexactly(2)
    result.complete = True
