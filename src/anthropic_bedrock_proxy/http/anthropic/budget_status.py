"""The status of a request whose budget is used up: 403, or 429 for clients that read 403 otherwise.

Claude Code shows any 403 as "Failed to authenticate", but the message of a `billing_error` as it
is. Source: Claude Code's gateway protocol, "Cap reached"; seen with version 2.1.330.
"""

from __future__ import annotations

from typing import Final

from ...errors import BillingError, ProxyError
from ...gateway.admission.budget_slice import BUDGET_EXCEEDED
from ..application import Request

_CLAUDE_CODE: Final = (b"claude-cli/", b"claude-code/")


class BudgetStatus:
    """The choice of the operator: `403`, `429`, or `auto`, by the client."""

    def __init__(self, choice: str) -> None:
        self._choice = choice

    def told(self, error: ProxyError, request: Request) -> ProxyError:
        """Returns the error as this client is told it: another one if it is about a budget."""
        if error.error_code != BUDGET_EXCEEDED:
            return error
        if error.resets_at is not None:
            error.retry_after = error.resets_at - request.exchange.at_ms / 1000
        if self._choice == "403" or (self._choice == "auto" and not _is_claude_code(request)):
            return error
        return BillingError(
            error.message,
            retry_after=error.retry_after,
            should_retry=False,
            error_code=error.error_code,
            cause=error.cause,
            limits=error.limits,
        )


def _is_claude_code(request: Request) -> bool:
    return request.headers.get(b"user-agent", b"").startswith(_CLAUDE_CODE)
