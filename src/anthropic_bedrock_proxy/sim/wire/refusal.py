"""Bedrock's refusals: a status, an exception name and a sentence.

The names and statuses are those of the bedrock-runtime service model (botocore); the front door
of AWS adds the signature errors. The wire is restJson: the name travels in `x-amzn-ErrorType`,
the sentence in `{"message": …}`.
"""

from __future__ import annotations

# A name that is not here is answered with 400.
STATUS: dict[str, int] = {
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "UnknownOperationException": 404,
    "ThrottlingException": 429,
    "ServiceQuotaExceededException": 400,
    "ModelNotReadyException": 429,
    "ModelTimeoutException": 408,
    "ModelErrorException": 424,
    "ModelStreamErrorException": 424,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
    "ConflictException": 400,
    "ExpiredTokenException": 403,
    "InvalidSignatureException": 403,
    "UnrecognizedClientException": 403,
    "MissingAuthenticationTokenException": 403,
    "IncompleteSignatureException": 403,
    "RequestEntityTooLargeException": 413,
}


class Refusal(Exception):  # noqa: N818  # it is an answer, raised to unwind the validation
    """An answer that is an AWS error. `type` is the exception name."""

    def __init__(self, type_: str, message: str) -> None:
        super().__init__(message)
        self.type = type_
        self.message = message


def invalid(message: str) -> Refusal:
    """Makes a `ValidationException` with Bedrock's words."""
    return Refusal("ValidationException", message)


def extra(path: str) -> Refusal:
    """Makes the refusal of a field that is not in the schema."""
    return invalid(f"{path}: Extra inputs are not permitted")
