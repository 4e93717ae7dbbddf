"""Bounds of a request's head, which uvicorn does not set: 64 KiB, and a minute to send it.

A mixin before uvicorn's httptools protocol. Bytes are counted only until the head is complete; time
is looked at twice a minute per connection, not per request.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

MAX_HEAD_BYTES: Final = 64 * 1024
HEAD_SECONDS: Final = 60.0
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%b"
)
_BODY: Final = (
    b'{"type":"error","error":{"type":"invalid_request_error",'
    b'"message":"The request\'s headers are over 65536 bytes."}}'
)


class HeadBounds:
    """Closes connections whose heads are too large or too slow."""

    loop: asyncio.AbstractEventLoop
    transport: Any
    _head_bytes = 0
    _head_since: float | None = None  # None: no head is being received
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client that says nothing at all is sending its first head."""
        super().connection_made(transport)  # type: ignore[misc]  # uvicorn's, by the order of bases
        self._head_since = self.loop.time()
        self._head_timer = self.loop.call_later(HEAD_SECONDS / 2, self._check_head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to check."""
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)  # type: ignore[misc]  # as above

    def data_received(self, data: bytes) -> None:
        """Parses, then counts if the head is still incomplete."""
        super().data_received(data)  # type: ignore[misc]  # as above
        if self._head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE % (len(_BODY), _BODY))
                self.transport.close()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()  # type: ignore[misc]  # as above
        self._head_bytes = 0
        self._head_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._head_since = None
        super().on_headers_complete()  # type: ignore[misc]  # as above

    def _check_head(self) -> None:
        since = self._head_since
        if since is not None and self.loop.time() - since > HEAD_SECONDS:
            self.transport.close()
        else:
            self._head_timer = self.loop.call_later(HEAD_SECONDS / 2, self._check_head)
