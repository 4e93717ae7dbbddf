"""Answers from the gateway to the HTTP side: whole ones, and those that stream."""

from __future__ import annotations

from typing import Protocol

import msgspec

Headers = list[tuple[bytes, bytes]]


def parse_lines(lines: bytes) -> Headers:
    """Headers out of their lines."""
    pairs = (line.partition(b": ") for line in lines.split(b"\r\n")[:-1])
    return [(name, value) for name, _, value in pairs]


class Reply(msgspec.Struct):
    """An answer in one piece.

    `lines` are headers as they go over the wire, each with its end, made of nothing but our own
    numbers and of ids that were looked at: the server need not look at every one, which costs more
    than making them.
    """

    body: bytes
    status: int = 200
    headers: Headers = []
    lines: bytes = b""
    content_type: bytes = b"application/json"


class ByteSource(Protocol):
    """Bytes that come over time."""

    @property
    def done(self) -> bool:
        """Tells whether nothing follows, as far as is known: a look spares a write."""
        ...

    async def read(self) -> bytes | None:
        """Reads the next bytes; None at the end. Never raises an error of the upstream."""
        ...

    def close(self) -> None:
        """Lets go at once, read to the end or not. Idempotent."""
        ...


class StreamReply(msgspec.Struct):
    """An answer of server-sent events; close the source whatever happens. `lines`: see `Reply`."""

    source: ByteSource
    headers: Headers = []
    lines: bytes = b""
