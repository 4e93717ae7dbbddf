"""The packages of the extra `web`: looked for where a tool is made, imported where it is used."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final, Literal

from ..errors import needs_extra

# Search seals what clients keep, and fetch reads HTML.
_PACKAGES: Final = {"web_search": "cryptography", "web_fetch": "trafilatura"}


def lack_of(tool: Literal["web_search", "web_fetch"]) -> str:
    """Returns why a tool cannot be served here, and what mends it; empty: its package is there."""
    return needs_extra(tool, "web") if find_spec(_PACKAGES[tool]) is None else ""
