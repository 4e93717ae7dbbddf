"""One write per answer: what is written in one turn of the loop leaves in one system call.

uvicorn writes the head and the body of an answer apart, and so the last events of a stream and its
end. Each write is a system call here and a wake-up at the client. The transport below gathers them
and writes once, before the loop waits again. Its memory is bounded by its writers: a stream's
source pauses before it has read ahead much (aws/connection.py), and when the client is slow the
real transport pauses uvicorn as ever.

It also takes headers past uvicorn, which looks at each with two regular expressions.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

ADD_TO_HEAD: Final = "anthropic_bedrock_proxy.add_to_head"  # in the state of ASGI's scope


class CorkedTransport:
    """Stands before an `asyncio.Transport`; everything but writing and closing is the other's."""

    __slots__ = ("_lines", "_loop", "_parts", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._lines = b""

    def add_to_head(self, lines: bytes) -> None:
        """Puts lines of headers below the status line, with which the next write begins."""
        self._lines = lines

    def write(self, data: bytes) -> None:
        """Takes bytes for the end of this turn."""
        if self._lines:
            end = data.index(b"\n") + 1
            data, self._lines = data[:end] + self._lines + data[end:], b""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        """Closes behind what was written."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """As the transport's own; asked after every answer."""
        return self._transport.is_closing()

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts:
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
