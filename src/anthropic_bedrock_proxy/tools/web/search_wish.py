"""The definition of web search, as the client wants searches to be. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ...errors import InvalidRequestError
from ...protocol.raw import Json
from ...search.base import SearchLocation
from .definition import is_excluded, read_max_uses
from .domains import DomainRules, read_domains
from .search_options import WebSearchOptions

_MAX_PLACE: Final = 255  # characters of each part of a location


class SearchWish(msgspec.Struct, frozen=True):
    """A definition that was read, with the operator's bounds where it has none."""

    domains: DomainRules
    max_uses: int
    max_results: int
    location: SearchLocation | None
    excluded: bool

    @classmethod
    def read(cls, tool: Json, path: str, options: WebSearchOptions) -> SearchWish:
        """Reads a definition. Raises `InvalidRequestError` with the path."""
        return cls(
            read_domains(tool, path),
            read_max_uses(tool, path, options.default_max_uses),
            options.max_results,
            _location(tool.get("user_location"), f"{path}.user_location"),
            is_excluded(tool, path),
        )


def _location(given: Any, path: str) -> SearchLocation | None:
    if given is None:
        return None
    if not isinstance(given, dict) or given.get("type") != "approximate":
        raise InvalidRequestError(f"{path}: Expected an object with `type`: `approximate`")
    told = {field: given.get(field) for field in SearchLocation.__struct_fields__}
    for field, value in told.items():
        if value is not None and not isinstance(value, str):
            raise InvalidRequestError(f"{path}.{field}: a string is required")
        if len(value or "") > _MAX_PLACE:
            raise InvalidRequestError(f"{path}.{field}: at most {_MAX_PLACE} characters")
    return SearchLocation(**told)
