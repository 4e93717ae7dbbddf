"""The lightest honest fake of bedrock-runtime: `python -m bench.fake_upstream`.

One process, one `asyncio.Protocol`, answers encoded before the first request. It reads every
request to its end (a gateway that cuts bodies short would hang here), keeps connections alive and
counts what it was asked, so that the usage a gateway recorded can be compared with it.
GET /control tells the counters; POST /control sets how streams are delivered from then on:
`{"deltas": 100, "interval_ms": 10}`; an interval of 0 sends a stream in one write.
Paced streams share one timer; they are spread over its slots, so that they do not all speak in the
same instant: a real gateway is not woken once for five hundred events either.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Final, cast

import msgspec
import uvloop

from . import work

_TICK_MS: Final = 1.0
_KEEP: Final = b"x-amzn-requestid: " + work.REQUEST_ID.encode() + b"\r\n"


class Control(msgspec.Struct):
    """How streams are delivered, and what was asked so far."""

    deltas: int = 100
    interval_ms: float = 0.0
    answers: int = 0
    streams: int = 0  # begun
    tokens: int = 0  # output tokens of all the answers that were begun


def answer(body: bytes) -> bytes:
    """A whole answer of HTTP around `body`."""
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        + _KEEP
        + b"content-length: %d\r\n\r\n" % len(body)
        + body
    )


STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\n"
    + _KEEP
    + b"x-amzn-bedrock-content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
)


class Pace:
    """Streams that all send an event every `interval_ms`, spread over that time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, interval_ms: float) -> None:
        self._loop = loop
        self._slots: list[list[tuple[asyncio.WriteTransport, Iterator[bytes]]]] = [
            [] for _ in range(max(1, round(interval_ms / _TICK_MS)))
        ]
        self._now = self._joined = 0
        self._ticking = False
        self._due = 0.0

    def join(self, transport: asyncio.WriteTransport, chunks: Iterator[bytes]) -> None:
        """From now on the stream speaks once per interval."""
        self._joined += 1
        self._slots[self._joined % len(self._slots)].append((transport, chunks))
        if not self._ticking:
            self._ticking = True
            self._due = self._loop.time()
            self._tick()

    def _tick(self) -> None:
        """Serves the slots that are due; falls behind rather than skip an event."""
        while self._due <= self._loop.time():
            self._due += _TICK_MS / 1000
            self._now = (self._now + 1) % len(self._slots)
            self._slots[self._now] = [
                stream for stream in self._slots[self._now] if _write_next(*stream)
            ]
        self._ticking = any(self._slots)
        if self._ticking:
            self._loop.call_at(self._due, self._tick)


def _write_next(transport: asyncio.WriteTransport, chunks: Iterator[bytes]) -> bool:
    chunk = next(chunks, None)
    if chunk is None or transport.is_closing():
        return False
    transport.write(chunk)
    return True


class Bedrock:
    """What the connections share: the encoded answers, the counters, the pace."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.control = Control()
        self.answer = answer(work.answer_body())
        self._loop = loop
        self.configure(self.control)

    def configure(self, wanted: Control) -> None:
        """Takes over the delivery of `wanted`; streams that run keep theirs."""
        self.control.deltas, self.control.interval_ms = wanted.deltas, wanted.interval_ms
        chunks = [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in work.frames(wanted.deltas)]
        chunks[-1] += b"0\r\n\r\n"
        self._chunks = chunks
        self._whole = STREAM_HEAD + b"".join(chunks)
        self._pace = Pace(self._loop, wanted.interval_ms)

    def stream(self, transport: asyncio.WriteTransport) -> None:
        """Begins one streamed answer; its first event leaves at once."""
        control = self.control
        control.streams += 1
        control.tokens += control.deltas
        if control.interval_ms:
            chunks = iter(self._chunks)
            transport.write(STREAM_HEAD + next(chunks))
            self._pace.join(transport, chunks)
        else:
            transport.write(self._whole)


class Connection(asyncio.Protocol):
    """Parses just enough of HTTP/1.1 to know where a request ends and what it asks."""

    def __init__(self, bedrock: Bedrock) -> None:
        self._bedrock = bedrock
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        """Serves every request that is complete."""
        buffer = self._buffer + data if self._buffer else data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            head = buffer[:end].lower()
            _, found, value = head.partition(b"\r\ncontent-length:")
            end += 4 + (int(value.split(b"\r", 1)[0]) if found else 0)
            if len(buffer) < end:
                break
            self._serve(head, buffer[:end])
            buffer = buffer[end:]
        self._buffer = buffer

    def _serve(self, head: bytes, request: bytes) -> None:
        bedrock = self._bedrock
        target = head.split(b" ", 2)[1]
        if target.endswith(b"/invoke"):
            bedrock.control.answers += 1
            bedrock.control.tokens += work.OUTPUT_TOKENS
            self._transport.write(bedrock.answer)
        elif target.endswith(b"/invoke-with-response-stream"):
            bedrock.stream(self._transport)
        elif target == b"/control":
            if head.startswith(b"post"):
                body = request.partition(b"\r\n\r\n")[2]
                bedrock.configure(msgspec.json.decode(body, type=Control))
            self._transport.write(answer(msgspec.json.encode(bedrock.control)))
        else:
            self._transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")


async def serve(port: int) -> None:
    """Until SIGTERM; the port is the first line on stdout."""
    loop = asyncio.get_running_loop()
    bedrock = Bedrock(loop)
    server = await loop.create_server(lambda: Connection(bedrock), "127.0.0.1", port, backlog=2048)
    stop = asyncio.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.fake_upstream")
    parser.add_argument("--port", type=int, default=0, help="0 picks one")
    parser.add_argument("--cpu", type=int, help="stay on this core")
    options = parser.parse_args()
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    uvloop.run(serve(options.port))


if __name__ == "__main__":
    main()
