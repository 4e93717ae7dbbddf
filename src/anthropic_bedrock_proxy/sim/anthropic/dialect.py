"""Differences between the ways to send an Anthropic body, as data for one validation.

InvokeModel takes the body without `model` and `stream` and with its version and flags inside; the
Messages endpoints take the first-party body and read both from headers. Everything else is one
set of rules. Sources: AWS on the Claude body and on the two Messages endpoints.
"""

from __future__ import annotations

import msgspec

from .betas import Generation, Way

_COMMON = frozenset(
    {
        "messages",
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "user_profile_id",
    }
)
_SAMPLING = frozenset({"max_tokens", "stop_sequences", "temperature", "top_p", "top_k", "metadata"})


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One way. `fields` are top-level keys that need neither a flag nor a generation."""

    betas: Way
    fields: frozenset[str]
    auto_caching: Generation
    formats: bool = True
    counts: bool = False


INVOKE = Dialect(
    betas="invoke",
    fields=_COMMON
    | _SAMPLING
    | {"anthropic_version", "anthropic_beta", "amazon-bedrock-guardrailConfig"},
    auto_caching=(4, 7),
)
RUNTIME = Dialect(
    betas="invoke", fields=_COMMON | _SAMPLING | {"model", "stream"}, auto_caching=(0, 0)
)
MANTLE = Dialect(
    betas="mantle",
    fields=_COMMON | _SAMPLING | {"model", "stream"},
    auto_caching=(0, 0),
    formats=False,
)
MANTLE_COUNT = Dialect(
    betas="mantle", fields=_COMMON | {"model"}, auto_caching=(0, 0), formats=False, counts=True
)
