"""Targets of failover chains that requests never reach, because the model is not to be had there.

A route leaves them out while others remain; an operator who counts on them has to be told.

Example: `{"claude-opus-4": ["default", "ireland"]}` with a model that has no profile in Europe.

    FAILOVER_CHAINS, claude-opus-4: ireland is left out: claude-opus-4 has no inference profile …
"""

from __future__ import annotations

from typing import Final

import msgspec

from ..bounded import some_of
from ..errors import ProxyError
from .registry import Registry

_EVERY: Final = "*"
_MOST_NAMED: Final = 3


class ChainGap(msgspec.Struct, frozen=True, kw_only=True):
    """One target that is left out of a chain; no `provider`: none of the chain is left."""

    chain: str  # the model's name, or *
    provider: str
    reason: str

    def line(self) -> str:
        """Says it to the operator."""
        what = f"{self.provider} is left out" if self.provider else "no target is left"
        return f"FAILOVER_CHAINS, {self.chain}: {what}: {self.reason}"


def chain_gaps(registry: Registry) -> list[ChainGap]:
    """Lists what is left out of each chain; of that for every model, one line for a provider."""
    gaps = [gap for name in registry.chains if name != _EVERY for gap in _gaps_of(registry, name)]
    if _EVERY not in registry.chains:
        return gaps
    without: dict[str, list[str]] = {}
    for model in registry.models:
        if model.lifecycle == "active" and model.id not in registry.chains:
            for gap in _gaps_of(registry, model.id):
                without.setdefault(gap.provider, []).append(model.id)
    return [
        *gaps,
        *(
            ChainGap(chain=_EVERY, provider=provider, reason=f"{_some(names)} not to be had there")
            for provider, names in without.items()
        ),
    ]


def _gaps_of(registry: Registry, name: str) -> list[ChainGap]:
    """Lists what is left out of the chain of one model."""
    try:
        left_out = registry.route(name).left_out
    except ProxyError as error:
        return [ChainGap(chain=name, provider="", reason=_plain(error.message))]
    return [
        ChainGap(chain=name, provider=provider, reason=_plain(reason))
        for provider, reason in left_out
    ]


def _plain(message: str) -> str:
    return message.removeprefix("model: ")


def _some(names: list[str]) -> str:
    return f"{some_of(names, _MOST_NAMED)} {'is' if len(names) == 1 else 'are'}"
