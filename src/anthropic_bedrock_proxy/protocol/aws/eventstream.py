"""AWS event-stream frames: bytes -> frames and back. Sans-IO, like h11: the caller does the I/O.

A frame on the wire (all integers big endian):
  u32 total length | u32 headers length | u32 CRC-32 of those 8 bytes
  headers: u8 name length, name, u8 type, value | payload | u32 CRC-32 of everything before
Header types: 0 true, 1 false, 2 i8, 3 i16, 4 i32, 5 i64, 6 bytes (u16 length), 7 string (u16
length), 8 timestamp (i64 milliseconds), 9 uuid (16 bytes).
Bounds on headers and payload are those of botocore's own parser, our oracle in the tests.
"""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Mapping
from uuid import UUID

import msgspec

_PRELUDE = struct.Struct(">III")
_PRELUDE_LENGTH = 12
_CRC = struct.Struct(">I")
_OVERHEAD = 16  # prelude and the final CRC
MAX_HEADERS_BYTES = 128 * 1024
MAX_PAYLOAD_BYTES = 24 * 1024 * 1024

HeaderValue = bool | int | bytes | str | UUID
_FIXED: dict[int, struct.Struct] = {
    2: struct.Struct(">b"),
    3: struct.Struct(">h"),
    4: struct.Struct(">i"),
    5: struct.Struct(">q"),
    8: struct.Struct(">q"),
}
_BYTES, _STRING, _UUID = 6, 7, 9


class FrameError(Exception):
    """The bytes are not a valid event stream; nothing after them can be trusted."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One message: its raw header block and its payload."""

    raw_headers: bytes
    payload: bytes

    @property
    def headers(self) -> dict[str, HeaderValue]:
        """The decoded headers. Raises `FrameError`."""
        return decode_headers(self.raw_headers)


class FrameDecoder:
    """Decoder of frames: takes chunks cut anywhere, returns the frames that are complete.

    `broken` is set at the first invalid frame; every later call raises it again.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self.broken: FrameError | None = None

    @property
    def at_boundary(self) -> bool:
        """Tells whether all bytes received so far were whole frames: a clean place to end."""
        return not self._buffer and self.broken is None

    def receive(self, chunk: bytes) -> list[Frame]:
        """Frames completed by `chunk`. Raises `FrameError`, but only once the good ones are out."""
        if self.broken is not None:
            raise FrameError(str(self.broken))
        buffer = self._buffer + chunk if self._buffer else chunk
        frames: list[Frame] = []
        position = 0
        try:
            while (end := _frame_end(buffer, position)) is not None:
                frames.append(_frame(buffer, position, end))
                position = end
        except FrameError as error:
            # A copy without a traceback: docs/decisions/0020.
            self.broken = FrameError(str(error))
            if not frames:
                raise
        self._buffer = buffer[position:]
        return frames


def _frame_end(buffer: bytes, position: int) -> int | None:
    """Returns the end of the frame at `position`; None while it is incomplete.

    Raises `FrameError`.
    """
    if len(buffer) - position < _PRELUDE_LENGTH:
        return None
    total, headers_length, checksum = _PRELUDE.unpack_from(buffer, position)
    if crc32(buffer[position : position + 8]) != checksum:
        raise FrameError("prelude checksum does not match")
    if headers_length > MAX_HEADERS_BYTES or total > MAX_PAYLOAD_BYTES:
        raise FrameError("frame is over the size limit")
    if total < headers_length + _OVERHEAD:
        raise FrameError("frame is shorter than its own headers")
    end: int = position + total
    return end if len(buffer) >= end else None


def _frame(buffer: bytes, position: int, end: int) -> Frame:
    """The whole frame between two offsets. Raises `FrameError`."""
    tail = end - 4
    if crc32(buffer[position:tail]) != _CRC.unpack_from(buffer, tail)[0]:
        raise FrameError("message checksum does not match")
    start = position + _PRELUDE_LENGTH
    middle = start + int.from_bytes(buffer[position + 4 : position + 8], "big")
    return Frame(buffer[start:middle], buffer[middle:tail])


def decode_headers(data: bytes) -> dict[str, HeaderValue]:
    """Decodes a header block. Raises `FrameError`."""
    headers: dict[str, HeaderValue] = {}
    position = 0
    try:
        while position < len(data):
            length = data[position]
            name = data[position + 1 : position + 1 + length].decode()
            kind = data[position + 1 + length]
            headers[name], position = _decode_value(kind, data, position + 2 + length)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise FrameError("header block is malformed") from error
    return headers


def _decode_value(kind: int, data: bytes, position: int) -> tuple[HeaderValue, int]:
    if kind <= 1:
        return kind == 0, position
    if fixed := _FIXED.get(kind):
        return fixed.unpack_from(data, position)[0], position + fixed.size
    if kind in (_BYTES, _STRING):
        start = position + 2
        end = start + int.from_bytes(data[position:start], "big")
        if end > len(data):
            raise FrameError("header value runs past the header block")
        value = data[start:end]
        return (value if kind == _BYTES else value.decode()), end
    if kind == _UUID and position + 16 <= len(data):
        return UUID(bytes=data[position : position + 16]), position + 16
    raise FrameError(f"header type {kind} is unknown or cut short")


def encode_frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame with string headers, which is all that Bedrock's streams use."""
    block = b"".join(
        _string_header(name.encode(), value.encode()) for name, value in headers.items()
    )
    prelude = struct.pack(">II", _OVERHEAD + len(block) + len(payload), len(block))
    head = prelude + _CRC.pack(crc32(prelude)) + block + payload
    return head + _CRC.pack(crc32(head))


def _string_header(name: bytes, value: bytes) -> bytes:
    return b"%c%b\x07%b%b" % (len(name), name, len(value).to_bytes(2, "big"), value)
