"""The versions of web search and web fetch: what sets one apart from the others. Pure.

From 20260209 on the tools are for code unless the client says otherwise: the model calls them from
code that filters what they return, before it reads any of it ("dynamic filtering").
Source: Anthropic API, "Web search tool", "Web fetch tool"; types of the official SDKs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import UNSET

from ...errors import InvalidRequestError
from ...protocol.request.views import ToolView

SEARCH: Final = "web_search"
FETCH: Final = "web_fetch"
SEARCH_PREFIX: Final = "web_search_"
FETCH_PREFIX: Final = "web_fetch_"
_PREFIXES: Final = (SEARCH_PREFIX, FETCH_PREFIX)
_DIRECT: Final = "direct"
_CODE: Final = "code_execution_"
_FOR_CODE_SINCE: Final = 20260209
SEARCH_VERSIONS: Final = ("web_search_20250305", "web_search_20260209", "web_search_20260318")
FETCH_VERSIONS: Final = (
    "web_fetch_20250910",
    "web_fetch_20260209",
    "web_fetch_20260309",
    "web_fetch_20260318",
)


def check_version(tool: dict[str, Any], path: str, name: str, versions: Sequence[str]) -> None:
    """Raises `InvalidRequestError` for a version that nobody knows, or another name."""
    if tool["type"] not in versions:
        raise InvalidRequestError(f"{path}.type: expected one of {', '.join(versions)}")
    if tool.get("name") != name:
        raise InvalidRequestError(f"{path}.name: Input should be '{name}'")


def callers(kind: str, allowed: object) -> tuple[bool, bool]:
    """Returns who may call a tool of this type and these `allowed_callers`: (the model, code)."""
    if isinstance(allowed, list) and allowed:
        return _DIRECT in allowed, any(str(each).startswith(_CODE) for each in allowed)
    date = kind.rpartition("_")[2]
    code = date.isdecimal() and int(date) >= _FOR_CODE_SINCE
    return not code, code


def is_for_code(view: ToolView) -> bool:
    """Tells whether the definition is of a web tool that code may call."""
    kind = view.type or ""
    if not kind.startswith(_PREFIXES):
        return False
    allowed = None if view.allowed_callers is UNSET else view.allowed_callers
    return callers(kind, allowed)[1]
