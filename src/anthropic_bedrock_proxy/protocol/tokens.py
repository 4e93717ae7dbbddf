"""Token estimates, where AWS did not tell the number. Every use is flagged as an estimate.

Claude's tokenizer is not public. Four bytes of JSON a token is close for English and code; an
image costs about 1 500 tokens whatever its bytes, so base64 data must not be counted as text.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Raw

_BYTES_PER_TOKEN: Final = 4
_IMAGE_TOKENS: Final = 1500
_LARGE: Final = 65_536  # bytes; in a smaller request, images are not looked for
# Anthropic calls the field `data`, Converse `bytes`.
_BASE64_DATA: Final = re.compile(rb'"(?:data|bytes)"\s*:\s*"[A-Za-z0-9+/=]{256,}"')
# JSON around the text of one streamed delta event.
_DELTA_FRAME_BYTES: Final = 85


def estimate_input(body: bytes | bytearray | Raw) -> int:
    """Input tokens of a request body."""
    rest, media = _BASE64_DATA.subn(b"", memoryview(body))
    return max(1, len(rest) // _BYTES_PER_TOKEN + media * _IMAGE_TOKENS)


def within_tokens(text: str, most: int) -> str:
    """Returns the beginning of a text that is estimated at `most` tokens, or all of it."""
    size = most * _BYTES_PER_TOKEN
    if len(text) <= size // 4:  # a character has four bytes at most
        return text
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= size else encoded[:size].decode("utf-8", "ignore")


def estimate_quickly(*parts: bytes | bytearray | Raw) -> int:
    """Input tokens of a request in parts, for admission: of a small one by its size alone."""
    size = sum(map(len, parts))
    return size // _BYTES_PER_TOKEN if size < _LARGE else sum(map(estimate_input, parts))


def estimate_output(delta_events: int, delta_bytes: int) -> int:
    """Output tokens of the deltas seen so far, from their number and their JSON bytes."""
    return max(delta_events, (delta_bytes - delta_events * _DELTA_FRAME_BYTES) // _BYTES_PER_TOKEN)
