"""Reading a request body: bounded in size, decompressed if need be.

The limit holds for the bytes on the wire and for what they decompress to, so that a small gzip
body cannot fill memory. Time is bounded by the connection (http/server/bounds.py).
"""

from __future__ import annotations

import zlib
from typing import Any, Final

from ..errors import InvalidRequestError, ProxyError, RequestTooLargeError
from .server.request import Request

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_GZIP_MAGIC: Final = b"\x1f\x8b"
# A decoder hands back a copy of what follows the end of its stream: small pieces keep that cheap.
_PIECE: Final = 1 << 16
_MAX_MEMBERS: Final = 1024  # a body of empty gzip members must not cost a decoder for each


async def read_body(request: Request[Any], limit: int) -> bytes | bytearray:
    """Reads the decoded body, at most `limit` bytes. Raises `ProxyError` or `ClientGoneError`."""
    if request.head.length > limit:
        raise _too_large(limit)
    body: bytes | bytearray | None = request.body_now()
    if body is None:
        body = await _rest(request, limit)
    if len(body) > limit:
        raise _too_large(limit)
    encoding = request.headers.get(b"content-encoding")
    return body if encoding is None else _decode(body, encoding.strip().lower(), limit)


async def skip_body(request: Request[Any], limit: int) -> None:
    """Reads a body that nobody wants and keeps nothing of it. Raises as `read_body`."""
    left = limit
    if request.head.length > limit:
        raise _too_large(limit)
    while left >= 0 and (part := await request.read()):
        left -= len(part)
    if left < 0:
        raise _too_large(limit)


async def _rest(request: Request[Any], limit: int) -> bytearray:
    """Reads on a body of which not all is there."""
    body = bytearray()
    while len(body) <= limit and (part := await request.read()):
        body += part
    return body


def _decode(body: bytes | bytearray, encoding: bytes, limit: int) -> bytes:
    if encoding in (b"", b"identity"):
        return bytes(body)
    if encoding not in (b"gzip", b"x-gzip", b"deflate"):
        raise InvalidRequestError(
            "content-encoding: only gzip and deflate are supported",
            error_code="request_body_encoding_unsupported",
        )
    # "deflate" means zlib (RFC 9110 8.4.1.2), but some clients send the stream without its frame.
    windows = (_GZIP_OR_ZLIB, _RAW) if encoding == b"deflate" else (_GZIP_WINDOW,)
    for window in windows:
        try:
            return _inflate(body, window, limit)
        except zlib.error:
            continue
    raise InvalidRequestError(
        f"The request body is not valid {encoding.decode('latin-1')}.",
        error_code="request_body_encoding_invalid",
    )


def _inflate(body: bytes | bytearray, window: int, limit: int) -> bytes:
    """Decompresses all members of a body (RFC 1952 2.2). Raises zlib.error or `ProxyError`."""
    view = memoryview(body)
    position, members, room = 0, 1, limit + 1
    decoded = []
    decoder = zlib.decompressobj(window)
    while position < len(view):
        piece = view[position : position + _PIECE]
        if decoder.eof:
            if not _begins_a_member(view[position:]):
                break
            decoder = zlib.decompressobj(window)
            members += 1
            if members > _MAX_MEMBERS:
                raise zlib.error("too many members")
        decoded.append(decoder.decompress(piece, room))
        room -= len(decoded[-1])
        if not room:
            raise RequestTooLargeError(
                f"The request body is over {limit} bytes once decompressed.",
                error_code="request_body_too_large_after_decoding",
            )
        position += len(piece) - len(decoder.unused_data)
    if not decoder.eof:
        raise zlib.error("cut short")
    return b"".join(decoded)


def _begins_a_member(rest: memoryview) -> bool:
    """Returns False for zero padding, which ends the body. Raises zlib.error for anything else."""
    if bytes(rest[:2]) == _GZIP_MAGIC:
        return True
    if bytes(rest).strip(b"\0"):
        raise zlib.error("something follows the end of the stream")
    return False


def _too_large(limit: int) -> ProxyError:
    return RequestTooLargeError(f"The request body is over the limit of {limit} bytes.")
