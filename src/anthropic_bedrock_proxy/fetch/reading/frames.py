"""Frames between a worker and the process that reads pages: a length in four bytes, then so much.

worker: one frame of JSON, {"media_type": …, "charset": …, "url": …}, and one with the body
child:  one frame of JSON, {"title": …, "text": …} or {"failure": …}; with "last": true it ends
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

import msgspec

LENGTH: Final = struct.Struct(">I")
MAX_TEXT: Final = 4_000_000  # characters of one page
MAX_ANSWER: Final = 4 * MAX_TEXT + 64 * 1024  # bytes: four of UTF-8 for a character
# Control characters take six in JSON, so that a text of nothing else would not fit.


class ReadingOrder(msgspec.Struct, frozen=True):
    """The first frame: all about a body that is not in it."""

    media_type: str
    charset: str | None
    url: str


class ReadingAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer: a title and a text, or a failure, which is one of those below."""

    title: str | None = None
    text: str | None = None
    failure: str | None = None
    last: bool = False


NO_TEXT: Final = "no text"
NO_MEMORY: Final = "no memory"
NO_TIME: Final = "no time"
NO_PACKAGES: Final = "no packages"


def frame(data: bytes) -> bytes:
    """Puts the length before `data`."""
    return LENGTH.pack(len(data)) + data


def read_frame(stream: BinaryIO) -> bytes | None:
    """Reads a frame of a blocking stream; None at its end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    size: int = LENGTH.unpack(head)[0]
    data = stream.read(size)
    return data if len(data) == size else None
