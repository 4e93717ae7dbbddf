"""Drives an application through a real connection whose transport is in memory."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import h11

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.protocol import HTTPProtocol
from anthropic_bedrock_proxy.http.server.server import Server
from anthropic_bedrock_proxy.protocol.native.sse import SSEDecoder


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


class Transport(asyncio.Transport):
    """Hands what is written to a callable. `paused` and `ended` tell what was asked for."""

    def __init__(self, on_write, peer=("127.0.0.1", 1)):
        super().__init__({"peername": peer, "socket": self})
        self.on_write = on_write
        self.on_close = lambda: None
        self.protocol: HTTPProtocol | None = None
        self.blocked = False  # the client takes nothing
        self.unsent = b""
        self.paused = self.ended = False
        self.closed = self.aborted = self.lost = False
        self.error = 0  # SO_ERROR
        self.high = 1 << 16

    def getsockopt(self, *_):
        return self.error

    def set_write_buffer_limits(self, high=None, low=None):
        self.high = high

    def get_write_buffer_size(self):
        return len(self.unsent)

    def write(self, data):
        if self.aborted:
            return  # as sockets do, until they have told the protocol
        assert not self.closed, "written after the end"
        assert not self.ended, "written after the end of writing"
        if not self.blocked:
            self.on_write(data)
            return
        was = len(self.unsent)
        self.unsent += data
        if was <= self.high < len(self.unsent):
            self.protocol.pause_writing()

    def unblock(self):
        """The client takes everything."""
        was, data, self.unsent = len(self.unsent), self.unsent, b""
        self.blocked = False
        self.on_write(data)
        if self.closed:
            self._lose()
        elif was > self.high:
            self.protocol.resume_writing()

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.ended = True

    def is_closing(self):
        return self.closed

    def close(self):
        """As sockets do: not before the client has taken what was written."""
        if not self.closed:
            self.closed = True
            self.on_close()
            if not self.unsent:
                self._lose()

    def abort(self):
        self.unsent, self.aborted = b"", True
        if self.closed:
            self._lose()
        self.close()

    def _lose(self):
        if not self.lost:
            self.lost = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)


class Connection:
    """A server with one connection in memory. Its clock stands still: `pass_time` moves it."""

    def __init__(self, app, on_write, *, bounds=None, client="127.0.0.1", server=None):
        """`server` is another's, to be one of its connections."""
        self.server = server or Server(app, bounds or ConnectionBounds(), monotonic=lambda: 0.0)
        self.transport = Transport(on_write, (client, 1))
        self.protocol = self.transport.protocol = HTTPProtocol(self.server)
        self.protocol.connection_made(self.transport)
        if server is None:
            self.server._ticker.cancel()

    def feed(self, data):
        """The client sends bytes."""
        for start in range(0, len(data), len(self.server.buffer)):
            piece = data[start : start + len(self.server.buffer)]
            self.server.buffer[: len(piece)] = piece
            self.protocol.buffer_updated(len(piece))

    def pass_time(self, seconds):
        """A tick that comes `seconds` later."""
        self.server.clock.now += seconds
        self.protocol.tick()


class Client:
    """One request: `send` runs it; `leave` makes the client vanish.

    `body` may be a list of parts, sent one by one; None among them: nothing more ever comes.
    """

    def __init__(
        self,
        app,
        method="POST",
        path="/v1/messages",
        *,
        headers=None,
        body=b"",
        client="127.0.0.1",
        bounds=None,
    ):
        if not isinstance(body, bytes | list):
            body = json.dumps(body).encode()
        self._parts = body if isinstance(body, list) else [body]
        given = [
            (name, item)
            for name, value in (headers or {}).items()
            for item in (value if isinstance(value, list) else [value])
        ]
        names = {name.lower() for name, _ in given}
        if "content-length" not in names:
            chunked = isinstance(body, list)
            given += [("transfer-encoding", "chunked")] if chunked else []
            given += [] if chunked or not body else [("content-length", str(len(body)))]
        self._chunked = "content-length" not in names and isinstance(body, list)
        lines = "".join(f"{name}: {value}\r\n" for name, value in given)
        head = f"{method} {path} HTTP/1.1\r\nhost: test\r\n{lines}\r\n"
        self._head = head.encode("utf-8", "surrogateescape")
        self._method = method
        self._app, self._client, self._bounds = app, client, bounds
        self._finished: asyncio.Future[None] | None = None
        self._wire = h11.Connection(h11.CLIENT)
        self.connection: Connection | None = None
        self.left = asyncio.Event()
        self.answer = Answer()
        self.on_chunk = None
        self.blocked = False  # the client takes nothing, as a slow one

    def _on_write(self, data):
        answer, wire = self.answer, self._wire
        wire.receive_data(data)
        while (event := wire.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Response):
                answer.status = event.status_code
                answer.headers = {
                    name.decode(): value.decode("latin-1") for name, value in event.headers
                }
            elif isinstance(event, h11.Data):
                answer.chunks.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                answer.complete = True
                self._finish()
            elif isinstance(event, h11.ConnectionClosed):
                break
        if self.on_chunk is not None:
            self.on_chunk(answer)

    def _finish(self):
        if not self._finished.done():
            self._finished.set_result(None)

    def leave(self):
        self.left.set()

    async def send(self) -> Answer:
        """Returns when the answer is complete and its request is over, or the client has gone."""
        self._finished = asyncio.get_running_loop().create_future()
        # h11 has to know what was asked, to know what an answer to it looks like.
        self._wire.send(h11.Request(method=self._method, target="/", headers=[("host", "test")]))
        self._wire.send(h11.EndOfMessage())
        self.connection = connection = Connection(
            self._app, self._on_write, bounds=self._bounds, client=self._client
        )
        connection.transport.blocked = self.blocked
        connection.transport.on_close = self._finish
        leaving = asyncio.ensure_future(self.left.wait())
        connection.feed(self._head)
        for part in self._parts:
            await asyncio.sleep(0)
            if part is None:
                break
            if self._chunked:
                connection.feed(b"%x\r\n%b\r\n" % (len(part), part) if part else b"")
            else:
                connection.feed(part)
        else:
            if self._chunked:
                connection.feed(b"0\r\n\r\n")
        await asyncio.wait((leaving, self._finished), return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not self._finished.done():
            connection.transport.abort()
        while connection.protocol.serving:
            await asyncio.sleep(0)
        connection.transport.close()
        await asyncio.sleep(0)  # connection_lost
        self._parts = []  # no request is kept by the cycle of client and transport
        return self.answer
