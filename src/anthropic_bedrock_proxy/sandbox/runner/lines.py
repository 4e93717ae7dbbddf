"""Lines of JSON, whole or in pieces: the form of both protocols that the runner speaks. Pure."""

from __future__ import annotations

import json
from typing import Any

MAX_LINE_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 100  # of JSON in JSON: what reads it on the other side has a limit too


class BadLineError(ValueError):
    """A line that is too long, no JSON object, or one of no known form."""


class LineBuffer:
    """Bytes as they come, cut into messages."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Returns the messages that are complete with `data`. Raises `BadLineError`."""
        seen = len(self._bytes)
        self._bytes += data
        messages = []
        begin = 0
        end = self._bytes.find(b"\n", seen)
        while end >= 0:
            if end - begin > self._max_bytes:
                raise BadLineError("the line is too long")
            messages.append(decode_line(bytes(self._bytes[begin:end])))
            begin = end + 1
            end = self._bytes.find(b"\n", begin)
        del self._bytes[:begin]
        if len(self._bytes) > self._max_bytes:
            raise BadLineError("the line is too long")
        return messages


def decode_line(line: bytes) -> dict[str, Any]:
    """Reads one line, without its end. Raises `BadLineError`."""
    try:
        message = json.loads(line.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadLineError("the line is no JSON") from error
    if not isinstance(message, dict):
        raise BadLineError("the line is no JSON object")
    return message


def encode_line(message: dict[str, Any]) -> bytes:
    """Writes one line. Raises `BadLineError` for what JSON in UTF-8 cannot say."""
    try:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode() + b"\n"
    except (ValueError, TypeError, RecursionError) as error:
        raise BadLineError("the message is no JSON") from error


def is_too_deep(value: Any, most: int = MAX_DEPTH) -> bool:
    """Tells whether lists and dicts are in each other more than `most` times."""
    level: list[Any] = [value] if isinstance(value, (dict, list)) else []
    for _ in range(most):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list, tuple))
        ]
    return bool(level)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
