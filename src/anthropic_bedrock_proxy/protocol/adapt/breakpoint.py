"""A top-level cache_control for endpoints that lack it: a breakpoint on the last block.

Source: Anthropic API, "Prompt caching", automatic caching.
"""

from __future__ import annotations

from typing import Any, Final

from ...errors import InvalidRequestError
from .rewrite import Rewrite

_MAX_BREAKPOINTS: Final = 4
_MARKER: Final = b'"cache_control"'
_UNMARKABLE: Final = frozenset(("thinking", "redacted_thinking"))


def place_breakpoint(rewrite: Rewrite) -> None:
    """Raises `InvalidRequestError` where Anthropic refuses it too."""
    if "cache_control" not in rewrite.fields or "auto_cache" in rewrite.features:
        return
    control = rewrite.field("cache_control")
    rewrite.set("cache_control", None)
    if control is None:
        return
    if "cache" not in rewrite.features:
        rewrite.dropped.append("cache_control")
        return
    if not isinstance(control, dict):
        raise InvalidRequestError("cache_control: Expected `object`")
    _check_room(rewrite)
    for index in range(len(rewrite.messages) - 1, -1, -1):
        if not rewrite.is_gone(index) and _mark_last(rewrite.message(index), control):
            return


def _check_room(rewrite: Rewrite) -> None:
    markers = sum(
        bytes(rewrite.fields[name]).count(_MARKER)
        for name in ("system", "messages", "tools")
        if name in rewrite.fields
    )
    if markers >= _MAX_BREAKPOINTS:
        raise InvalidRequestError(
            "cache_control: there are 4 explicit breakpoints already, the most that are allowed; "
            "remove one of them"
        )


def _mark_last(message: dict[str, Any], control: dict[str, Any]) -> bool:
    """Marks the last block of a message that can be; whether there was one."""
    content = message["content"]
    if isinstance(content, str):
        message["content"] = [{"type": "text", "text": content, "cache_control": control}]
        return True
    for block in reversed(content):
        if block["type"] not in _UNMARKABLE:
            own = block.get("cache_control")
            if isinstance(own, dict) and own.get("ttl", "5m") != control.get("ttl", "5m"):
                raise InvalidRequestError(
                    "cache_control: the last block has a breakpoint with another ttl; remove one "
                    "of them"
                )
            block["cache_control"] = control
            return True
    return False
