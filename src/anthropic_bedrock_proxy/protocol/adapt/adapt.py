"""The order of the rewrites."""

from __future__ import annotations

from typing import Any

import msgspec

from ...errors import InvalidRequestError
from ..betas import BetaRules
from ..capabilities import Capabilities
from ..messages import MessagesRequest
from ..raw import MISSHAPEN, UNEXPECTED_FORM
from .context import adapt_context
from .fields import adapt_fields
from .limits import adapt_blanks, adapt_sampling, check_prefill
from .rewrite import Rewrite
from .thinking import adapt_thinking
from .tools import adapt_deferred_tools, adapt_tool_changes
from .turns import adapt_turns


class Adapted(msgspec.Struct, frozen=True):
    """A request that the model on its dialect can be sent, and what the client should know."""

    request: MessagesRequest
    flags: list[str]
    dropped: list[str]
    warnings: list[str]
    applied_edits: list[dict[str, Any]] | None  # None: the answer's own, if it has one


def adapt(
    request: MessagesRequest, flags: list[str], capabilities: Capabilities, rules: BetaRules
) -> Adapted:
    """Raises `InvalidRequestError` with the path for what cannot be made to work."""
    rewrite = Rewrite(request, capabilities, rules)
    try:
        flags = adapt_fields(rewrite, flags)
        adapt_tool_changes(rewrite)
        adapt_blanks(rewrite)
        adapt_turns(rewrite)
        check_prefill(rewrite)
        adapt_sampling(rewrite)
        adapt_thinking(rewrite)
        adapt_deferred_tools(rewrite)
        adapt_context(rewrite)
        adapted = rewrite.finish()
    except MISSHAPEN as error:
        raise InvalidRequestError(UNEXPECTED_FORM) from error
    return Adapted(adapted, flags, rewrite.dropped, rewrite.warnings, rewrite.applied_edits)
