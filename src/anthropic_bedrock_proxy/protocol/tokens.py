"""Token estimates, where AWS did not tell the number. Every use is flagged as an estimate.

Claude's tokenizer is not public. Four bytes of JSON a token is close for English and code; an
image costs about 1 500 tokens whatever its bytes, so base64 data must not be counted as text.
"""

from __future__ import annotations

import re
from typing import Final

_BYTES_PER_TOKEN: Final = 4
_IMAGE_TOKENS: Final = 1500
# Anthropic calls the field `data`, Converse `bytes`.
_BASE64_DATA: Final = re.compile(rb'"(?:data|bytes)"\s*:\s*"[A-Za-z0-9+/=]{256,}"')
# JSON around the text of one streamed delta event.
_DELTA_FRAME_BYTES: Final = 85


def estimate_input(body: bytes | bytearray) -> int:
    """Input tokens of a request body."""
    rest, media = _BASE64_DATA.subn(b"", body)
    return max(1, len(rest) // _BYTES_PER_TOKEN + media * _IMAGE_TOKENS)


def estimate_output(delta_events: int, delta_bytes: int) -> int:
    """Output tokens of the deltas seen so far, from their number and their JSON bytes."""
    return max(delta_events, (delta_bytes - delta_events * _DELTA_FRAME_BYTES) // _BYTES_PER_TOKEN)
