"""Failures of Bedrock, and the error that a client gets of each, in every dialect.

Sources: errors of the bedrock-runtime service model; Anthropic API, "Errors"; retries of the
official SDKs, which obey `x-should-retry` and `retry-after`.
"""

from __future__ import annotations

from typing import Final

import msgspec
from wording import FRAMED, Failure

SILENT_TIER: Final = 5  # seconds, where AWS does not say how long to wait


class ErrorRow(msgspec.Struct, frozen=True, kw_only=True):
    """One failure, and what a client is told: before a stream by status, within one by an event."""

    name: str
    failure: Failure
    status: int
    type: str
    message: dict[str, str] | str  # how it begins, by dialect if that differs
    retry: bool
    retry_after: int | None = None
    streams: bool = True  # whether it can come inside a stream
    not_on: dict[str, str] = {}  # dialect -> why it cannot say so

    def words(self, dialect: str) -> str:
        """How the message begins."""
        return self.message if isinstance(self.message, str) else self.message[dialect]


def _differs(framed: str, endpoint: str) -> dict[str, str]:
    return dict.fromkeys(FRAMED, framed) | dict.fromkeys(("messages", "mantle"), endpoint)


def _same(message: str, aws: tuple[int, str], anthropic: tuple[int, str], **rest: int) -> Failure:
    return Failure(aws=(*aws, message), anthropic=(*anthropic, message), **rest)


_ONLY_AWS: Final = dict.fromkeys(("messages", "mantle"), "AWS's own words only")
ROWS: Final = (
    ErrorRow(
        name="validation",
        failure=_same(
            "messages.0: at least one is wanted",
            (400, "ValidationException"),
            (400, "invalid_request_error"),
        ),
        status=400,
        type="invalid_request_error",
        message="messages.0: at least one is wanted",
        retry=False,
    ),
    ErrorRow(
        name="a prompt that is too long",
        failure=Failure(
            aws=(400, "ValidationException", "Input is too long for requested model."),
            anthropic=(400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"),
        ),
        status=400,
        type="invalid_request_error",
        message="prompt is too long",
        retry=False,
    ),
    ErrorRow(
        name="access denied",
        failure=_same(
            "You don't have access to the model with the specified model ID.",
            (403, "AccessDeniedException"),
            (403, "permission_error"),
        ),
        status=403,
        type="permission_error",
        message="You don't have access to the model",
        retry=False,
    ),
    ErrorRow(
        name="no such model",
        failure=Failure(
            aws=(400, "ValidationException", "The provided model identifier is invalid."),
            anthropic=(404, "not_found_error", "model: anthropic.claude-opus-4-8"),
        ),
        status=404,
        type="not_found_error",
        message=_differs("The provided model identifier", "model: anthropic"),
        retry=False,
    ),
    ErrorRow(
        name="throttling",
        failure=_same(
            "Too many requests, please wait before trying again.",
            (429, "ThrottlingException"),
            (429, "rate_limit_error"),
        ),
        status=429,
        type="rate_limit_error",
        message="Too many requests",
        retry=True,
        retry_after=SILENT_TIER,
    ),
    ErrorRow(
        name="throttling with a time",
        failure=_same(
            "Too many tokens, please wait before trying again.",
            (429, "ThrottlingException"),
            (429, "rate_limit_error"),
            retry_after=7,
        ),
        status=429,
        type="rate_limit_error",
        message="Too many tokens",
        retry=True,
        retry_after=7,
        streams=False,  # events have no headers
    ),
    ErrorRow(
        name="a quota of the day",
        failure=_same(
            "Too many tokens per day, please wait before trying again.",
            (429, "ThrottlingException"),
            (429, "rate_limit_error"),
        ),
        status=429,
        type="rate_limit_error",
        message="Too many tokens per day",
        retry=False,
        retry_after=3600,
    ),
    ErrorRow(
        name="a quota of the account",
        failure=Failure(
            aws=(400, "ServiceQuotaExceededException", "You have reached a quota."),
            anthropic=(429, "rate_limit_error", ""),
        ),
        status=429,
        type="rate_limit_error",
        message="You have reached a quota.",
        retry=False,
        retry_after=3600,
        streams=False,
        not_on=_ONLY_AWS,
    ),
    ErrorRow(
        name="a model that is not ready",
        failure=_same(
            "The model is not ready for inference.",
            (429, "ModelNotReadyException"),
            (529, "overloaded_error"),
        ),
        status=529,
        type="overloaded_error",
        message="The model is not ready",
        retry=True,
        retry_after=1,
        streams=False,  # no exception of a stream
    ),
    ErrorRow(
        name="no capacity",
        failure=_same(
            "The service is unavailable.",
            (503, "ServiceUnavailableException"),
            (529, "overloaded_error"),
        ),
        status=529,
        type="overloaded_error",
        message="The service is unavailable.",
        retry=True,
        retry_after=1,
    ),
    ErrorRow(
        name="an internal error",
        failure=_same("Something broke.", (500, "InternalServerException"), (500, "api_error")),
        status=500,
        type="api_error",
        message="Something broke.",
        retry=True,
    ),
    ErrorRow(
        name="a timeout of the model",
        failure=_same(
            "The model took too long.", (408, "ModelTimeoutException"), (504, "timeout_error")
        ),
        status=504,
        type="timeout_error",
        message="The model took too long.",
        retry=True,
    ),
    ErrorRow(
        name="an error of the model",
        failure=_same(
            "The model failed.",
            (424, "ModelErrorException"),
            (500, "api_error"),
            original_status=500,
        ),
        status=500,
        type="api_error",
        message="The model failed.",
        retry=True,
        streams=False,
    ),
    ErrorRow(
        name="a body that is too large for the model",
        failure=_same(
            "The request is too large.",
            (424, "ModelErrorException"),
            (413, "request_too_large"),
            original_status=413,
        ),
        status=413,
        type="request_too_large",
        message="The request is too large.",
        retry=False,
        streams=False,
    ),
    ErrorRow(
        name="a conflict",
        failure=_same(
            "Another request holds it.", (400, "ConflictException"), (409, "conflict_error")
        ),
        status=409,
        type="conflict_error",
        message="Another request holds it.",
        retry=True,
        streams=False,
    ),
    ErrorRow(
        name="an operation that AWS does not know",
        failure=Failure(
            aws=(404, "UnknownOperationException", "No such operation."), anthropic=(404, "", "")
        ),
        status=500,
        type="api_error",
        message="No such operation.",
        retry=False,
        streams=False,
        not_on=_ONLY_AWS,
    ),
    ErrorRow(
        name="a refusal of an unknown kind",
        failure=_same("Payment is due.", (402, "PaymentDueException"), (402, "billing_error")),
        status=500,
        type="api_error",
        message="Payment is due.",
        retry=False,
        streams=False,
    ),
    ErrorRow(
        name="an error inside the stream",
        failure=_same("The stream failed.", (424, "ModelStreamErrorException"), (500, "api_error")),
        status=500,
        type="api_error",
        message="The stream failed.",
        retry=True,
    ),
    ErrorRow(
        name="keys that AWS does not take",
        failure=_same(
            "The security token arn:aws:sts::123456789012:x is expired",
            (403, "ExpiredTokenException"),
            (401, "authentication_error"),
        ),
        status=503,  # never 401: the client's own key is in order
        type="api_error",
        message="The proxy could not authenticate to Amazon Bedrock.",
        retry=True,
        streams=False,
    ),
)
# Types of the SDK that stand in no row -> why.
OTHER_TYPES: Final = {
    "authentication_error": "the client's key; AWS's refusal of the proxy's keys is never that",
    "billing_error": "a budget of the proxy's own: tests/http/anthropic/test_budget_status.py",
    "memory_path_conflict_error": "of memory stores, which the proxy does not serve",
    "memory_precondition_failed_error": "of memory stores, which the proxy does not serve",
}
