"""What stands between the socket and the application: gathered writes, bounded heads."""

from __future__ import annotations

import asyncio

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from anthropic_bedrock_proxy.http import head
from anthropic_bedrock_proxy.http.corked import CorkedTransport
from anthropic_bedrock_proxy.http.head import MAX_HEAD_BYTES, HeadBounds


class Recorder(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.writes = []
        self.closed = False

    def write(self, data):
        assert not self.closed
        self.writes.append(data)

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed


def test_writes_of_one_turn_leave_together():
    async def main():
        real = Recorder()
        corked = CorkedTransport(real, asyncio.get_running_loop())
        corked.write(b"a")
        corked.write(b"b")
        assert real.writes == []
        await asyncio.sleep(0)
        corked.write(b"c")
        await asyncio.sleep(0)
        assert real.writes == [b"ab", b"c"]
        assert corked.is_closing() is False

    asyncio.run(main())


def test_closing_loses_nothing():
    async def main():
        real = Recorder()
        corked = CorkedTransport(real, asyncio.get_running_loop())
        corked.write(b"a")
        corked.close()
        assert (real.writes, real.closed) == ([b"a"], True)
        await asyncio.sleep(0)

    asyncio.run(main())


def test_lines_go_below_the_status_line_of_the_next_head_only():
    async def main():
        real = Recorder()
        corked = CorkedTransport(real, asyncio.get_running_loop())
        for lines in (b"x-a: 1\r\nx-b: 2\r\n", b""):
            if lines:
                corked.add_to_head(lines)
            corked.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
            corked.write(b"\r\n")
            await asyncio.sleep(0)
        rest = b"content-length: 2\r\n\r\n\r\n"
        assert real.writes == [
            b"HTTP/1.1 200 OK\r\nx-a: 1\r\nx-b: 2\r\n" + rest,
            b"HTTP/1.1 200 OK\r\n" + rest,
        ]

    asyncio.run(main())


class Protocol(HeadBounds, HttpToolsProtocol):
    pass


async def app(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def connect(data, *, after=None):
    """What a client reads that sends `data`; with `after`, what it does before it reads."""
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none")
    config.load()
    state = uvicorn.server.ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        writer.write(data)
        if after is not None:
            await after(state)
        return await reader.read(1 << 16)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0.01)


def test_heads_that_never_end_are_refused():
    flood = b"GET / HTTP/1.1\r\n" + b"x-a: " + b"b" * (MAX_HEAD_BYTES + 10)
    assert asyncio.run(connect(flood)).startswith(b"HTTP/1.1 431 ")


def test_ordinary_heads_pass_and_bodies_do_not_count():
    body = b"x" * (2 * MAX_HEAD_BYTES)
    request = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    assert asyncio.run(connect(request)).startswith(b"HTTP/1.1 204 ")


def test_heads_that_take_too_long_are_let_go():
    async def main():
        async def time_passes(state):
            while not state.connections:
                await asyncio.sleep(0)
            (connection,) = state.connections
            connection._check_head()
            assert not connection.transport.is_closing()
            connection._head_since -= head.HEAD_SECONDS + 1
            connection._check_head()

        assert await connect(b"GET / HT", after=time_passes) == b""

    asyncio.run(main())
