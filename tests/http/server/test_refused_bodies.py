"""A 413 reaches clients that are still sending, on real sockets: closing would reset it away."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import uvloop

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.server import Server

TLS = Path(__file__).parents[2] / "support" / "tls"
SIZE = 24 << 20  # more than the kernel takes in for a server that does not read
PART = b"x" * (1 << 16)


class Refusing:
    async def serve(self, request):
        if request.path == "/begun":
            await request.read()
        request.answer(413, b"", b"too large")

    def left(self, request):
        pass

    def refuse(self, error, client):
        return error.status, b"", b"refused"


def sent_whole_then_read(address, head, chunked, context):
    """What a client reads that sends all of its body first, as many do."""
    plain = socket.create_connection(address, timeout=20)
    with context.wrap_socket(plain, server_hostname="localhost") if context else plain as client:
        client.sendall(head)
        for _ in range(SIZE // len(PART)):
            client.sendall(b"%x\r\n%b\r\n" % (len(PART), PART) if chunked else PART)
        client.sendall(b"0\r\n\r\n" if chunked else b"")
        data = b""
        while not data.endswith(b"too large"):
            part = client.recv(1 << 16)
            assert part, f"the end after {data}"
            data += part
        return data


@pytest.mark.parametrize("path", [b"/", b"/begun"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    ("version", "headers"),
    [
        (b"1.0", b""),
        (b"1.0", b"connection: keep-alive\r\n"),
        (b"1.1", b""),
        (b"1.1", b"connection: close\r\n"),
        (b"1.1", b"expect: 100-continue\r\n"),
        (b"1.1", b"transfer-encoding: chunked\r\n"),
        (b"1.1", b"transfer-encoding: chunked\r\nconnection: close\r\n"),
    ],
)
def test_it_is_read_by_who_reads_only_after_the_whole_body(version, headers, tls, path):
    chunked = b"chunked" in headers
    framing = b"" if chunked else b"content-length: %d\r\n" % SIZE
    head = b"POST %b HTTP/%b\r\nhost: x\r\n%b%b\r\n" % (path, version, framing, headers)
    certified = trusting = None
    if tls:
        certified = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certified.load_cert_chain(TLS / "server.pem", TLS / "server.key")
        trusting = ssl.create_default_context(cafile=TLS / "server.pem")

    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            server = Server(Refusing(), ConnectionBounds(), tls=certified)
            await server.start([listener])
            data = await asyncio.to_thread(
                sent_whole_then_read, listener.getsockname(), head, chunked, trusting
            )
            await server.stop(timeout_seconds=0)
        return data

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        data = runner.run(main())
    assert b"HTTP/1.1 413 " in data
    assert b"connection: close\r\n" in data
