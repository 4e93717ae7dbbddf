"""Reading a request body: bounded in size, decompressed if need be.

The limit holds for the bytes on the wire and for what they decompress to, so that a small gzip
body cannot fill memory. Time is bounded by the caller's watch (http/asgi.py): a timer of our own
would cost more than reading the body.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from ..errors import InvalidRequestError, ProxyError, RequestTooLargeError

Receive = Callable[[], Awaitable[dict[str, Any]]]

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_ZLIB_OR_RAW: Final = 32 + zlib.MAX_WBITS


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


async def read_body(
    receive: Receive, headers: Mapping[bytes, bytes], limit: int
) -> bytes | bytearray:
    """The decoded body, at most `limit` bytes. Raises `ProxyError` or `ClientGoneError`."""
    length = headers.get(b"content-length")
    if length is not None and int(length) > limit:
        raise _too_large(limit)
    message = await _receive(receive)
    body: bytes | bytearray = message["body"]
    if message["more_body"]:
        body = bytearray(body)
        while message["more_body"]:
            message = await _receive(receive)
            body += message["body"]
            if len(body) > limit:
                raise _too_large(limit)
    if len(body) > limit:
        raise _too_large(limit)
    encoding = headers.get(b"content-encoding")
    return body if encoding is None else _decode(body, encoding.strip().lower(), limit)


async def _receive(receive: Receive) -> dict[str, Any]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    return message


def _decode(body: bytes | bytearray, encoding: bytes, limit: int) -> bytes:
    if encoding in (b"", b"identity"):
        return bytes(body)
    if encoding not in (b"gzip", b"x-gzip", b"deflate"):
        raise InvalidRequestError(
            "content-encoding: only gzip and deflate are supported",
            error_code="request_body_encoding_unsupported",
        )
    window = _ZLIB_OR_RAW if encoding == b"deflate" else _GZIP_WINDOW
    decoder = zlib.decompressobj(window)
    try:
        decoded = decoder.decompress(body, limit + 1)
        complete = decoder.eof
    except zlib.error:
        complete, decoded = False, b""
    if len(decoded) > limit:
        raise RequestTooLargeError(
            f"The request body is over {limit} bytes once decompressed.",
            error_code="request_body_too_large_after_decoding",
        )
    if not complete:
        raise InvalidRequestError(
            f"The request body is not valid {encoding.decode('latin-1')}.",
            error_code="request_body_encoding_invalid",
        )
    return decoded


def _too_large(limit: int) -> ProxyError:
    return RequestTooLargeError(f"The request body is over the limit of {limit} bytes.")


def too_slow(seconds: float) -> ProxyError:
    """The error for a body that took too long."""
    return InvalidRequestError(
        f"The request body did not arrive within {seconds:g} s.", error_code="request_body_timeout"
    )
