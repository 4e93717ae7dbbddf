"""What can go wrong inside an AWS event stream: exception frames, error frames, corrupt ones.

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

# What decoding a frame and its payload may raise.
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
    """The refusal that a frame other than an event stands for, under AWS's usual exception name."""
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
