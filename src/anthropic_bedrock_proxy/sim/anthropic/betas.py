"""Beta flags that each way to a Claude model accepts, by generation.

An unknown flag refuses the whole request, so these tables decide whether a forwarded first-party
request survives. Sources: the beta tables that public proxies collected from live replies, what
Claude Code itself sends to Bedrock and to bedrock-mantle (a client's belief), and refusals in
public issue reports.
"""

from __future__ import annotations

from typing import Literal

Generation = tuple[int, int]
# InvokeModel and the Messages endpoint of bedrock-runtime share one list.
Way = Literal["invoke", "converse", "mantle"]

TOOL_SEARCH = "tool-search-tool-2025-10-19"
LONG_CONTEXT = "context-1m-2025-08-07"
STRUCTURED_OUTPUTS = "structured-outputs-2025-11-13"
PER_TURN_CONTROL = "per-turn-control-2026-07-01"
CLEAR_AT = "mid-conversation-system-clear-at-2026-08-21"
# The SDK's beta namespace adds it to every count_tokens request; elsewhere it is unknown.
TOKEN_COUNTING = "token-counting-2024-11-01"  # noqa: S105  # a flag, not a secret
DANGEROUS_TOOL_USE = "dangerous-tool-use-2026-09-03"
_LAST: Generation = (9, 9)
_INVOKE: tuple[tuple[str, Generation, Generation], ...] = (
    # flag, first and last generation that accept it on InvokeModel
    ("computer-use-2025-01-24", (3, 7), _LAST),
    ("computer-use-2025-11-24", (4, 5), _LAST),
    ("fine-grained-tool-streaming-2025-05-14", (3, 7), _LAST),
    ("interleaved-thinking-2025-05-14", (4, 0), _LAST),
    ("context-management-2025-06-27", (4, 5), _LAST),
    ("effort-2025-11-24", (4, 5), _LAST),
    (TOOL_SEARCH, (4, 5), _LAST),
    ("tool-examples-2025-10-29", (4, 5), _LAST),
    ("compact-2026-01-12", (4, 6), _LAST),
    ("thinking-token-count-2026-05-13", (4, 7), _LAST),
    ("thinking-binding-controls-2026-08-01", (4, 7), _LAST),
    ("thinking-display-updates-2026-08-18", (4, 7), _LAST),
    ("mid-conversation-output-config-2026-07-01", (4, 7), _LAST),
    ("mid-conversation-tool-changes-2026-07-01", (4, 7), _LAST),
    (DANGEROUS_TOOL_USE, (4, 7), _LAST),
    # Accepted by 4.6, refused by Opus 4.7 from its first day.
    ("claude-code-20250219", (3, 5), (4, 6)),
    ("output-128k-2025-02-19", (3, 7), (4, 1)),
    ("token-efficient-tools-2025-02-19", (3, 7), (4, 1)),
    ("dev-full-thinking-2025-05-14", (4, 0), (4, 1)),
)
# bedrock-mantle takes these as well, and of every generation it serves.
_MANTLE = frozenset(
    {
        "claude-code-20250219",
        PER_TURN_CONTROL,
        STRUCTURED_OUTPUTS,
        "web-search-2025-03-05",
        "output-128k-2025-02-19",
        "token-efficient-tools-2025-02-19",
        "dev-full-thinking-2025-05-14",
        LONG_CONTEXT,
    }
)
_MANTLE_MID_CONVERSATION = frozenset({"mid-conversation-system-2026-04-07", CLEAR_AT})
# Converse takes fewer flags, plus one that InvokeModel refuses.
_CONVERSE = frozenset(
    {
        "computer-use-2025-01-24",
        "computer-use-2025-11-24",
        LONG_CONTEXT,
        "effort-2025-11-24",
        "fine-grained-tool-streaming-2025-05-14",
    }
)
_cache: dict[Generation, frozenset[str]] = {}


def accepts(way: Way, flag: str, generation: Generation, family: str) -> bool:
    """Tells whether `flag` passes on this way for a Claude model of the generation and family."""
    if way == "mantle" and (
        flag in _MANTLE or (flag in _MANTLE_MID_CONVERSATION and generation >= (4, 7))
    ):
        return True
    if way == "converse" and flag == STRUCTURED_OUTPUTS:
        return generation >= (4, 5)
    if way == "converse" and flag not in _CONVERSE:
        return False
    if flag == LONG_CONTEXT:
        sonnet_4 = family == "sonnet" and generation in ((4, 0), (4, 5))
        return sonnet_4 or generation >= (4, 6)
    return flag in _on_invoke(generation)


def _on_invoke(generation: Generation) -> frozenset[str]:
    known = _cache.get(generation)
    if known is None:
        known = frozenset(flag for flag, low, high in _INVOKE if low <= generation <= high)
        _cache[generation] = known
    return known
