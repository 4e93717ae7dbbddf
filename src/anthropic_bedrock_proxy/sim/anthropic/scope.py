"""The state that checks of one Anthropic body share: model, dialect, flags, cache markers so far.

Cache markers are counted here because tools, system and messages may all carry them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..models.model import Model
from ..prompt import Prompt
from ..wire.fields import one_of, only, tag, typed
from ..wire.refusal import extra, invalid
from .betas import TOOL_SEARCH
from .dialect import Dialect

_MAX_MARKERS = 4


class Scope(msgspec.Struct, kw_only=True):
    """The request being checked: its model, accepted flags and running sums."""

    model: Model
    dialect: Dialect
    betas: frozenset[str]
    new_version: bool
    prompt: Prompt
    markers: int = 0
    last_ttl: str = "1h"
    searches: bool = False

    def __post_init__(self) -> None:
        """Notes whether tool search, which adds block types, is switched on by a flag."""
        self.searches = TOOL_SEARCH in self.betas


def check_cache_control(scope: Scope, path: str, value: Any) -> None:
    """Counts and checks one `cache_control`."""
    marker = typed(path, value, dict)
    tag(path, marker, ("ephemeral",))
    only(f"{path}.ephemeral", marker, ("type", "ttl"))
    ttl = marker.get("ttl") or "5m"
    one_of(f"{path}.ephemeral.ttl", ttl, ("5m", "1h"))
    if ttl == "1h":
        if scope.model.generation < (4, 5):
            raise extra(f"{path}.ephemeral.ttl")
        if scope.last_ttl == "5m":
            raise invalid(
                f"{path}.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' "
                "cache_control block. Note that blocks are processed in the following order: "
                "`tools`, `system`, `messages`."
            )
    scope.last_ttl = ttl
    scope.markers += 1
    if scope.markers > _MAX_MARKERS:
        raise invalid(
            f"A maximum of {_MAX_MARKERS} blocks with cache_control may be provided. Found "
            f"{scope.markers}."
        )
