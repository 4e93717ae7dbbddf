"""`url_sources` of a definition: what makes a URL one that web fetch may fetch. Pure.

    {"user_input": {"type": "all"},
     "client_tool_results": {"type": "only", "tools": [{"type": "tool_reference", "name": "crm"}]},
     "server_tool_results": {"type": "except", "tools": [{…, "name": "web_search"}]}}

A member that is left out means "all".
Source: types of the official SDKs (`BetaWebFetchURLSources`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec

from ...errors import InvalidRequestError
from ...protocol.raw import Json

_PLAIN: Final = ("all", "none")
_LISTED: Final = ("only", "except")


class SourceFilter(msgspec.Struct, frozen=True):
    """The tools whose results count: those that are named, or with `others` all but those."""

    names: frozenset[str] = frozenset()
    others: bool = True

    def takes(self, name: str) -> bool:
        """Tells whether results of the tool of this name count."""
        return (name in self.names) is not self.others


ALL: Final = SourceFilter()


class URLSources(msgspec.Struct, frozen=True):
    """The places of a conversation whose URLs may be fetched."""

    user_input: bool = True
    client_tools: SourceFilter = ALL
    server_tools: SourceFilter = ALL


def read_url_sources(tool: Json, path: str, declared: Collection[str | None]) -> URLSources:
    """Reads the member of a definition; `declared` are the names of the request's tools.

    Raises `InvalidRequestError` with the path.
    """
    given = tool.get("url_sources")
    if given is None:
        return URLSources()
    path = f"{path}.url_sources"
    if not isinstance(given, dict):
        raise InvalidRequestError(f"{path}: an object is required")
    user = _filter(given, path, "user_input", declared, _PLAIN)
    return URLSources(
        user.others,
        _filter(given, path, "client_tool_results", declared),
        _filter(given, path, "server_tool_results", declared),
    )


def _filter(
    given: Json,
    path: str,
    member: str,
    declared: Collection[str | None],
    kinds: Collection[str] = (*_PLAIN, *_LISTED),
) -> SourceFilter:
    chosen = given.get(member)
    if chosen is None:
        return ALL
    path = f"{path}.{member}"
    kind = chosen.get("type") if isinstance(chosen, dict) else None
    if kind not in kinds:
        raise InvalidRequestError(f"{path}.type: expected one of {', '.join(kinds)}")
    if kind in _PLAIN:
        return SourceFilter(others=kind == "all")
    return SourceFilter(_names(chosen.get("tools"), f"{path}.tools", declared), kind == "except")


def _names(tools: Any, path: str, declared: Collection[str | None]) -> frozenset[str]:
    if not isinstance(tools, list):
        raise InvalidRequestError(f"{path}: a list of tool references is required")
    names = set()
    for index, tool in enumerate(tools):
        name = tool.get("name") if isinstance(tool, dict) else None
        if not isinstance(name, str) or tool.get("type") != "tool_reference":
            raise InvalidRequestError(
                f"{path}.{index}: expected an object with `type`: `tool_reference` and a `name`"
            )
        if name not in declared:
            raise InvalidRequestError(f"{path}.{index}.name: no tool of the request has this name")
        names.add(name)
    return frozenset(names)
