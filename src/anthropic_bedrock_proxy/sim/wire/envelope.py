"""Envelopes of errors: AWS's, or Anthropic's on the Messages endpoints.

AWS puts the exception's name in a header and a sentence in the body; Anthropic puts both in the
body and has its own statuses. A script may name either kind of error: on a Messages endpoint an
AWS exception is told as its Anthropic counterpart.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..script import Error
from .delivery import Headers
from .faults import ExceptionFault
from .ids import new_id
from .refusal import STATUS

JSON = (b"content-type", b"application/json")
# Anthropic's error types with their statuses, from its API reference.
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_COUNTERPART = {
    "ValidationException": "invalid_request_error",
    "AccessDeniedException": "permission_error",
    "ResourceNotFoundException": "not_found_error",
    "UnknownOperationException": "not_found_error",
    "ThrottlingException": "rate_limit_error",
    "ServiceQuotaExceededException": "rate_limit_error",
    "ModelNotReadyException": "overloaded_error",
    "ServiceUnavailableException": "overloaded_error",
    "ModelTimeoutException": "timeout_error",
    "ConflictException": "conflict_error",
    "RequestEntityTooLargeException": "request_too_large",
    "ExpiredTokenException": "authentication_error",
    "InvalidSignatureException": "authentication_error",
    "UnrecognizedClientException": "authentication_error",
    "MissingAuthenticationTokenException": "authentication_error",
    "IncompleteSignatureException": "authentication_error",
}


class Answered(msgspec.Struct, frozen=True):
    """An error in the form in which it is sent and logged."""

    status: int
    type: str
    headers: Headers
    body: bytes


def anthropic_type(name: str) -> str:
    """Returns the Anthropic error type for an AWS exception (either case) or for itself."""
    if name in _STATUS:
        return name
    return _COUNTERPART.get(name[:1].upper() + name[1:], "api_error")


def answered(error: Error, request_id: str, *, anthropic: bool, typed: bool = False) -> Answered:
    """Makes the whole answer for an error, in the endpoint's envelope unless the script chose.

    `typed`: the body names the exception too, as AWS's JSON protocols have it.
    """
    headers: Headers = [JSON, (b"x-amzn-requestid", request_id.encode())]
    if error.retry_after is not None:
        headers.append((b"retry-after", f"{error.retry_after:g}".encode()))
    if error.envelope == "aws" or (error.envelope is None and not anthropic):
        status = error.status or STATUS.get(error.type, 400)
        headers.append((b"x-amzn-errortype", error.type.encode()))
        told = {"__type": error.type} if typed else {}
        told["message"] = error.message
        return Answered(status, error.type, headers, msgspec.json.encode(told))
    type_ = anthropic_type(error.type) if anthropic else error.type
    status = error.status or _STATUS.get(type_, 400)
    document: dict[str, Any] = {
        "type": "error",
        "error": {"type": type_, "message": error.message},
    }
    if anthropic:
        document["request_id"] = new_id("req_")
        headers.append((b"request-id", document["request_id"].encode()))
    return Answered(status, type_, headers, msgspec.json.encode(document))


def error_event(fault: ExceptionFault) -> bytes:
    """Makes the event that ends a broken stream of server-sent events."""
    error = {"type": anthropic_type(fault.type), "message": fault.message}
    document = {"type": "error", "error": error, "request_id": new_id("req_")}
    return b"event: error\ndata: %b\n\n" % msgspec.json.encode(document)
