"""The definition of web fetch, as the client wants fetches to be. Pure."""

from __future__ import annotations

import msgspec

from ...errors import InvalidRequestError
from ...protocol.raw import Json
from ..calls import RequestTools
from .definition import is_excluded, read_bound, read_max_uses
from .domains import DomainRules, read_domains
from .fetch_options import WebFetchOptions
from .url_sources import URLSources, read_url_sources


class FetchWish(msgspec.Struct, frozen=True):
    """A definition that was read; `fresh`: no page is taken from the cache."""

    domains: DomainRules
    sources: URLSources
    max_uses: int
    max_tokens: int
    cites: bool
    fresh: bool
    excluded: bool

    @classmethod
    def read(
        cls, tool: Json, path: str, tools: RequestTools, options: WebFetchOptions
    ) -> FetchWish:
        """Reads one of the definitions `tools`. Raises `InvalidRequestError` with the path."""
        cached = tool.get("use_cache")
        if cached is not None and not isinstance(cached, bool):
            raise InvalidRequestError(f"{path}.use_cache: true or false is required")
        return cls(
            read_domains(tool, path),
            read_url_sources(tool, path, {view.name for view in tools.views}),
            read_max_uses(tool, path, options.default_max_uses),
            read_bound(tool, path, "max_content_tokens") or options.default_max_tokens,
            cites(tool, path),
            cached is False,
            is_excluded(tool, path),
        )


def cites(tool: Json, path: str) -> bool:
    """Tells whether pages are to be cited. Raises `InvalidRequestError` with the path."""
    given = tool.get("citations")
    if given is None:
        return False
    enabled = given.get("enabled", False) if isinstance(given, dict) else None
    if not isinstance(enabled, bool):
        raise InvalidRequestError(f"{path}.citations: expected an object with `enabled`")
    return enabled
