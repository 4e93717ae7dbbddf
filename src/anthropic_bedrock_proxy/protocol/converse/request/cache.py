"""Breakpoints of the prompt cache: `cache_control` on a block becomes a `cachePoint` behind it.

Source: Amazon Bedrock, prompt caching (CachePointBlock); Anthropic API, at most four breakpoints.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from ....errors import InvalidRequestError
from ...request.policy import Policy
from .blocks import CacheControl

_MAX_BREAKPOINTS: Final = 4
_HOUR: Final = "1h"
_FIVE_MINUTES: Final = "5m"


class CachePoints:
    """Breakpoints of one request: counts them, and applies the operator's settings to them."""

    __slots__ = ("_default_ttl", "_dropped", "_features", "_found", "_policy")

    def __init__(self, features: frozenset[str], policy: Policy, dropped: list[str]) -> None:
        self._features = features
        self._policy = policy
        self._default_ttl = policy.default_cache_ttl
        self._dropped = dropped
        self._found = 0

    def point(self, control: CacheControl | None, path: str) -> dict[str, Any] | None:
        """Returns the cachePoint to send behind the block at `path`; None if none is to be sent."""
        marker = self._marker(control, path)
        return None if marker is None else {"cachePoint": {"type": "default", **marker}}

    def tool_point(self, control: CacheControl | None, path: str) -> dict[str, Any] | None:
        """Returns the cachePoint behind a tool; None also for Nova: it caches no tools."""
        if control is not None and not self._features & {"claude", "cache_tools"}:
            self.drop(path)
            return None
        return self.point(control, path)

    def native(self, control: CacheControl | None, path: str) -> dict[str, Any] | None:
        """Returns the `cache_control` of a tool that is sent in Anthropic's own form, or None."""
        marker = self._marker(control, path)
        return None if marker is None else {"type": "ephemeral", **marker}

    def drop(self, path: str) -> None:
        """Notes a breakpoint that cannot be set where the client wants it."""
        self._dropped.append(f"{path}.cache_control")

    def check(self) -> None:
        """Raises `InvalidRequestError` in Anthropic's words if there are too many."""
        if self._found > _MAX_BREAKPOINTS:
            raise InvalidRequestError(
                f"A maximum of {_MAX_BREAKPOINTS} blocks with cache_control may be provided. "
                f"Found {self._found}."
            )

    def _marker(self, control: CacheControl | None, path: str) -> dict[str, str] | None:
        if control is None:
            return None
        policy = self._policy
        if not policy.cache or "cache" not in self._features:
            self.drop(path)
            return None
        self._found += 1
        if control.scope is not UNSET:  # only Anthropic's own API has scopes
            self._dropped.append(f"{path}.cache_control.scope")
        ttl = policy.cache_ttl or control.ttl or self._default_ttl
        if ttl == _FIVE_MINUTES:
            self._default_ttl = None  # an hour may not follow upon five minutes
        if ttl != _HOUR:
            return {}  # five minutes are the default
        if "cache_1h" not in self._features:
            self._dropped.append(f"{path}.cache_control.ttl")
            return {}
        return {"ttl": _HOUR}
