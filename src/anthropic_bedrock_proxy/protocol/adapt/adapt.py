"""The order of the rewrites."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from ...errors import InvalidRequestError
from ...models.betas import BetaRules
from ...models.table import Capabilities
from ..raw import MISSHAPEN, UNEXPECTED_FORM
from ..request.messages import MessagesRequest
from .breakpoint import place_breakpoint
from .context import adapt_context
from .fields import adapt_fields
from .limits import adapt_blanks, adapt_max_tokens, adapt_sampling, check_prefill, has_blanks
from .rewrite import Rewrite
from .thinking import adapt_thinking, drop_unsigned
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
    if _stays(request, capabilities.output_tokens):
        return Adapted(request, flags, [], [], None)
    rewrite = Rewrite(request, capabilities, rules)
    try:
        flags = adapt_fields(rewrite, flags)
        adapt_tool_changes(rewrite)
        adapt_turns(rewrite)
        check_prefill(rewrite)
        adapt_sampling(rewrite)
        adapt_max_tokens(rewrite)
        adapt_thinking(rewrite)
        adapt_deferred_tools(rewrite)
        adapt_context(rewrite)
        drop_unsigned(rewrite)  # from here on, blocks no longer stand where they stood
        adapt_blanks(rewrite)
        place_breakpoint(rewrite)
        adapted = rewrite.finish()
    except MISSHAPEN as error:
        raise InvalidRequestError(UNEXPECTED_FORM) from error
    return Adapted(adapted, flags, rewrite.dropped, rewrite.warnings, rewrite.applied_edits)


def _stays(request: MessagesRequest, output_tokens: int | None) -> bool:
    """Whether no rewrite can have anything to do."""
    asked = request.view.max_tokens
    return (
        request.plain
        and (asked is UNSET or 0 < asked <= (output_tokens or asked))
        and not has_blanks(request)
    )
