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
from typing import Final

ADD_TO_HEAD: Final = "anthropic_bedrock_proxy.add_to_head"  # in the state of ASGI's scope
# The transport's own methods, as they are. Not by `__getattr__`: it makes every look at an
# attribute slow, found or not.
_PASSED_ON: Final = (
    "abort",
    "get_extra_info",
    "get_write_buffer_size",
    "is_closing",
    "pause_reading",
    "resume_reading",
    "set_protocol",
    "set_write_buffer_limits",
)


class CorkedTransport:
    """Stands before an `asyncio.Transport`; everything but writing and closing is the other's."""

    __slots__ = ("_lines", "_loop", "_parts", "_transport", *_PASSED_ON)

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._lines = b""
        for name in _PASSED_ON:
            setattr(self, name, getattr(transport, name))

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

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts:
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))
