"""A top-level cache_control for endpoints that lack it: a breakpoint on the last block.

Source: Anthropic API, "Prompt caching", automatic caching.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import UNSET

from ...errors import InvalidRequestError
from ..request.views import BlockView, ToolView
from .limits import UNMARKABLE
from .rewrite import Rewrite

_MAX_BREAKPOINTS: Final = 4


def place_breakpoint(rewrite: Rewrite) -> None:
    """Sets the breakpoint that a top-level cache_control asks for, and removes that field.

    Raises `InvalidRequestError` where Anthropic refuses it too.
    """
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
    system = rewrite.field("system")
    markers = _count(rewrite.tools) + sum(
        isinstance(block, dict) and block.get("cache_control") is not None
        for block in (system if isinstance(system, list) else ())
    )
    for message in rewrite.messages:
        if not isinstance(message.content, str):
            markers += _count(message.content)
    if markers >= _MAX_BREAKPOINTS:
        raise InvalidRequestError(
            "cache_control: there are 4 explicit breakpoints already, the most that are allowed; "
            "remove one of them"
        )


def _count(marked: Iterable[BlockView | ToolView]) -> int:
    """Counts the breakpoints of blocks, also those within them, or of tools."""
    found = 0
    for item in marked:
        found += item.cache_control is not UNSET and bytes(item.cache_control) != b"null"
        if isinstance(item, BlockView) and isinstance(item.content, list):
            found += _count(item.content)
    return found


def _mark_last(message: dict[str, Any], control: dict[str, Any]) -> bool:
    """Marks the last block of a message that can carry a breakpoint; False if none can."""
    content = message["content"]
    if isinstance(content, str):
        if not content.strip():
            return False  # an empty prefill
        message["content"] = [{"type": "text", "text": content, "cache_control": control}]
        return True
    for block in reversed(content):
        if block["type"] not in UNMARKABLE:
            own = block.get("cache_control")
            if isinstance(own, dict) and own.get("ttl", "5m") != control.get("ttl", "5m"):
                raise InvalidRequestError(
                    "cache_control: the last block has a breakpoint with another ttl; remove one "
                    "of them"
                )
            block["cache_control"] = control
            return True
    return False
