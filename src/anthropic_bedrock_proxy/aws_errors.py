"""The one table from AWS exceptions to the errors of errors.py, and what may be tried again.

Sources: Bedrock service model (botocore); reference of the Anthropic API, section "Errors".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from .errors import (
    APIError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProxyError,
    RateLimitError,
    RequestTooLargeError,
    UnavailableError,
    UpstreamTimeoutError,
)
from .redaction import redact


class UpstreamRefusal(Exception):  # noqa: N818  # not an error of ours: a value that may be retried
    """An answer of AWS that refuses, before it is decided whether to try again.

    `code` is the AWS exception name (`ThrottlingException`) or one of `OWN_REFUSALS`, `status` the
    HTTP status or 0 for exception frames, `message` AWS's own words or ours, `retry_after` seconds
    if AWS said so. `sent` tells whether the model may have run all the same (and AWS bills it).
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
    lasting: bool = False  # a client that repeats the request meets the same


# One row per exception of the bedrock-runtime service model plus the signature errors of the AWS
# front door, which drops the suffix of some names. 424 ModelErrorException keeps the model's own
# status where AWS passes it on (protocol/aws/exceptions.py).
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
    "UnknownOperationException": AWSRule(APIError, lasting=True),
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

# Refusals of our own, where AWS said nothing, or nothing that can be read.
NO_CREDENTIALS: Final = "NoCredentials"
NO_ENDPOINT: Final = "NoEndpoint"  # none is configured
UNREACHABLE: Final = "Unreachable"  # the connection failed
NO_WAY: Final = "NoWay"  # nor can one be made: DNS, TLS or the egress proxy is not as it must be
TOO_LATE: Final = "TooLate"  # no answer, or no more of it, in time
CUT_SHORT: Final = "CutShort"  # a stream that ends early, or whose frames are broken
NOT_AN_ANSWER: Final = "NotAnAnswer"  # what came has not the shape that it should have
NO_MODEL: Final = "NoModel"  # an inference profile without one
NO_COUNT: Final = "NoCount"  # of tokens, in the answer that should have it
NOT_CONVERTIBLE: Final = "NotConvertible"  # a further call of a turn, which the model cannot do
OWN_REFUSALS: Final[Mapping[str, AWSRule]] = {
    NO_CREDENTIALS: AWSRule(APIError, credentials=True),
    NO_ENDPOINT: AWSRule(NotFoundError),
    UNREACHABLE: AWSRule(UnavailableError, retryable=True),
    NO_WAY: AWSRule(UnavailableError, retryable=True, lasting=True),  # of another target, maybe
    TOO_LATE: AWSRule(UpstreamTimeoutError, retryable=True),
    CUT_SHORT: AWSRule(APIError, retryable=True),
    NOT_AN_ANSWER: AWSRule(APIError, retryable=True),
    NO_MODEL: AWSRule(NotFoundError),
    NO_COUNT: AWSRule(APIError),
    NOT_CONVERTIBLE: AWSRule(InvalidRequestError),
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

_RETRY_AFTER: Mapping[type[ProxyError], float] = {
    OverloadedError: 1.0,
    RateLimitError: 5.0,
    UnavailableError: 1.0,
}
_OF_THE_DAY: Final = AWSRule(RateLimitError)  # a quota that waiting for seconds does not bring back
_QUOTA_SECONDS: Final = 3600.0
PER_DAY: Final = r"per day|daily"
CREDENTIALS_MESSAGE = (
    "The proxy could not authenticate to Amazon Bedrock. Ask the operator to check its AWS "
    "credentials."
)
_INPUT_TOO_LONG = r"input is too long for requested model"
_USE_A_PROFILE = (
    "Use an inference profile of this model (for example us.anthropic...), or have the operator "
    "map the name to one with DEFAULT_MODEL_MAPPING."
)
_PROMPT_TOO_LONG = r"prompt is too long"
NO_SUCH_MODEL: Final = r"model identifier is invalid"
NEEDS_PROFILE: Final = r"on-demand throughput isn['\u2019]t supported"


def says(words: str, message: str) -> re.Match[str] | None:
    """Finds words in a message, in whatever case; compiled at their first use, not at the start."""
    return re.search(words, message, re.IGNORECASE)


def rule_for(refusal: UpstreamRefusal) -> AWSRule:
    """Returns the table row for a refusal; by HTTP status where the exception name is unknown."""
    code = refusal.code
    rule = AWS_ERRORS.get(code) or OWN_REFUSALS.get(code) or _BY_STATUS.get(refusal.status)
    if rule is not None and rule.error is RateLimitError and says(PER_DAY, refusal.message):
        return _OF_THE_DAY
    status = refusal.status
    return rule or AWSRule(APIError, retryable=status >= 500, lasting=400 <= status < 500)  # noqa: PLR2004


def from_refusal(refusal: UpstreamRefusal) -> ProxyError:
    """Returns the error that a client sees for what AWS answered."""
    rule = rule_for(refusal)
    if rule.credentials:
        return UnavailableError(CREDENTIALS_MESSAGE, cause=f"aws:{refusal.code}")
    message = redact(refusal.message) or f"Amazon Bedrock answered {refusal.code}."
    if rule.error is InvalidRequestError:
        if says(NO_SUCH_MODEL, message):
            return NotFoundError(message, cause=f"aws:{refusal.code}")
        if says(NEEDS_PROFILE, message):
            return NotFoundError(f"{message} {_USE_A_PROFILE}", cause=f"aws:{refusal.code}")
        message = _begin_with_the_words(message)
    cause = f"aws:{refusal.code}"
    if rule.lasting:
        return rule.error(message, should_retry=False, cause=cause)
    retry_after = refusal.retry_after
    should_retry = None
    if rule.error is RateLimitError and not rule.retryable:
        retry_after, should_retry = max(retry_after or 0.0, _QUOTA_SECONDS), False
    elif retry_after is None:
        retry_after = _RETRY_AFTER.get(rule.error)
    return rule.error(message, retry_after=retry_after, should_retry=should_retry, cause=cause)


def _begin_with_the_words(message: str) -> str:
    """Moves the words that Claude Code compacts its history at to the beginning of a message."""
    if match := says(_PROMPT_TOO_LONG, message):
        return f"prompt is too long{message[match.end() :]}"
    if says(_INPUT_TOO_LONG, message):
        return f"prompt is too long: {message}"
    return message
