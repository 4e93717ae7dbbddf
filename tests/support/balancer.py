"""Small load balancers that use a connection to the server for one client after the other.

`Balancer` conforms: both its sides are h11, so all that it forwards is in its own hand. `Verbatim`
is of the older kind: it looks for the end of each request by its own light, and passes bytes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import h11

_READ_BYTES = 1 << 16
_HOP_BY_HOP = {b"connection", b"keep-alive", b"te", b"trailer", b"proxy-connection", b"expect"}
_REFUSAL = b"HTTP/1.1 %d \r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class LostError(Exception):
    """The other side ended the connection too soon."""


@dataclass
class Upstream:
    """A connection with the server; `served` counts its requests."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    wire: h11.Connection
    served: int = 0

    async def answer(self):
        """The events of one answer, one by one."""
        while True:
            event = self.wire.next_event()
            if event is h11.NEED_DATA:
                self.wire.receive_data(await self.reader.read(_READ_BYTES))
                continue
            if isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                raise LostError
            yield event
            if isinstance(event, h11.EndOfMessage):
                return


class Pool:
    """Connections with the server at `address`: the last one that was free is used first."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self.free: list[Upstream] = []
        self.opened: list[Upstream] = []
        self.forwarded: list[tuple[bytes, bytes]] = []  # method and target
        self.steps = 0  # grows while anything goes on
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> tuple[str, int]:
        """Listens on the server's host; returns the address."""
        self._listener = await asyncio.start_server(self._accept, self._address[0], 0)
        return self._listener.sockets[0].getsockname()

    async def stop(self) -> None:
        """Ends everything."""
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for upstream in self.opened:
            upstream.writer.close()
            with contextlib.suppress(OSError):
                await upstream.writer.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            with contextlib.suppress(LostError, OSError, h11.ProtocolError):
                await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # `stop`; a stream server would log it
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    async def _connect(self) -> Upstream:
        self.steps += 1
        while self.free:
            upstream = self.free.pop()
            if not upstream.reader.at_eof():
                return upstream
        reader, writer = await asyncio.open_connection(*self._address)
        self.opened.append(Upstream(reader, writer, h11.Connection(h11.CLIENT)))
        return self.opened[-1]

    def _release(self, upstream: Upstream) -> None:
        self.steps += 1
        upstream.served += 1
        wire = upstream.wire
        if wire.our_state is h11.DONE and wire.their_state is h11.DONE:
            wire.start_next_cycle()
            if not wire.trailing_data[0]:
                self.free.append(upstream)
                return
        upstream.writer.close()


class Balancer(Pool):
    """Reads and writes as the standard says. Bodies go on as they came, or whole (`merges`)."""

    def __init__(self, address: tuple[str, int], *, passes_upgrades: bool, merges: bool) -> None:
        super().__init__(address)
        self._passes_upgrades = passes_upgrades
        self._merges = merges

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        while True:
            try:
                request = await self._next(wire, reader)
                if not isinstance(request, h11.Request):
                    return
                if wire.they_are_waiting_for_100_continue:
                    writer.write(wire.send(h11.InformationalResponse(status_code=100, headers=[])))
                events = [request]
                while not isinstance(events[-1], h11.EndOfMessage):
                    events.append(await self._next(wire, reader))
            except h11.RemoteProtocolError as error:
                writer.write(_REFUSAL % error.error_status_hint)
                return
            await self._forward(wire, writer, request, events[1:])
            if wire.our_state is not h11.DONE or wire.their_state is not h11.DONE:
                return
            wire.start_next_cycle()

    async def _next(self, wire: h11.Connection, reader: asyncio.StreamReader):
        while (event := wire.next_event()) is h11.NEED_DATA:
            self.steps += 1
            wire.receive_data(await reader.read(_READ_BYTES))
        return event

    async def _forward(self, wire, writer, request, events) -> None:
        upstream = await self._connect()
        self.forwarded.append((request.method, request.target))
        body = b"".join(bytes(event.data) for event in events[:-1])
        headers = self._headers(request, len(body))
        out = [h11.Request(method=request.method, target=request.target, headers=headers)]
        if self._merges:
            out += [h11.Data(data=body), h11.EndOfMessage()] if body else [h11.EndOfMessage()]
        else:
            out += events
        for event in out:
            upstream.writer.write(upstream.wire.send(event) or b"")
        async for event in upstream.answer():
            self.steps += 1
            if isinstance(event, h11.Response):
                kept = [one for one in event.headers if one[0] not in _HOP_BY_HOP]
                event = h11.Response(status_code=event.status_code, headers=kept)  # noqa: PLW2901
            if not isinstance(event, h11.InformationalResponse):
                writer.write(wire.send(event) or b"")
        self._release(upstream)

    def _headers(self, request: h11.Request, size: int):
        headers = [one for one in request.headers if one[0] not in _HOP_BY_HOP | {b"upgrade"}]
        if self._passes_upgrades and any(name == b"upgrade" for name, _ in request.headers):
            headers += [one for one in request.headers if one[0] == b"upgrade"]
            headers.append((b"connection", b"upgrade"))
        if self._merges:
            framing = (b"content-length", b"transfer-encoding")
            framed = [one for one in headers if one[0] in framing]
            headers = [one for one in headers if one not in framed]
            headers += [(b"content-length", b"%d" % size)] if framed else []
        if not any(name == b"host" for name, _ in headers):
            headers.append((b"host", b"x"))
        return [*headers, (b"x-forwarded-for", b"10.9.8.7")]


class Verbatim(Pool):
    """Passes bytes on. `lengths_first`: where a request has a length and chunks, the length counts.

    A line may end in LF, a colon may have blanks before it, a coding only has to name `chunked`.
    """

    def __init__(self, address: tuple[str, int], *, lengths_first: bool) -> None:
        super().__init__(address)
        self._lengths_first = lengths_first

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await self._until(reader, _is_head)
            body = await self._body(head, reader)
            upstream = await self._connect()
            upstream.writer.write(head + body)
            method, target = re.match(rb"(\S*)\s*(\S*)", head.lstrip()).groups()
            self.forwarded.append((method, target))
            method = method if method in (b"HEAD", b"POST") else b"GET"
            # So that it knows what the answer looks like.
            upstream.wire.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
            upstream.wire.send(h11.EndOfMessage())
            status, closes, answer = 0, False, b""
            async for event in upstream.answer():
                self.steps += 1
                if isinstance(event, h11.Response):
                    status, closes = event.status_code, (b"connection", b"close") in event.headers
                elif isinstance(event, h11.Data):
                    answer += bytes(event.data)
            first = b"HTTP/1.1 %d \r\ncontent-length: %d\r\n\r\n" % (status, len(answer))
            writer.write(first + answer)
            self._release(upstream)
            if closes:
                return

    async def _until(self, reader: asyncio.StreamReader, ended: Callable[[bytes], bool]) -> bytes:
        data = b""
        while not ended(data):
            self.steps += 1
            try:
                line = await reader.readuntil(b"\n")
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                raise LostError from error
            data += line
        return data

    async def _body(self, head: bytes, reader: asyncio.StreamReader) -> bytes:
        length = re.search(rb"(?im)^content-length[ \t]*:[ \t]*\+?(\d{1,6})", head)
        coding = re.search(rb"(?im)^transfer-encoding[ \t]*:.*chunked", head)
        if length and (self._lengths_first or not coding):
            return await self._exactly(reader, int(length[1]))
        body = b""
        while coding:
            line = await self._until(reader, _is_line)
            size = int(re.match(rb"[0-9A-Fa-f]{0,5}", line)[0] or b"0", 16)
            body += line
            if not size:
                return body + await self._until(reader, _is_blank_line_last)
            body += await self._exactly(reader, size + 2)
        return body

    async def _exactly(self, reader: asyncio.StreamReader, count: int) -> bytes:
        self.steps += 1
        try:
            return await reader.readexactly(count)
        except asyncio.IncompleteReadError as error:
            raise LostError from error


def _is_line(data: bytes) -> bool:
    return data.endswith(b"\n")


def _is_blank_line_last(data: bytes) -> bool:
    return data.endswith((b"\n\n", b"\n\r\n")) or data in (b"\n", b"\r\n")


def _is_head(data: bytes) -> bool:
    return bool(data.strip()) and _is_blank_line_last(data)
