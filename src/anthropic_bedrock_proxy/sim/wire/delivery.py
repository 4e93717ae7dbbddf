"""Delivers bytes: at once or delayed, whole or chopped, to the end or cut short.

A `Wire` is one answer on one connection. It raises `ClientGone` for a client that went away; during
a pause the task is cancelled instead. Faults are counted in stream events; a plain answer is one
event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ...http.server.request import Request
from ...protocol.aws.eventstream import encode_frame
from ..script import Step
from .faults import (
    BadCRCFault,
    CutFault,
    ExceptionFault,
    GarbageFault,
    SilenceFault,
)

Headers = list[tuple[bytes, bytes]]


class ClientGone(Exception):  # noqa: N818  # not an error of ours: the caller hung up
    """The client closed the connection before the answer was complete."""


class Cut(Exception):  # noqa: N818  # control flow of a scripted fault
    """The script ended the connection; nothing more may be sent."""


class Wire:
    """One answer. `sent` counts the events that went out whole."""

    def __init__(self, request: Request[Any]) -> None:
        self._request = request
        self._pending = b""
        self.chunk_bytes: int | None = None
        self.sent = 0

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Sends a whole answer."""
        self._request.answer(status, _lines(headers), body)

    def start(self, status: int, headers: Headers, length: int | None) -> None:
        """Sends status and headers, of an answer of `length` bytes if that is known."""
        self._request.begin(status, _lines(headers), length)

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
        if not self._request.write(data):
            await self._request.drain()
        if self._request.gone:
            raise ClientGone

    async def end(self) -> None:
        """Ends the answer."""
        await self.flush()
        if self._request.gone:
            raise ClientGone
        self._request.end()

    async def pause(self, seconds: float | None) -> None:
        """Waits, without end for None. Is cancelled when the client goes away."""
        await self.flush()
        await (asyncio.Event().wait() if seconds is None else asyncio.sleep(seconds))

    async def cut(self, *, reset: bool) -> None:
        """Ends the connection without ending the answer; always raises `Cut`."""
        await self.flush()
        self._request.abort(reset=reset)
        raise Cut


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def exception_frame(fault: ExceptionFault) -> bytes:
    """Returns the frame of a modelled exception inside a stream."""
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
    """Sends the events with the faults of the step.

    Returns the exception type if one ended the stream.

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
