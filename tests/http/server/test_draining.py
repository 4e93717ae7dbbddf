"""The end of a server on real sockets: who has begun anything, or may have, is served."""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import ssl
import sys
from pathlib import Path

import pytest
import uvloop

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.server import Server
from anthropic_bedrock_proxy.http.server.sockets import accept_all, begin_none

TLS = Path(__file__).parents[2] / "support" / "tls"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
QUIET_SECONDS = 0.3


class Application:
    """Answers at once, or to /late when the test says so."""

    def __init__(self):
        self.now = asyncio.Event()
        self.begun = asyncio.Event()

    async def serve(self, request):
        if request.path == "/late":
            request.begin(200, b"", length=4)
            request.write(b"la")
            self.begun.set()
            await self.now.wait()
            request.write(b"te")
            request.end()
        else:
            request.answer(200, b"", b"whole")

    def left(self, request):
        pass

    def refuse(self, error, client):
        return error.status, b"", b"refused"


class Scene:
    """A server, its address, and clients of it."""

    def __init__(self, listener, tls):
        self.application = Application()
        bounds = ConnectionBounds(tick_seconds=0.05, quiet_seconds=QUIET_SECONDS)
        self.server = Server(self.application, bounds, tls=tls)
        self.address = listener.getsockname()

    async def client(self, sends=b""):
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(sends)
        return reader, writer

    def stop(self):
        return asyncio.create_task(self.server.stop(timeout_seconds=10))


def draining(test, tls=None):
    async def main():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            scene = Scene(listener, tls)
            await scene.server.start([listener])
            async with asyncio.timeout(8):
                await test(scene)
                await scene.server.stop(timeout_seconds=0, last_words_seconds=0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def answer(reader):
    """The head of an answer; its body is read, too."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(length)


def test_who_stands_in_the_queue_of_the_port_is_served():
    """The kernel resets them when the port is closed: the loop has not seen them yet."""

    async def run(scene):
        clients = [socket.create_connection(scene.address) for _ in range(20)]
        for client in clients:
            client.sendall(GET)
        stopped = scene.stop()
        await stopped
        for client in clients:
            client.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=client)
            head, body = await answer(reader)
            assert b"connection: close\r\n" in head
            assert body == b"whole"
            writer.close()

    draining(run)


def test_the_port_is_closed_while_answers_end():
    async def run(scene):
        reader, writer = await scene.client(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
        await scene.application.begun.wait()
        stopped = scene.stop()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(scene.address)
        scene.application.now.set()
        assert (await answer(reader))[1] == b"late"
        writer.close()
        await stopped

    draining(run)


@pytest.mark.skipif(sys.platform != "linux", reason="filters on sockets are Linux's")
def test_who_knocks_while_the_port_closes_is_not_let_in_and_then_refused():
    """Let in, it would be reset behind the request that it has sent by then."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as late:
        listener.setblocking(False)
        with socket.create_connection(listener.getsockname()) as early:
            begin_none(listener)
            late.setblocking(False)
            assert late.connect_ex(listener.getsockname()) == errno.EINPROGRESS
            (taken,) = accept_all(listener)
            taken.sendall(b"still")
            assert early.recv(9) == b"still"
            taken.close()
        listener.close()
        select.select((), (late,), (), 10)
        assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def test_a_request_that_comes_while_it_is_idle_is_served_and_ends_it():
    async def run(scene):
        reader, writer = await scene.client(GET)
        head, _ = await answer(reader)
        assert b"connection: close" not in head
        stopped = scene.stop()
        await asyncio.sleep(QUIET_SECONDS / 2)
        writer.write(GET)
        head, body = await answer(reader)
        assert b"connection: close\r\n" in head
        assert body == b"whole"
        assert await reader.read() == b""
        writer.close()
        await stopped

    draining(run)


def test_an_answer_that_did_not_say_so_does_not_end_its_connection():
    """Its client may have sent another request, in the belief that it can."""

    async def run(scene):
        reader, writer = await scene.client(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
        await scene.application.begun.wait()
        stopped = scene.stop()
        scene.application.now.set()
        assert b"connection: close" not in (await answer(reader))[0]
        writer.write(GET)
        assert b"connection: close\r\n" in (await answer(reader))[0]
        assert await reader.read() == b""
        writer.close()
        await stopped

    draining(run)


def test_who_has_begun_a_request_may_end_it():
    async def run(scene):
        reader, writer = await scene.client(GET[:9])
        await asyncio.sleep(0.05)
        stopped = scene.stop()
        await asyncio.sleep(2 * QUIET_SECONDS)
        writer.write(GET[9:])
        assert (await answer(reader))[1] == b"whole"
        writer.close()
        await stopped

    draining(run)


def test_who_is_silent_is_closed():
    async def run(scene):
        reader, writer = await scene.client()
        before = asyncio.get_running_loop().time()
        await scene.stop()
        assert asyncio.get_running_loop().time() - before < 2
        assert await reader.read() == b""
        writer.close()

    draining(run)


@pytest.mark.parametrize("seen", [False, True], ids=["in the queue", "accepted"])
def test_a_handshake_that_has_begun_leads_to_an_answer(seen):
    certified = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certified.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    trusting = ssl.create_default_context(cafile=TLS / "server.pem")

    async def run(scene):
        client = socket.create_connection(scene.address)
        if seen:
            await asyncio.sleep(0.05)
        stopped = scene.stop()
        await asyncio.sleep(0.05)
        client.setblocking(False)
        reader, writer = await asyncio.open_connection(
            sock=client, ssl=trusting, server_hostname="localhost"
        )
        writer.write(GET)
        assert (await answer(reader))[1] == b"whole"
        writer.close()
        await stopped

    draining(run, certified)
