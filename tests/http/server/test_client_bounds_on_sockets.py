"""What memory cannot show in `test_client_bounds.py`: resets, FINs, TLS, as kernels tell them."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
import struct
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest
import uvloop

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.descriptors import raise_limit, room_for
from anthropic_bedrock_proxy.http.server.server import Server

TLS = Path(__file__).parents[2] / "support" / "tls"
SECONDS = 5  # for what is to happen at once, on a machine that has much to do
HOST = b" HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Application:
    """Works for as long as the test likes, and notes who was cancelled, and when."""

    def __init__(self):
        self.begun = asyncio.Event()
        self.done = asyncio.Event()
        self.cancelled_at = None

    async def serve(self, request):
        try:
            if request.path == "/stream":
                request.begin(200, b"", filler=b":\n\n")
                request.write(b"data: first\n\n")
            self.begun.set()
            if request.path != "/quick":
                await self.done.wait()
        except asyncio.CancelledError:
            self.cancelled_at = monotonic()
            raise
        if request.path == "/stream":
            request.write(b"data: last\n\n")
            request.end()
        else:
            request.answer(200, b"", b"whole")

    def left(self, request):
        pass

    def refuse(self, error, client):
        return error.status, b"", b"refused"


class Running:
    """A server on a socket of this machine, and its application."""

    def __init__(self, bounds, tls):
        self.application = Application()
        self.server = Server(self.application, bounds, tls=tls)
        self.address = None

    async def connect(self):
        """A client's socket."""
        client = socket.socket()
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, self.address)
        return client

    async def until(self, condition):
        async with asyncio.timeout(SECONDS):
            while not condition():
                await asyncio.sleep(0.01)


def serving(test, bounds=None, tls=None):
    """Runs `test` with a server, which must have no connection at its end."""

    async def main():
        running = Running(bounds or ConnectionBounds(tick_seconds=0.05), tls)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        running.address = listener.getsockname()
        await running.server.start([listener])
        try:
            await test(running)
            await running.until(lambda: not running.server._connections)
        finally:
            await running.server.stop(timeout_seconds=0, last_words_seconds=0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def read_to_the_end(client):
    data, loop = b"", asyncio.get_running_loop()
    async with asyncio.timeout(SECONDS):
        while part := await loop.sock_recv(client, 1 << 16):
            data += part
    return data


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("leave", [reset, socket.socket.close])
@pytest.mark.parametrize("path", [b"/work", b"/stream"])
@pytest.mark.parametrize("ahead", [b"", b"x" * (1 << 18)], ids=["", "behind what nobody reads"])
def test_the_request_of_a_client_that_left_is_cancelled_within_half_a_second(leave, path, ahead):
    async def run(running):
        client = await running.connect()
        client.send(b"GET " + path + HOST)
        await running.application.begun.wait()
        with contextlib.suppress(BlockingIOError):
            client.send(ahead)
        await asyncio.sleep(0.1)
        left_at = monotonic()
        leave(client)
        await running.until(lambda: running.application.cancelled_at is not None)
        assert running.application.cancelled_at - left_at < 0.5 + 0.3

    serving(run)


@pytest.mark.parametrize(
    ("path", "ending"), [(b"/work", b"\r\n\r\nwhole"), (b"/stream", b"data: last\n\n\r\n0\r\n\r\n")]
)
def test_a_client_that_has_only_ended_its_side_gets_its_answer(path, ending):
    async def run(running):
        client = await running.connect()
        client.send(b"GET " + path + HOST)
        client.shutdown(socket.SHUT_WR)
        await running.application.begun.wait()
        await asyncio.sleep(0.7)  # it is asked whether it reads, more than once
        running.application.done.set()
        assert (await read_to_the_end(client)).endswith(ending)
        client.close()

    serving(run, ConnectionBounds(tick_seconds=0.05, next_probe_seconds=0.1))


def test_a_thousand_resets_leave_nothing():
    async def run(running):
        for begun in (b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"):
            for _ in range(340):
                client = await running.connect()
                client.send(begun)
                reset(client)
        await running.until(lambda: not running.server._connections)

    serving(run)


_FEW = """
import asyncio, resource, socket, sys
from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.descriptors import room_for
from anthropic_bedrock_proxy.http.server.server import Server
import uvloop

async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (164, 164))
    listener = socket.socket(fileno=int(sys.argv[1]))
    listener.setblocking(False)
    server = Server(None, ConnectionBounds())
    await server.start([listener])
    while True:
        await asyncio.sleep(0.05)
        open("/dev/null").close()  # the proxy needs some for itself
        print(len(server._connections), flush=True)

asyncio.Runner(loop_factory=uvloop.new_event_loop).run(main())
"""


def test_clients_leave_descriptors_for_the_proxy_itself():
    with socket.create_server(("127.0.0.1", 0), backlog=300) as listener:
        server = subprocess.Popen(
            [sys.executable, "-c", _FEW, str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
        )
        with server, contextlib.ExitStack() as clients:
            for _ in range(200):
                clients.enter_context(socket.create_connection(listener.getsockname()))
            seen = [int(server.stdout.readline()) for _ in range(20)]
            assert 40 <= max(seen) <= 60
            assert server.poll() is None
            server.kill()


def test_the_soft_limit_of_descriptors_is_raised_to_the_hard_one():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (264, before[1]))
        assert [room_for(90), room_for(300)] == [90, 100]
        raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
        assert room_for(300) == 300
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def context():
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    return made


@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x01\x02\x00"])
def test_a_handshake_has_its_time(context, begun):
    async def run(running):
        client = await running.connect()
        client.send(begun)
        before = monotonic()
        assert await read_to_the_end(client) == b""
        assert 0.2 < monotonic() - before < 2
        client.close()

    serving(run, ConnectionBounds(tick_seconds=0.05, handshake_seconds=0.3), context)


class SilentTLS:
    """A client that reads and writes TLS by hand, so that it can keep from answering."""

    def __init__(self, client):
        self.client = client
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        trusting = ssl.create_default_context(cafile=TLS / "server.pem")
        trusting.check_hostname = False
        self.tls = trusting.wrap_bio(self.incoming, self.outgoing)

    async def do(self, call, *args):
        loop = asyncio.get_running_loop()
        while True:
            try:
                result = call(*args)
            except ssl.SSLWantReadError:
                result = None
            await loop.sock_sendall(self.client, self.outgoing.read())
            if result is not None:
                return result
            self.incoming.write(await loop.sock_recv(self.client, 1 << 16))


def test_a_client_that_does_not_end_its_tls_has_the_time_of_lingering(context):
    async def run(running):
        client = await running.connect()
        peer = SilentTLS(client)
        await peer.do(lambda: peer.tls.do_handshake() or True)
        await peer.do(peer.tls.write, b"GET /quick" + LAST)
        assert (await peer.do(peer.tls.read, 1000)).startswith(b"HTTP/1.1 200 ")
        before = monotonic()
        await running.until(lambda: not running.server._connections)
        assert monotonic() - before < 2
        client.close()

    serving(
        run,
        ConnectionBounds(tick_seconds=0.05, linger_seconds=0.3, linger_idle_seconds=0.3),
        context,
    )
