"""Usage objects of several model calls as one: whatever counts is summed, as Anthropic does."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

Usage = dict[str, Any]
_SEARCHES: Final = "web_search_requests"
# The official SDKs' types want both wherever anything is counted.
_ALWAYS_COUNTED: Final = {_SEARCHES: 0, "web_fetch_requests": 0}


class TurnUsage:
    """The usage of one turn: that of its model calls, and how often server-side tools were called.

    `spent` is that of the model calls that have ended.
    """

    def __init__(self) -> None:
        self.spent: Usage = {}
        self._calls: Counter[str] = Counter()  # by the member of `server_tool_use`

    @property
    def searches(self) -> int:
        """Returns the number of web searches until now, which may have a price."""
        return self._calls[_SEARCHES]

    @property
    def counts_calls(self) -> bool:
        """Tells whether there is anything to tell beside what model calls have used."""
        return bool(self._calls)

    def count(self, member: str | None, *, counts: bool) -> None:
        """Notes that a call has ended which `member` of `server_tool_use` counts, if any does."""
        if member is not None:
            self._calls[member] += counts

    def told(self, usage: Usage) -> Usage:
        """Returns a usage as the client is told it, with the calls of tools."""
        if not self._calls:
            return usage
        return add_usage(usage, {"server_tool_use": _ALWAYS_COUNTED | self._calls})


def merge_usage(known: Usage, told: Usage) -> Usage:
    """One call's usage after a later event of it: what is absent or null stays as it was."""
    return {**known, **{key: value for key, value in told.items() if value is not None}}


def add_usage(total: Usage, other: Usage) -> Usage:
    """Numbers are added, lists joined, objects added member by member; else the later one holds."""
    result = dict(total)
    for key, value in other.items():
        known = result.get(key)
        if known is None or value is None:
            result[key] = known if value is None else value
        elif isinstance(known, dict) and isinstance(value, dict):
            result[key] = add_usage(known, value)
        elif isinstance(known, list) and isinstance(value, list):
            result[key] = [*known, *value]
        elif isinstance(known, int) and isinstance(value, int):
            result[key] = known + value
        else:
            result[key] = value
    return result
