"""The fake upstream of the soak: `python -m bench.soak_upstream`.

Answers are as long as `max_tokens` asks: that many output tokens, so that the usage which a gateway
records can be told for each single answer. Requests that force a tool get a call of it; tokens are
counted. Streams are paced.
"""

from __future__ import annotations

import asyncio
import re
import signal
from functools import cache
from typing import Any, Final, cast

import msgspec
import uvloop

from . import work
from .fake_upstream import STREAM_HEAD, Pace, answer

_INTERVAL_MS: Final = 5.0
_TOKENS: Final = re.compile(rb'"max_tokens":\s*(\d+)')
_DELTAS: Final = 2000  # of a stream at most
_COUNTED: Final = answer(b'{"inputTokens":%d}' % work.INPUT_TOKENS)
_UNKNOWN: Final = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


class Asked(msgspec.Struct):
    """What was asked so far, by GET /control."""

    answers: int = 0
    streams: int = 0
    counts: int = 0


@cache
def _whole(tokens: int, *, tool: bool) -> bytes:
    document: dict[str, Any] = msgspec.json.decode(work.answer_body())
    document["usage"]["output_tokens"] = tokens
    if tool:
        call = {"type": "tool_use", "id": "toolu_1", "name": "read_file", "input": {"path": "a"}}
        document["content"], document["stop_reason"] = [call], "tool_use"
    else:
        document["content"][0]["text"] = "word " * tokens
    return answer(msgspec.json.encode(document))


@cache
def _stream(deltas: int) -> list[bytes]:
    chunks = [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in work.frames(deltas)]
    chunks[-1] += b"0\r\n\r\n"
    return chunks


class _Connection(asyncio.Protocol):
    """Parses just enough of HTTP/1.1 to know where a request ends and what it asks."""

    def __init__(self, asked: Asked, pace: Pace) -> None:
        self._asked = asked
        self._pace = pace
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            head = buffer[:end].lower()
            _, found, value = head.partition(b"\r\ncontent-length:")
            begin, end = end + 4, end + 4 + (int(value.split(b"\r", 1)[0]) if found else 0)
            if len(buffer) < end:
                break
            self._serve(head.split(b" ", 2)[1], buffer[begin:end])
            buffer = buffer[end:]
        self._buffer = buffer

    def _serve(self, target: bytes, body: bytes) -> None:
        asked, transport = self._asked, self._transport
        wanted = _TOKENS.search(body)
        tokens = int(wanted[1]) if wanted else 1
        if target.endswith(b"/invoke"):
            asked.answers += 1
            transport.write(_whole(tokens, tool=b'"tool_choice"' in body))
        elif target.endswith(b"/invoke-with-response-stream"):
            asked.streams += 1
            chunks = iter(_stream(min(tokens, _DELTAS)))
            transport.write(STREAM_HEAD + next(chunks))
            self._pace.join(transport, chunks)
        elif target.endswith(b"/count-tokens"):
            asked.counts += 1
            transport.write(_COUNTED)
        elif target == b"/control":
            transport.write(answer(msgspec.json.encode(asked)))
        else:
            transport.write(_UNKNOWN)


async def _serve() -> None:
    """Until SIGTERM; the port is the first line on stdout."""
    loop = asyncio.get_running_loop()
    asked, pace = Asked(), Pace(loop, _INTERVAL_MS)
    server = await loop.create_server(lambda: _Connection(asked, pace), "127.0.0.1", backlog=2048)
    stop = asyncio.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()


if __name__ == "__main__":
    uvloop.run(_serve())
