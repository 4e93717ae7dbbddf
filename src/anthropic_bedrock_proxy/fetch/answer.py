"""One HTTP/1.1 answer of a server that nobody vouches for. Sans-IO, around httptools.

Rules of the file:
- Everything is bounded while it arrives: the head, the body, and the bytes on the wire that are
  neither (interim answers, chunk extensions, trailers).
- Only bodies as they are: an encoded one could grow without bounds when it is unpacked.
- An answer without a length ends with its connection (RFC 9112 6.3); any other that ends early is
  an error.
"""

from __future__ import annotations

from typing import Any, Final

import httptools

from .base import NotAccessibleError, TooLargeError

MAX_HEAD: Final = 64 * 1024  # bytes of status line and headers, interim answers included
_FIRST_FINAL_STATUS: Final = 200
_BROKEN: Final = "the server's answer is not valid HTTP"


class FetchAnswer:
    """An answer while it arrives: `receive` takes bytes; the attributes tell what has come."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` bounds the body."""
        self.status = 0  # 0 until the final head is complete
        self.headers: dict[str, str] = {}  # lower-case names; a repeated header is joined
        self.complete = False
        self._max_bytes = max_bytes
        self._body = bytearray()  # not a list: a chunk of a byte would take sixty
        self._wire = 0
        self._parser: Any = httptools.HttpResponseParser(self)

    @property
    def body(self) -> bytes:
        """Returns the part of the body that has arrived."""
        return bytes(self._body)

    def receive(self, data: bytes) -> None:
        """Takes the next bytes; b"" says that the connection has ended. Raises `FetchError`."""
        if not data:
            self._end()
            return
        self._wire += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self.complete:  # what follows a complete answer is nobody's business
                raise NotAccessibleError(_BROKEN) from None
        self._check_size()

    def close(self) -> None:
        """Drops the parser, which refers to this object (docs/decisions/0020)."""
        self._parser = None

    def _end(self) -> None:
        framed = "content-length" in self.headers or "transfer-encoding" in self.headers
        if not self.complete and (framed or not self.status):
            raise NotAccessibleError("the server closed the connection too early")
        self.complete = True

    def _check_size(self) -> None:
        if not self.status:
            if self._wire > MAX_HEAD:
                raise NotAccessibleError("the head of the server's answer is too large")
        elif len(self._body) > self._max_bytes or self._wire > 2 * self._max_bytes + 2 * MAX_HEAD:
            raise too_large(self._max_bytes)

    # The callbacks of httptools: their names and meanings are its own

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keeps a header; trailers are not headers."""
        if self.status:
            return
        key, text = name.decode("latin-1").lower(), value.decode("utf-8", "replace")
        held = self.headers.get(key)
        self.headers[key] = text if held is None else f"{held}, {text}"

    def on_headers_complete(self) -> None:
        """Forgets interim answers."""
        status = self._parser.get_status_code()
        if status >= _FIRST_FINAL_STATUS:
            self.status = status
        else:
            self.headers = {}

    def on_body(self, body: bytes) -> None:
        """Keeps a part of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Notes the end, unless it is that of an interim answer."""
        self.complete = bool(self.status)


def too_large(max_bytes: int) -> TooLargeError:
    """Makes the error for a body over `max_bytes`."""
    return TooLargeError(f"it is over {max_bytes} bytes")


def check_head(answer: FetchAnswer, max_bytes: int) -> None:
    """Refuses a body by its head, before it is read. Raises `FetchError`."""
    headers = answer.headers
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise NotAccessibleError("the server sent it compressed although it was asked not to")
    if headers.get("transfer-encoding", "chunked").strip().lower() != "chunked":
        raise NotAccessibleError(_BROKEN)
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise too_large(max_bytes)
