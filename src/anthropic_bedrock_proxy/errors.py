"""Every error a client can see, and the one table from AWS exceptions to Anthropic errors.

A `ProxyError` carries the HTTP status and the Anthropic error type; `body()` is the wire shape.
Messages are for clients: they never hold secrets, prompt text, account ids or stack traces
(`redact` removes account ids and ARNs from what AWS says, `hide_keys` what a client pasted into the
wrong place: messages end up in its logs too).
Sources: reference of the Anthropic API, section "Errors"; Bedrock service model (botocore).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Final

import msgspec

_RETRIED: Final = (408, 409, 429)


class ProxyError(Exception):
    """Abstract parent: `status` is the HTTP status, `type` the Anthropic error type."""

    status = 500
    type = "api_error"

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        should_retry: bool | None = None,
        error_code: str | None = None,
    ) -> None:
        """`retry_after` in seconds; `error_code` becomes `error.details.error_code`."""
        self.message = hide_keys(message)
        super().__init__(self.message)
        self.retry_after = retry_after
        self.should_retry = should_retry
        self.error_code = error_code
        self.extra_headers: list[tuple[bytes, bytes]] = []

    def body(self, request_id: str) -> bytes:
        """Returns Anthropic's error document."""
        error: dict[str, object] = {"type": self.type, "message": self.message}
        if self.error_code is not None:
            error["details"] = {"error_code": self.error_code}
        return msgspec.json.encode({"type": "error", "error": error, "request_id": request_id})

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Returns retry hints that the official SDKs obey; `x-should-retry` is always there."""
        headers = list(self.extra_headers)
        if self.retry_after is not None:
            headers.append((b"retry-after", b"%d" % max(1, math.ceil(self.retry_after))))
        retry = self.should_retry
        if retry is None:  # what the SDKs would decide by themselves
            retry = self.status in _RETRIED or self.status >= 500  # noqa: PLR2004
        headers.append((b"x-should-retry", b"true" if retry else b"false"))
        return headers


class InvalidRequestError(ProxyError):
    """The request is malformed or asks for something that cannot be done: mend it."""

    status, type = 400, "invalid_request_error"


class AuthenticationError(ProxyError):
    """No API key, or one that is not known."""

    status, type = 401, "authentication_error"


class PermissionDeniedError(ProxyError):
    """The key is known but may not do this (revoked, expired, over budget)."""

    status, type = 403, "permission_error"


class NotFoundError(ProxyError):
    """No such path, model or object."""

    status, type = 404, "not_found_error"


class MethodNotAllowedError(ProxyError):
    """The path exists, but not for this method."""

    status, type = 405, "invalid_request_error"

    def __init__(self, message: str, *, allow: str) -> None:
        """`allow` lists the methods that the path serves, comma-separated."""
        super().__init__(message)
        self.allow = allow

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Adds `Allow`, which RFC 9110 15.5.6 requires."""
        return [(b"allow", self.allow.encode())]


class ConflictError(ProxyError):
    """Another request changes the same thing; trying again may help."""

    status, type = 409, "conflict_error"


class RequestTooLargeError(ProxyError):
    """The body is over the limit."""

    status, type = 413, "request_too_large"


class RateLimitError(ProxyError):
    """Too many requests or tokens; wait."""

    status, type = 429, "rate_limit_error"


class APIError(ProxyError):
    """Something broke on our side or upstream."""


class UnavailableError(ProxyError):
    """The proxy itself cannot serve now (draining, store unreachable)."""

    status = 503


class UpstreamTimeoutError(ProxyError):
    """The model did not answer in time."""

    status, type = 504, "timeout_error"


class OverloadedError(ProxyError):
    """The model has no capacity now."""

    status, type = 529, "overloaded_error"


class UpstreamRefusal(Exception):  # noqa: N818  # not an error of ours: a value that may be retried
    """An answer of AWS that refuses, before it is decided whether to try again.

    `code` is the AWS exception name (`ThrottlingException`), `status` the HTTP status or 0 for
    exception frames, `message` AWS's own words, `retry_after` seconds if AWS said so. `sent` tells
    whether the model may have run all the same (and AWS bills it).
    """

    sent: bool = False

    def __init__(
        self, code: str, message: str, *, status: int = 0, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.retry_after = retry_after


class AWSRule(msgspec.Struct, frozen=True):
    """The rule for one AWS exception: what a client sees, and whether the proxy tries again."""

    error: type[ProxyError]
    retryable: bool = False
    credentials: bool = False  # the operator's credentials are at fault, never the client's


# One row per exception of the bedrock-runtime service model plus the signature errors of the AWS
# front door, which drops the suffix of some names. 424 ModelErrorException keeps the model's own
# status where AWS passes it on (protocol/aws/model_errors.py).
AWS_ERRORS: dict[str, AWSRule] = {
    "ValidationException": AWSRule(InvalidRequestError),
    "AccessDeniedException": AWSRule(PermissionDeniedError),
    "ResourceNotFoundException": AWSRule(NotFoundError),
    "ConflictException": AWSRule(ConflictError),
    "ThrottlingException": AWSRule(RateLimitError, retryable=True),
    "TooManyRequestsException": AWSRule(RateLimitError, retryable=True),
    "ServiceQuotaExceededException": AWSRule(RateLimitError),
    "ModelNotReadyException": AWSRule(OverloadedError, retryable=True),
    "ModelTimeoutException": AWSRule(UpstreamTimeoutError, retryable=True),
    "ModelErrorException": AWSRule(APIError, retryable=True),
    "ModelStreamErrorException": AWSRule(APIError, retryable=True),
    "InternalServerException": AWSRule(APIError, retryable=True),
    "InternalFailure": AWSRule(APIError, retryable=True),
    "ServiceUnavailableException": AWSRule(OverloadedError, retryable=True),
    "ExpiredTokenException": AWSRule(APIError, retryable=True, credentials=True),
    "UnrecognizedClientException": AWSRule(APIError, credentials=True),
    "InvalidSignatureException": AWSRule(APIError, credentials=True),
    "MissingAuthenticationTokenException": AWSRule(APIError, credentials=True),
    "IncompleteSignatureException": AWSRule(APIError, credentials=True),
    "UnknownOperationException": AWSRule(APIError),
    # The same by their older and shorter names.
    "ValidationError": AWSRule(InvalidRequestError),
    "AccessDenied": AWSRule(PermissionDeniedError),
    "ResourceNotFound": AWSRule(NotFoundError),
    "Throttling": AWSRule(RateLimitError, retryable=True),
    "ThrottledException": AWSRule(RateLimitError, retryable=True),
    "RequestThrottled": AWSRule(RateLimitError, retryable=True),
    "RequestThrottledException": AWSRule(RateLimitError, retryable=True),
    "RequestLimitExceeded": AWSRule(RateLimitError, retryable=True),
    "TooManyRequests": AWSRule(RateLimitError, retryable=True),
    "ServiceQuotaExceeded": AWSRule(RateLimitError),
    "InternalError": AWSRule(APIError, retryable=True),
    "InternalServerError": AWSRule(APIError, retryable=True),
    "ServiceUnavailable": AWSRule(OverloadedError, retryable=True),
    "ExpiredToken": AWSRule(APIError, retryable=True, credentials=True),
    "RequestExpired": AWSRule(APIError, retryable=True, credentials=True),
    "UnrecognizedClient": AWSRule(APIError, credentials=True),
    "InvalidClientTokenId": AWSRule(APIError, credentials=True),
    "InvalidAccessKeyId": AWSRule(APIError, credentials=True),
    "InvalidSignature": AWSRule(APIError, credentials=True),
    "SignatureDoesNotMatch": AWSRule(APIError, credentials=True),
    "IncompleteSignature": AWSRule(APIError, credentials=True),
    "MissingAuthenticationToken": AWSRule(APIError, credentials=True),
    # Anthropic's own envelope, which models served by the newer infrastructure return.
    "invalid_request_error": AWSRule(InvalidRequestError),
    "authentication_error": AWSRule(APIError, credentials=True),
    "permission_error": AWSRule(PermissionDeniedError),
    "not_found_error": AWSRule(NotFoundError),
    "conflict_error": AWSRule(ConflictError),
    "request_too_large": AWSRule(RequestTooLargeError),
    "rate_limit_error": AWSRule(RateLimitError, retryable=True),
    "timeout_error": AWSRule(UpstreamTimeoutError, retryable=True),
    "overloaded_error": AWSRule(OverloadedError, retryable=True),
    "api_error": AWSRule(APIError, retryable=True),
}

_BY_STATUS: Mapping[int, AWSRule] = {
    400: AWSRule(InvalidRequestError),
    403: AWSRule(PermissionDeniedError),
    404: AWSRule(NotFoundError),
    408: AWSRule(UpstreamTimeoutError, retryable=True),
    409: AWSRule(ConflictError),
    413: AWSRule(RequestTooLargeError),
    429: AWSRule(RateLimitError, retryable=True),
    503: AWSRule(OverloadedError, retryable=True),
    504: AWSRule(UpstreamTimeoutError, retryable=True),
}

CREDENTIALS_MESSAGE = (
    "The proxy could not authenticate to Amazon Bedrock. Ask the operator to check its AWS "
    "credentials."
)
_INPUT_TOO_LONG = re.compile(r"input is too long for requested model", re.IGNORECASE)
_USE_A_PROFILE = (
    "Use an inference profile of this model (for example us.anthropic...), or have the operator "
    "map the name to one with DEFAULT_MODEL_MAPPING."
)
_PROMPT_TOO_LONG = re.compile(r"prompt is too long", re.IGNORECASE)
_NO_SUCH_MODEL = re.compile(r"model identifier is invalid", re.IGNORECASE)
_NEEDS_PROFILE = re.compile(r"on-demand throughput isn['\u2019]t supported", re.IGNORECASE)
_ARN = re.compile(r"arn:aws[\w-]*:[^\s\"',]+")
_ACCOUNT = re.compile(r"(?<![\d.])\d{12}(?![\d.])")


def rule_for(refusal: UpstreamRefusal) -> AWSRule:
    """Returns the table row for a refusal; by HTTP status where the exception name is unknown."""
    rule = AWS_ERRORS.get(refusal.code) or _BY_STATUS.get(refusal.status)
    return rule or AWSRule(APIError, retryable=refusal.status >= 500)  # noqa: PLR2004


@cache
def _keys() -> re.Pattern[str]:
    """Finds keys by how they begin: ours (escaped, too), AWS's and Bedrock's, tokens."""
    # Compiled when it is first needed, as most starts never need it. What is matched has no
    # character that ends a text in JSON.
    return re.compile(
        r"(?<![A-Za-z0-9])(?:"
        r"(?P<ours>[sS][kK](?:-|%2[dD]|%252[dD]))(?!\.\.\.)[^\s\"'\\/?&#,;<>]{4,}"
        r"|(?:AKIA|ASIA)[A-Z0-9]{12,}"
        r"|(?:ABSK|bedrock-api-key-)[A-Za-z0-9+/=%_-]{16,}"
        r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]{8,}"
        r")"
    )


def hide_keys(text: str) -> str:
    """Hides in `text` what begins as a key does; "sk-...wxyz", a hint, stays."""
    return _keys().sub(lambda match: f"{match['ours'] or ''}(hidden)", text)


def redact(message: str) -> str:
    """Returns `message` without ARNs and account ids."""
    return _ACCOUNT.sub("(account)", _ARN.sub("(arn)", message))


def from_refusal(refusal: UpstreamRefusal) -> ProxyError:
    """Returns the error that a client sees for what AWS answered."""
    rule = rule_for(refusal)
    if rule.credentials:
        return UnavailableError(CREDENTIALS_MESSAGE)
    message = redact(refusal.message) or f"Amazon Bedrock answered {refusal.code}."
    if rule.error is InvalidRequestError:
        if _NO_SUCH_MODEL.search(message):
            return NotFoundError(message)
        if _NEEDS_PROFILE.search(message):
            return NotFoundError(f"{message} {_USE_A_PROFILE}")
        message = _begin_with_the_words(message)
    retry_after = refusal.retry_after
    if retry_after is None and rule.error in (RateLimitError, OverloadedError):
        retry_after = 1.0 if rule.error is OverloadedError else 5.0
    return rule.error(message, retry_after=retry_after)


def _begin_with_the_words(message: str) -> str:
    """Moves the words that Claude Code compacts its history at to the beginning of a message."""
    if match := _PROMPT_TOO_LONG.search(message):
        return f"prompt is too long{message[match.end() :]}"
    if _INPUT_TOO_LONG.search(message):
        return f"prompt is too long: {message}"
    return message
