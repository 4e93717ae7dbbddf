"""Failures inside an AWS event stream: exception frames, error frames, corrupt frames.

An exception frame names its kind in `:exception-type` (lowerCamel) and carries a JSON object with a
`message`; an error frame says everything in `:error-code` and `:error-message`.
Source: event-stream specification of AWS (Smithy); Bedrock service model for the members.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ...aws_errors import UpstreamRefusal
from .eventstream import FrameError, HeaderValue
from .model_errors import code_for

# Exceptions of decoding a frame and its payload.
CORRUPT: Final = (
    FrameError,
    msgspec.MsgspecError,
    LookupError,
    ValueError,
    AttributeError,
    TypeError,
    RecursionError,
)

_decode_any: Any = msgspec.json.Decoder(float_hook=float).decode


def refusal_of(headers: Mapping[str, HeaderValue], payload: bytes) -> UpstreamRefusal:
    """Returns the refusal of an exception or error frame, under AWS's usual exception name."""
    code = str(headers.get(":exception-type") or headers.get(":error-code") or "Unknown")
    message = str(headers.get(":error-message") or "")
    original = None
    try:
        body = _decode_any(payload) if payload else {}
        message = message or str(body.get("message") or body.get("Message") or "")
        original = body.get("originalStatusCode")
    except (msgspec.MsgspecError, AttributeError, ValueError, RecursionError):
        pass  # no JSON object: the headers have to do
    return UpstreamRefusal(code_for(code[:1].upper() + code[1:], original), message)
