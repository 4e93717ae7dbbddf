"""Exceptions that AWS tells inside an event stream, and the errors of models inside those.

An exception frame names its kind in `:exception-type` (lowerCamel) and carries a JSON object with a
`message`; an error frame says everything in `:error-code` and `:error-message`.
AWS wraps a model's own error into `ModelErrorException` (or `ModelStreamErrorException` in a
stream) and tells the model's status apart. A status of the 4xx range is the request's doing, so the
client must see it as such and nobody must retry it, except where the status says to.
Sources: event-stream specification of AWS (Smithy); bedrock-runtime service model,
`ModelErrorException.originalStatusCode`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ...aws_errors import UpstreamRefusal
from .eventstream import FrameError, HeaderValue

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

_BY_STATUS: Final = {
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    413: "request_too_large",  # Anthropic's own name: Bedrock has none
    429: "ThrottlingException",
}
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


def code_for(code: str, original_status: object) -> str:
    """Returns the exception name for a model's 4xx status; `code` for any other status."""
    if isinstance(original_status, int) and 400 <= original_status < 500:  # noqa: PLR2004
        return _BY_STATUS.get(original_status, "ValidationException")
    return code
