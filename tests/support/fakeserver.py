"""A TCP server that plays one scripted answer per request, for tests of the transport."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

TLS = Path(__file__).parent / "tls"
Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Answer = Callable[[bytes, Writer], Awaitable[bool | None]]


MESSAGE = b'{"type":"message","content":[]}'


def ok(body: bytes = b"{}", headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n%b\r\n%b" % (len(body), headers, body)


def chunked(*parts: bytes, end: bool = True) -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n" * end


class FakeServer:
    """`answer(request, writer)` writes the answer; returning True closes the connection."""

    def __init__(self, answer: Answer | bytes) -> None:
        self._answer = answer
        self.requests: list[bytes] = []
        self.connections = 0
        self.peers: list[Writer] = []
        self.port = 0

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        self.peers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                self.requests.append(head + await reader.readexactly(length))
                if isinstance(self._answer, bytes):
                    writer.write(self._answer)
                elif await self._answer(self.requests[-1], writer):
                    break
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def drop_all(self) -> None:
        """Closes every connection, as a server does with idle ones."""
        for peer in self.peers:
            peer.transport.abort()


@asynccontextmanager
async def serving(answer: Answer | bytes, *, tls: bool = False) -> AsyncIterator[FakeServer]:
    fake = FakeServer(answer)
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    server = await asyncio.start_server(fake._serve, "127.0.0.1", 0, ssl=context)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        fake.drop_all()
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool], rounds: int = 2000) -> None:
    """Lets the loop turn until `condition` holds."""
    for _ in range(rounds):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("the condition never came true")
