"""Notes beneath the banner of `serve`: which models have no price, and who cannot search.

They are lines of the log, in whatever form that has: with LOG_OUTPUT=stdout programs read on.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Final

from ..bounded import some_of
from ..config import Settings
from ..gateway.admission.pricing import Pricing
from ..gateway.admission.unpriced import unpriced_names
from ..models.registry import Registry
from .search_plan import SearchPlan, is_missed

_log = logging.getLogger("anthropic_bedrock_proxy")
_MOST_NAMES: Final = 20


class FirstWorker:
    """The role of the first worker of a start: those beside it, and later ones, do not have it."""

    def __init__(self) -> None:
        """Make it before workers are forked."""
        self._turn, told = os.pipe()
        os.write(told, b"1")
        os.close(told)

    def claim(self) -> bool:
        """Tells whether this worker is the first that asks."""
        return os.read(self._turn, 1) == b"1"

    def close(self) -> None:
        """Lets go of the descriptor."""
        os.close(self._turn)


async def note_unpriced(registry: Registry, pricing: Pricing, *, refuses: bool) -> None:
    """Logs the models without a price that can be called here, if there are some."""
    names = []
    for name in unpriced_names(registry, pricing):
        names.append(name)
        await asyncio.sleep(0)  # requests come first
    if not names:
        return
    told = (
        "keys with a budget are refused there"
        if refuses
        else "no budget counts requests for them; `prices set` or `prices sync` mends it"
    )
    _log.info("no price is known of %s: %s", some_of(names, _MOST_NAMES), told)


def note_missed_search(settings: Settings, plan: SearchPlan) -> None:
    """Logs which back end of web search was named and cannot be used, and what it needs."""
    if not is_missed(settings, plan):
        return
    if plan.names:
        _log.warning("web search goes without a provider that was named: %s", plan.reason)
    else:
        _log.warning("web search is not served: %s", plan.reason)
