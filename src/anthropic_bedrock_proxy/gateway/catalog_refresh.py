"""The way of changes of the catalog to a running worker: polled, because every store can be.

A poll is one tiny query while nothing changes. The version is read before what it stands for, so a
change in between is seen by the next poll.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from ..models.geography import prefix_of
from ..models.registry import Registry
from ..store.base.catalog import (
    BedrockModel,
    CapabilityOverride,
    Catalog,
    PriceRecord,
    ProviderRecord,
    SyncedPrices,
)
from ..store.base.errors import StoreError

_log = logging.getLogger("anthropic_bedrock_proxy.catalog")


class CatalogRefresh:
    """Keeps the registry, and whoever else wants to know, at the state of the catalog."""

    def __init__(
        self,
        catalog: Catalog,
        registry: Registry,
        *,
        on_overrides: Callable[[Sequence[CapabilityOverride]], None] | None = None,
        on_providers: Callable[[Sequence[ProviderRecord]], None] | None = None,
        on_prices: Callable[[Sequence[PriceRecord], SyncedPrices | None], None] | None = None,
        interval_seconds: float = 5.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """The callbacks get everything there is, at the first reading and at each change.

        They must not raise.
        """
        self._catalog = catalog
        self._registry = registry
        self._on_overrides = on_overrides
        self._on_providers = on_providers
        self._on_prices = on_prices
        self._interval_seconds = interval_seconds
        self._sleep = sleep
        self._version = -1

    async def refresh_once(self) -> bool:
        """Takes over what changed since the last time; False if nothing did.

        Raises `StoreError`; what was known before then stays in force.
        """
        version = await self._catalog.version()
        if version == self._version:
            return False
        mappings = await self._catalog.mappings()
        offered = await self._catalog.models()
        overrides = await self._catalog.overrides()
        providers = await self._catalog.providers()
        prices = await self._catalog.prices()
        synced = await self._catalog.synced_prices()
        fetched = await self._catalog.synced_mappings()
        self._registry.replace_stored(
            {mapping.alias: mapping.bedrock_id for mapping in mappings},
            {mapping.alias: mapping.dialect for mapping in mappings if mapping.dialect},
        )
        self._registry.replace_fetched(fetched.mappings if fetched is not None else {})
        self._registry.replace_offered({model.id: _prefixes(model) for model in offered})
        if self._on_overrides is not None:
            self._on_overrides(overrides)
        if self._on_providers is not None:
            self._on_providers(providers)
        if self._on_prices is not None:
            self._on_prices(prices, synced)
        self._version = version
        return True

    async def run(self) -> None:
        """Polls until cancelled. An outage of the store is logged once, and so is its end."""
        down = False
        while True:
            try:
                await self.refresh_once()
            except StoreError as error:
                if not down:
                    _log.warning("the catalog cannot be read, the last one stays: %s", error)
                down = True
            else:
                if down:
                    _log.info("the catalog can be read again")
                down = False
            await self._sleep(self._interval_seconds)


def _prefixes(model: BedrockModel) -> list[str]:
    """Lists the prefixes of the system profiles that Bedrock listed for a model."""
    return [prefix for name in model.profiles if (prefix := prefix_of(name))]
