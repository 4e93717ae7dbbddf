"""The operator's and the key's settings for a request, the same for every dialect."""

from __future__ import annotations

import msgspec


class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """An Amazon Bedrock guardrail that every request passes through."""

    identifier: str
    version: str = "DRAFT"
    trace: str = "disabled"  # enabled | disabled | enabled_full
    stream_mode: str = "sync"  # Converse streams: sync | async


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that conversion applies to a request; the key's own are merged in already."""

    cache: bool = True  # False: no breakpoint is sent at all
    cache_ttl: str | None = None  # 5m | 1h on every breakpoint, whatever the client asked for
    default_cache_ttl: str | None = None  # on breakpoints for which the client named none
    service_tier: str = "default"  # default | flex | priority | reserved
    latency: str | None = None  # standard | optimized
    guardrail: Guardrail | None = None
    drops_sampling: bool = False  # where a model refuses temperature, top_p, top_k: left out
    forced_tools: str = "ask"  # ask | auto | refuse, where no tool can be forced on a model
    request_metadata: bool = True  # metadata.user_id also becomes Bedrock's request metadata

    @property
    def rewrites_markers(self) -> bool:
        """Tells whether these settings change cache breakpoints."""
        return bool(self.cache_ttl or self.default_cache_ttl or not self.cache)


DEFAULT_POLICY = Policy()
