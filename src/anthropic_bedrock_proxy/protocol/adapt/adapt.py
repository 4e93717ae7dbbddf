"""The rewrites of a request, in the one order that works.

Theory of operation: nearly every request is plain (`_stays`) and is sent untouched. For another,
each step looks for the one thing that this model lacks on this dialect, and edits that:

    1  fields             older spellings become the current ones, flags of the body are collected;
                          safeguards stay or go with their flag, tools that nobody runs go
    2  tool changes       tools added or removed inside the conversation become texts
    3  turns              system messages inside, all texts by now, become the user's
    4  prefill, sampling, max_tokens, tool choice    are refused, left out, lowered, set free
                          (and asked for at the end of the system prompt)
    5  thinking           the nearest kind that the model has, with a budget within max_tokens
    6  deferred tools     those that the history refers to are loaded
    7  context            old tool results and thinking are cleared by the client's indexes
    8  unsigned thoughts, blank texts   are removed, so that those indexes hold no longer
    9  breakpoint         is set on the last block that is left

Example: for a model that takes 64 tokens, no system messages inside, and no deferred tools:

    max_tokens 100                            64, with a warning
    tool_choice "auto"                        {"type": "auto"}
    tools a, b (deferred, never used)         a; dropped: "tools: 1 deferred"
    {"role": "system", "content": "Be ..."}   a user message in <system-reminder> tags
    an assistant message with only " "        "(empty)"
    all other messages and fields             the client's own bytes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from ...errors import InvalidRequestError
from ...models.betas import BetaRules
from ...models.table import Capabilities
from ..raw import MISSHAPEN, UNEXPECTED_FORM
from ..request.messages import MessagesRequest
from ..request.policy import DEFAULT_POLICY, Policy
from .breakpoint import place_breakpoint
from .choice import adapt_choice
from .context import adapt_context
from .fields import adapt_fields
from .limits import adapt_blanks, adapt_max_tokens, adapt_sampling, check_prefill, has_blanks
from .rewrite import Rewrite
from .safeguards import adapt_safeguards
from .server_tools import adapt_server_tools
from .thinking import adapt_thinking, drop_unsigned
from .tools import adapt_deferred_tools, adapt_tool_changes
from .turns import adapt_turns


class Adapted(msgspec.Struct, frozen=True):
    """A request in the form for one model and dialect, with the notes on it for the client."""

    request: MessagesRequest
    flags: list[str]
    dropped: list[str]
    warnings: list[str]
    added: Mapping[str, Any] = {}  # fields of the answer that the model will not write


def adapt(
    request: MessagesRequest,
    flags: list[str],
    capabilities: Capabilities,
    rules: BetaRules,
    policy: Policy = DEFAULT_POLICY,
) -> Adapted:
    """Applies every rewrite that the model needs, in their one order.

    Raises `InvalidRequestError` with the path for what cannot be made to work.
    """
    if _stays(request, capabilities.output_tokens):
        return Adapted(request, flags, [], [])
    rewrite = Rewrite(request, capabilities, rules)
    try:
        flags = adapt_fields(rewrite, flags)
        adapt_safeguards(rewrite)
        adapt_server_tools(rewrite)
        adapt_tool_changes(rewrite)
        adapt_turns(rewrite)
        check_prefill(rewrite)
        adapt_sampling(rewrite, drops=policy.drops_sampling)
        adapt_max_tokens(rewrite)
        adapt_choice(rewrite, forced_tools=policy.forced_tools)
        adapt_thinking(rewrite)
        adapt_deferred_tools(rewrite)
        adapt_context(rewrite)
        drop_unsigned(rewrite)  # from here on, indexes of blocks differ from the client's
        adapt_blanks(rewrite)
        place_breakpoint(rewrite)
        adapted = rewrite.finish()
    except MISSHAPEN as error:
        raise InvalidRequestError(UNEXPECTED_FORM) from error
    return Adapted(adapted, flags, rewrite.dropped, rewrite.warnings, rewrite.added)


def _stays(request: MessagesRequest, output_tokens: int | None) -> bool:
    """Tells whether no rewrite can have anything to do: most requests on the straight path."""
    asked = request.view.max_tokens
    return (
        request.plain
        and (asked is UNSET or 0 < asked <= (output_tokens or asked))
        and not has_blanks(request)
    )
