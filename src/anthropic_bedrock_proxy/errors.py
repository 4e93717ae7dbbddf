"""Errors that clients see, as values: `http/` renders them for each family of clients.

A `ProxyError` carries the HTTP status and Anthropic's error type. Messages are for clients: they
never hold secrets, prompt text, account ids or stack traces (see redaction.py; what AWS says goes
through aws_errors.py).
Source: reference of the Anthropic API, section "Errors".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from .redaction import hide_accounts, hide_keys

_RETRIED: Final = (408, 409, 429)
_LONGEST_WAIT: Final = 60.0  # seconds: the official SDKs wait no longer, and would come too early


class LimitState(msgspec.Struct, frozen=True, gc=False):
    """The state of one kind of rate limit, as clients are told it."""

    kind: str  # "requests", "tokens", "input-tokens" or "output-tokens"
    limit: int
    remaining: int
    reset_at: int  # epoch seconds: when it is full again


class ProxyError(Exception):
    """Abstract parent: `status` is the HTTP status, `type` the Anthropic error type.

    `limits` is the state of the caller's rate limits, where the refusal is about them.
    """

    status = 500
    type = "api_error"

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        resets_at: int | None = None,
        should_retry: bool | None = None,
        error_code: str | None = None,
        unsupported: Sequence[str] = (),
        cause: str = "",
        limits: Sequence[LimitState] = (),
    ) -> None:
        """`retry_after` in seconds, `resets_at` epoch seconds: when a spent budget is full again.

        None as `should_retry`: as the official SDKs would decide, but for longer waits than theirs.

        `error_code` is for programs, e.g. `model_not_allowed`, with the fields that are
        `unsupported`, if it is about some. `cause` is for the operator's metrics and logs, what
        refused and why, e.g. `limit:key/requests`.
        """
        self.message = hide_accounts(hide_keys(message))
        super().__init__(self.message)
        self.retry_after = retry_after
        self.resets_at = resets_at
        self.error_code = error_code
        self.unsupported = unsupported
        self.cause = cause or error_code or ""
        self.limits = limits
        if should_retry is None:
            retried = self.status in _RETRIED or self.status >= 500  # noqa: PLR2004
            should_retry = retried and (retry_after or 0) <= _LONGEST_WAIT
        self.should_retry = should_retry


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
        """`allow` lists the methods that the path serves, comma-separated (RFC 9110 15.5.6)."""
        super().__init__(message)
        self.allow = allow


class ConflictError(ProxyError):
    """Another request changes the same thing; trying again may help."""

    status, type = 409, "conflict_error"


class RequestTooLargeError(ProxyError):
    """The body is over the limit."""

    status, type = 413, "request_too_large"


class RateLimitError(ProxyError):
    """Too many requests or tokens; wait."""

    status, type = 429, "rate_limit_error"


class BillingError(ProxyError):
    """A budget is used up, for clients that take a 403 for a failed log-in."""

    status, type = 429, "billing_error"


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


def needs_extra(what: str, extra: str) -> str:
    """Says that `what` needs packages of an extra that is not installed, and where to get it.

    No command of pip: the distribution's name is on no package index, so whatever that finds is
    somebody else's.
    """
    return f"{what} needs the extra `{extra}`: docs/how-to/install.md says how it is installed"
