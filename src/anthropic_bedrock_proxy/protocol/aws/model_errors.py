"""The meaning of `ModelErrorException`: the error that a failed model itself reported to AWS.

AWS wraps a model's own error into `ModelErrorException` (or `ModelStreamErrorException` in a
stream) and tells the model's status apart. A status of the 4xx range is the request's doing, so the
client must see it as such and nobody must retry it, except where the status says to.
Source: bedrock-runtime service model, `ModelErrorException.originalStatusCode`.
"""

from __future__ import annotations

from typing import Final

_BY_STATUS: Final = {
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    413: "request_too_large",  # Anthropic's own name: Bedrock has none
    429: "ThrottlingException",
}


def code_for(code: str, original_status: object) -> str:
    """Returns the exception name for a model's 4xx status; `code` for any other status."""
    if isinstance(original_status, int) and 400 <= original_status < 500:  # noqa: PLR2004
        return _BY_STATUS.get(original_status, "ValidationException")
    return code
