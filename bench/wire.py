"""A client's end of a connection that does what no library would: stops, resets, ends one side."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator
from typing import Final

import msgspec

_RESETS: Final = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection
_READ_BYTES: Final = 256 * 1024
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)")
_ID: Final = re.compile(rb"\r\nrequest-id: (\S+)")


class Counts(msgspec.Struct):
    """What went over the lines that share it."""

    connections: int = 0
    sent: int = 0  # bytes
    received: int = 0  # bytes


class Answer(msgspec.Struct, frozen=True):
    """One answer, read to its end."""

    status: int
    request_id: str
    body: bytes
    closes: bool


class Line:
    """One connection. Everything raises `OSError` once the other side has reset it."""

    def __init__(self, connection: socket.socket, counts: Counts) -> None:
        self._socket = connection
        self._counts = counts
        self._loop = asyncio.get_running_loop()
        self._held = b""  # received, not yet given out

    async def send(self, data: bytes) -> None:
        """Sends all of it."""
        await self._loop.sock_sendall(self._socket, data)
        self._counts.sent += len(data)

    async def receive(self) -> bytes:
        """What has come, b"" at the end."""
        if self._held:
            held, self._held = self._held, b""
            return held
        data = await self._loop.sock_recv(self._socket, _READ_BYTES)
        self._counts.received += len(data)
        return data

    async def receive_all(self) -> None:
        """Reads on until the other side has ended."""
        while await self.receive():
            pass

    async def answer(self) -> Answer:
        """The next answer, whose body has a length or comes in chunks.

        Raises `OSError` if it does not end as it announced.
        """
        head = await self._until(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100 "):  # the proxy asks so whether we are still there
            head = await self._until(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await self._exactly(int(length[1])) if length else await self._chunks()
        named = _ID.search(head)
        return Answer(
            status=int(head[9:12]),
            request_id=named[1].decode() if named else "",
            body=body,
            closes=b"\r\nconnection: close" in head,
        )

    def finish(self) -> None:
        """Ends our side; what the other side sends can still be read."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Ends the connection by a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)
        self._socket.close()

    async def _chunks(self) -> bytes:
        parts = []
        while size := int(await self._until(b"\r\n"), 16):
            parts.append(await self._exactly(size))
            await self._exactly(2)
        await self._exactly(2)
        return b"".join(parts)

    async def _until(self, mark: bytes) -> bytes:
        data = b""
        while (end := data.find(mark)) < 0:
            data += await self._more()
        end += len(mark)
        self._held = data[end:]
        return data[:end]

    async def _exactly(self, size: int) -> bytes:
        parts, missing = [], size
        while missing > 0:
            parts.append(await self._more())
            missing -= len(parts[-1])
        data = b"".join(parts)
        self._held = data[size:]
        return data[:size]

    async def _more(self) -> bytes:
        data = await self.receive()
        if not data:
            raise ConnectionError("the answer was cut short")
        return data


@contextlib.asynccontextmanager
async def connected(
    port: int, counts: Counts, *, source: str = "127.0.0.1", buffer_bytes: int = 0
) -> AsyncIterator[Line]:
    """A new connection from the address `source`; closed at the end, if nobody has before.

    `buffer_bytes` bounds what the kernel takes for a client that does not read; 0: its default.
    """
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if buffer_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        if source != "127.0.0.1":
            connection.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            connection.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        counts.connections += 1
        yield Line(connection, counts)
