"""Errors that a connection finds by itself: what came was no request that can be served."""

from __future__ import annotations

from typing import Final

from ...errors import ProxyError

_TOO_SLOW: Final = 408


class ProtocolError(ProxyError):
    """The bytes are no request of HTTP/1.1, or one over a bound; the connection ends with it."""

    status, type = 400, "invalid_request_error"

    def __init__(self, message: str, *, status: int = 400, error_code: str | None = None) -> None:
        """`status` is the HTTP status of the answer."""
        retried = status == _TOO_SLOW  # the same bytes would be wrong again, slow ones may not be
        super().__init__(message, should_retry=retried, error_code=error_code)
        self.status = status


class BodyTooSlowError(ProtocolError):
    """The client did not send the rest of its body in time."""

    def __init__(self, seconds: float) -> None:
        """`seconds` is the bound."""
        super().__init__(
            f"The request body did not arrive within {seconds:g} s.",
            error_code="request_body_timeout",
        )


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""
