"""How bytes leave: at once or delayed, whole or chopped, to the end or cut short.

A `Wire` is one answer on one connection. It notices a client that went away (during a pause, or
because the transport closes) and raises `ClientGone`. Faults are counted in stream events; a
plain answer is one event. Resets need the transport, which `server.py` registers per client
address; without one (an in-process ASGI call) a cut raises `ConnectionAbortedError`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from ..protocol.eventstream import encode_frame
from .faults import (
    BadCRCFault,
    CutFault,
    ExceptionFault,
    GarbageFault,
    SilenceFault,
)
from .script import Step

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
_LINGER_OFF = struct.pack("ii", 1, 0)


class ClientGone(Exception):  # noqa: N818  # not an error of ours: the caller hung up
    """The client closed the connection before the answer was complete."""


class Cut(Exception):  # noqa: N818  # control flow of a scripted fault
    """The script ended the connection; nothing more may be sent."""


class Wire:
    """One answer. `sent` counts the events that went out whole."""

    def __init__(
        self, receive: Receive, send: Send, transport: asyncio.Transport | None = None
    ) -> None:
        self._receive = receive
        self.raw_send = send
        self._transport = transport
        self._watch: asyncio.Task[None] | None = None
        self._pending = b""
        self.chunk_bytes: int | None = None
        self.sent = 0

    async def start(self, status: int, headers: Headers) -> None:
        """Sends status and headers."""
        await self.raw_send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes) -> None:
        """Sends bytes, chopped to `chunk_bytes` when that is set. Raises `ClientGone`."""
        if self.chunk_bytes is None:
            await self._write(data)
            return
        self._pending += data
        while len(self._pending) >= self.chunk_bytes:
            piece, self._pending = (
                self._pending[: self.chunk_bytes],
                self._pending[self.chunk_bytes :],
            )
            await self._write(piece)
            await asyncio.sleep(0)  # a turn of the loop, so that writes are not gathered

    async def flush(self) -> None:
        """Sends what chopping still holds back."""
        if self._pending:
            data, self._pending = self._pending, b""
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        if self._transport is not None and self._transport.is_closing():
            raise ClientGone
        if self._watch is not None and self._watch.done():
            raise ClientGone
        await self.raw_send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """Sends the last bytes of the answer."""
        await self.flush()
        if self._transport is not None and self._transport.is_closing():
            raise ClientGone
        await self.raw_send({"type": "http.response.body", "body": data})

    async def pause(self, seconds: float | None) -> None:
        """Waits (without end for None), unless the client goes away: then raises `ClientGone`."""
        await self.flush()
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._gone())
        done, _ = await asyncio.wait((self._watch,), timeout=seconds)
        if done:
            raise ClientGone

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def cut(self, *, reset: bool) -> None:
        """Ends the connection without ending the answer; always raises `Cut`."""
        await self.flush()
        if self._transport is None:
            raise ConnectionAbortedError("scripted cut")
        if reset:
            descriptor = self._transport.get_extra_info("socket").fileno()
            # SO_LINGER belongs to the connection, not to the descriptor: a copy may set it.
            with socket.socket(fileno=os.dup(descriptor)) as copy:
                copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
            self._transport.abort()
        else:
            self._transport.close()
        raise Cut

    def close(self) -> None:
        """Stops watching the client."""
        if self._watch is not None:
            self._watch.cancel()


def exception_frame(fault: ExceptionFault) -> bytes:
    """The frame of a modelled exception inside a stream."""
    headers = {
        ":exception-type": fault.type,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return encode_frame(headers, msgspec.json.encode({"message": fault.message}))


async def deliver(
    wire: Wire,
    frames: Sequence[bytes],
    step: Step | None,
    event_delay_seconds: float,
    broken: Callable[[ExceptionFault], bytes],
) -> str | None:
    """Sends the events with the faults of the step; the exception type if one ended the stream.

    `broken` renders an exception for this kind of stream. Raises `ClientGone` and `Cut`.
    """
    if step is None and not event_delay_seconds:
        for data in frames:
            await wire.write(data)
            wire.sent += 1
        await wire.end()
        return None
    faults = step.faults if step is not None else []
    delay = event_delay_seconds
    if step is not None:
        wire.chunk_bytes = step.chunk_bytes
        delay = step.event_delay_ms / 1000 or delay
    for index in range(len(frames) + 1):
        data = frames[index] if index < len(frames) else b""
        for fault in faults:
            if isinstance(fault, BadCRCFault):
                if fault.at_event == index and data:
                    data = data[:-1] + bytes((data[-1] ^ 0xFF,))
            elif fault.after_events != index:
                continue
            elif isinstance(fault, ExceptionFault):
                await wire.write(broken(fault))
                await wire.end()
                return fault.type
            else:
                await _disturb(wire, fault, data)
        if not data:
            break
        await wire.write(data)
        wire.sent += 1
        if delay:
            await wire.pause(delay)
    await wire.end()
    return None


async def _disturb(wire: Wire, fault: CutFault | SilenceFault | GarbageFault, data: bytes) -> None:
    if isinstance(fault, SilenceFault):
        await wire.pause(fault.seconds)
    elif isinstance(fault, GarbageFault):
        await wire.write((b"\xde\xad\xbe\xef" * (fault.length // 4 + 1))[: fault.length])
    else:
        if fault.at_byte:
            await wire.write(data[: fault.at_byte])
        await wire.cut(reset=fault.reset)
