"""The operator's bounds of web search, and its shortcut."""

from __future__ import annotations

import msgspec


class WebSearchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of searches; `shortcut`: searches of Claude Code end without a second model call."""

    max_results: int = 5
    default_max_uses: int = 10  # of a request whose tool does not say
    shortcut: bool = True
