"""Replies of handlers: whole ones, and those that stream. Here everything is bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from ..gateway.answer.stream import EventSource
from ..gateway.exchange import Exchange
from .encoder import Encoder, StreamEncoder

_NO_VALUE: Final = re.compile(rb"[\x00\r\n]")


class Reply(msgspec.Struct):
    """A reply in one piece. `lines` are header lines, each with its CRLF: see `header_lines`."""

    body: bytes
    status: int = 200
    lines: bytes = b""
    content_type: bytes = b"application/json"


class StreamReply(msgspec.Struct):
    """A reply of events as they come; close the source whatever happens."""

    source: EventSource
    encoder: StreamEncoder
    lines: bytes = b""


def encoded(
    answer: bytes | EventSource, exchange: Exchange, encoder: Encoder
) -> Reply | StreamReply:
    """Encodes what the gateway answers: a message document, or events as they come."""
    lines = encoder.lines(exchange)
    if isinstance(answer, bytes):
        return Reply(encoder.message(answer, exchange), lines=lines)
    return StreamReply(answer, encoder.stream(exchange), lines)


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Renders header lines; what could end one before its time becomes a blank."""
    headers = list(headers)
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    if lines.count(b"\n") == lines.count(b"\r") == len(headers) and b"\0" not in lines:
        return lines
    return header_lines([(name, _NO_VALUE.sub(b" ", value)) for name, value in headers])
