"""The order of the rewrites."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET

from ...errors import InvalidRequestError
from ..betas import BetaRules
from ..capabilities import Capabilities
from ..messages import MessagesRequest
from ..raw import MISSHAPEN, UNEXPECTED_FORM
from .breakpoint import place_breakpoint
from .context import adapt_context
from .fields import adapt_fields
from .limits import adapt_blanks, adapt_max_tokens, adapt_sampling, check_prefill, has_blanks
from .rewrite import Rewrite
from .thinking import adapt_thinking, drop_unsigned
from .tools import TOOL_SEARCH, adapt_deferred_tools, adapt_tool_changes
from .turns import adapt_turns


class Adapted(msgspec.Struct, frozen=True):
    """A request that the model on its dialect can be sent, and what the client should know."""

    request: MessagesRequest
    flags: list[str]
    dropped: list[str]
    warnings: list[str]
    applied_edits: list[dict[str, Any]] | None  # None: the answer's own, if it has one


# Fields that mean the same to every model, as long as they stand alone.
_PLAIN_FIELDS: Final = frozenset(
    ("max_tokens", "messages", "metadata", "model", "stop_sequences", "stream", "system", "tools")
)
_PLAIN_BLOCKS: Final = frozenset(("document", "image", "text", "tool_result", "tool_use"))


def adapt(
    request: MessagesRequest, flags: list[str], capabilities: Capabilities, rules: BetaRules
) -> Adapted:
    """Raises `InvalidRequestError` with the path for what cannot be made to work."""
    if _is_plain(request, capabilities.output_tokens):
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


def _is_plain(request: MessagesRequest, output_tokens: int | None) -> bool:
    """Whether no rewrite can have anything to do: one look at what most requests consist of."""
    asked = request.view.max_tokens
    if not request.fields.keys() <= _PLAIN_FIELDS or not (
        asked is UNSET or 0 < asked <= (output_tokens or asked)
    ):
        return False
    for tool in request.view.tools or ():
        if (
            tool.custom is not UNSET
            or tool.defer_loading
            or (tool.type or "").startswith(TOOL_SEARCH)
        ):
            return False
    holds_blocks = False
    for message in request.view.messages:
        content = message.content
        if message.role == "system" or message.has_settings or not content:
            return False
        if isinstance(content, str):
            if content.isspace():
                return False
            continue
        holds_blocks = True
        for block in content:
            if block.type not in _PLAIN_BLOCKS or isinstance(block.content, list):
                return False
    holds_blocks = holds_blocks or "system" in request.fields
    return message.role == "user" and not (holds_blocks and has_blanks(request))
