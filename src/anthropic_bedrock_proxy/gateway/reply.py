"""What the gateway hands to the HTTP side: a whole answer, or one that streams."""

from __future__ import annotations

from typing import Protocol

import msgspec

Headers = list[tuple[bytes, bytes]]


class Reply(msgspec.Struct):
    """An answer in one piece."""

    body: bytes
    status: int = 200
    headers: Headers = []
    content_type: bytes = b"application/json"


class ByteSource(Protocol):
    """Bytes that come over time."""

    async def read(self) -> bytes | None:
        """The next bytes; None at the end. Never raises an error of the upstream."""
        ...

    def close(self) -> None:
        """Lets go at once, read to the end or not. Idempotent."""
        ...


class StreamReply(msgspec.Struct):
    """An answer of server-sent events; close the source whatever happens."""

    source: ByteSource
    headers: Headers = []
