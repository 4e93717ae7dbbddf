"""The catalog of the store in memory: see `store.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..base.catalog import (
    BedrockModel,
    CapabilityOverride,
    ModelMapping,
    PriceRecord,
    ProviderRecord,
    SyncedMappings,
    SyncedPrices,
)
from ..base.errors import StoreError


class MemoryCatalog:
    """A `Catalog` over dictionaries."""

    def __init__(self, check: Callable[[], None]) -> None:
        """`check` raises `StoreError` while the store is down."""
        self._check = check
        self._version = 0
        self._mappings: dict[str, ModelMapping] = {}
        self._models: list[BedrockModel] = []
        self._overrides: dict[tuple[str, str, str, str], CapabilityOverride] = {}
        self._prices: dict[tuple[str, str, int], PriceRecord] = {}
        self._synced_prices: SyncedPrices | None = None
        self._synced_mappings: SyncedMappings | None = None
        self._providers: dict[str, ProviderRecord] = {}

    async def version(self) -> int:
        """See `Catalog.version`."""
        self._check()
        return self._version

    async def put_mapping(self, mapping: ModelMapping) -> None:
        """See `Catalog.put_mapping`."""
        self._check()
        self._mappings[mapping.alias] = mapping
        self._version += 1

    async def remove_mapping(self, alias: str) -> bool:
        """See `Catalog.remove_mapping`."""
        self._check()
        return self._removed(self._mappings.pop(alias, None))

    async def mappings(self) -> Sequence[ModelMapping]:
        """See `Catalog.mappings`."""
        self._check()
        return sorted(self._mappings.values(), key=lambda mapping: mapping.alias)

    async def replace_models(self, models: Sequence[BedrockModel]) -> None:
        """See `Catalog.replace_models`."""
        self._check()
        if len({model.id for model in models}) != len(models):
            raise StoreError("a listing names every model once")
        self._models = sorted(models, key=lambda model: model.id)
        self._version += 1

    async def models(self) -> Sequence[BedrockModel]:
        """See `Catalog.models`."""
        self._check()
        return list(self._models)

    async def put_override(self, override: CapabilityOverride) -> bool:
        """See `Catalog.put_override`."""
        self._check()
        known = self._overrides.get(override.key)
        if known is not None and (known.source, override.source) == ("operator", "learned"):
            return False
        self._overrides[override.key] = override
        self._version += 1
        return True

    async def remove_override(self, key: tuple[str, str, str, str]) -> bool:
        """See `Catalog.remove_override`."""
        self._check()
        return self._removed(self._overrides.pop(key, None))

    async def overrides(self) -> Sequence[CapabilityOverride]:
        """See `Catalog.overrides`."""
        self._check()
        return sorted(self._overrides.values(), key=lambda o: (o.kind, o.name, o.model, o.dialect))

    async def put_price(self, price: PriceRecord) -> None:
        """See `Catalog.put_price`."""
        self._check()
        self._prices[price.key] = price
        self._version += 1

    async def remove_price(self, key: tuple[str, str, int]) -> bool:
        """See `Catalog.remove_price`."""
        self._check()
        return self._removed(self._prices.pop(key, None))

    async def prices(self) -> Sequence[PriceRecord]:
        """See `Catalog.prices`."""
        self._check()
        return sorted(self._prices.values(), key=lambda price: price.key)

    async def put_synced_prices(self, prices: SyncedPrices) -> None:
        """See `Catalog.put_synced_prices`."""
        self._check()
        self._synced_prices = prices
        self._version += 1

    async def synced_prices(self) -> SyncedPrices | None:
        """See `Catalog.synced_prices`."""
        self._check()
        return self._synced_prices

    async def put_synced_mappings(self, mappings: SyncedMappings) -> None:
        """See `Catalog.put_synced_mappings`."""
        self._check()
        self._synced_mappings = mappings
        self._version += 1

    async def synced_mappings(self) -> SyncedMappings | None:
        """See `Catalog.synced_mappings`."""
        self._check()
        return self._synced_mappings

    async def put_provider(self, provider: ProviderRecord) -> None:
        """See `Catalog.put_provider`."""
        self._check()
        self._providers[provider.name] = provider
        self._version += 1

    async def remove_provider(self, name: str) -> bool:
        """See `Catalog.remove_provider`."""
        self._check()
        return self._removed(self._providers.pop(name, None))

    async def providers(self) -> Sequence[ProviderRecord]:
        """See `Catalog.providers`."""
        self._check()
        return sorted(self._providers.values(), key=lambda provider: provider.name)

    async def provider(self, name: str) -> ProviderRecord | None:
        """See `Catalog.provider`."""
        self._check()
        return self._providers.get(name)

    def _removed(self, what: object | None) -> bool:
        self._version += what is not None
        return what is not None
