"""Usage objects of several model calls as one: whatever counts is summed, as Anthropic does."""

from __future__ import annotations

from typing import Any

Usage = dict[str, Any]


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
