"""Clients that send faster than they are read take turns; those that come at once are not lost."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from http_client import Transport

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.errors import ProtocolError
from anthropic_bedrock_proxy.http.server.protocol import HTTPProtocol
from anthropic_bedrock_proxy.http.server.server import Server

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"


class Reads:
    """An application that reads bodies to their end."""

    async def serve(self, request):
        with contextlib.suppress(ProtocolError):
            while await request.read():
                pass

    def left(self, request):
        pass


class Client:
    def __init__(self, server):
        self.server = server
        self.transport = Transport(lambda _: None)
        self.protocol = self.transport.protocol = HTTPProtocol(server)
        self.protocol.connection_made(self.transport)
        self.send(HEAD)

    @property
    def paused(self):
        return self.transport.paused

    def send(self, data):
        self.server.buffer[: len(data)] = data
        self.protocol.buffer_updated(len(data))

    def flood(self):
        self.send(bytes(len(self.server.buffer)))


def run(scene):
    async def main():
        server = Server(Reads(), ConnectionBounds())
        clients = [Client(server) for _ in range(5)]
        await asyncio.sleep(0)  # the application asks for the bodies
        try:
            await scene(clients)
        finally:
            for client in clients:
                client.protocol.abort()
            await server.stop(timeout_seconds=1)

    asyncio.run(main())


def test_who_fills_the_buffer_waits_while_others_are_read():
    async def scene(clients):
        for client in clients:
            client.flood()
        waiting = [sum(client.paused for client in clients)]
        while waiting[-1]:
            await asyncio.sleep(0)
            waiting.append(sum(client.paused for client in clients))
        assert waiting == [5, 3, 1, 0]

    run(scene)


def test_who_sends_less_is_read_on():
    async def scene(clients):
        clients[0].send(bytes(1000))
        assert not clients[0].paused

    run(scene)


def test_a_turn_does_not_wake_who_has_left_or_is_not_to_be_read():
    async def scene(clients):
        gone, ended, flooding = clients[:3]
        for client in (gone, ended, flooding):
            client.flood()
        gone.protocol.abort()
        ended.protocol.eof_received()
        for _ in range(5):
            await asyncio.sleep(0)
        assert (gone.paused, ended.paused, flooding.paused) == (True, True, False)

    run(scene)


def test_300_clients_may_come_in_the_same_moment():
    async def main():
        with contextlib.ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as listener:
            server = Server(Reads(), ConnectionBounds())
            await server.start([listener])
            for _ in range(300):  # the loop, which would take them, waits for this
                client = socket.create_connection(listener.getsockname(), timeout=0.5)
                stack.enter_context(client)
            await server.stop(timeout_seconds=0)

    asyncio.run(main())
