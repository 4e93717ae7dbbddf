"""The catalog in DynamoDB.

Names of models are the predecessor's model-mapping table, and its active prices are seen where they
are; ours stand over them. All else is in the state table: partitions "price", "override" and
"provider"; a listing of models in "models#<listing>", where the item ("catalog", "models") says
which listing counts; the synced price list and the synced names, compressed, in ("catalog",
"prices") and ("catalog", "mappings"); and ("catalog", "version"), which every change adds to, after
it. What the predecessor's own tools change adds nothing: it is seen with the next change of ours,
or a restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from zlib import compress, decompress

import msgspec

from ...aws.dynamodb_values import Item
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
from . import legacy
from .items import ItemChange, new_write, plain, read
from .tables import Tables

_VERSION: Final = {"pk": "catalog", "sk": "version"}
_LISTING: Final = {"pk": "catalog", "sk": "models"}
_PRICE_LIST: Final = {"pk": "catalog", "sk": "prices"}
_NAMES: Final = {"pk": "catalog", "sk": "mappings"}
_MOST_LOOKS: Final = 5  # tries to read a listing that is replaced meanwhile


class DynamoDBCatalog:
    """A `Catalog` over the state table and two of the predecessor's."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def version(self) -> int:
        """See `Catalog.version`."""
        item = await self._tables.get(self._state, _VERSION)
        return 0 if item is None else int(item["version"])

    async def put_mapping(self, mapping: ModelMapping) -> None:
        """See `Catalog.put_mapping`."""
        item = plain(mapping)
        item["anthropic_model_id"] = item.pop("alias")
        item["bedrock_model_id"] = item.pop("bedrock_id")
        await self._tables.put(self._tables.names.model_mapping, item)
        await self._changed()

    async def remove_mapping(self, alias: str) -> bool:
        """See `Catalog.remove_mapping`."""
        return await self._removed(self._tables.names.model_mapping, {"anthropic_model_id": alias})

    async def mappings(self) -> Sequence[ModelMapping]:
        """See `Catalog.mappings`."""
        items = self._tables.scan(self._tables.names.model_mapping)
        found = [_mapping(item) async for item in items if "bedrock_model_id" in item]
        return sorted(found, key=lambda one: one.alias)

    async def replace_models(self, models: Sequence[BedrockModel]) -> None:
        """See `Catalog.replace_models`."""
        if len({model.id for model in models}) != len(models):
            raise StoreError("a listing names every model once")
        listing = new_write()
        items = [{"pk": f"models#{listing}", "sk": model.id, **plain(model)} for model in models]
        await self._tables.put_many(self._state, items)
        last = await self._tables.get(self._state, _LISTING)
        await self._tables.put(self._state, {**_LISTING, "listing": listing})
        await self._changed()
        if last is not None:
            old = self._partition(f"models#{last['listing']}")
            keys = [{"pk": item["pk"], "sk": item["sk"]} for item in await old]
            await self._tables.delete_many(self._state, keys)

    async def models(self) -> Sequence[BedrockModel]:
        """See `Catalog.models`."""
        for _ in range(_MOST_LOOKS):
            current = await self._tables.get(self._state, _LISTING)
            if current is None:
                return []
            items = await self._partition(f"models#{current['listing']}")
            # While it was read, another may have come and this one gone.
            if await self._tables.get(self._state, _LISTING) == current:
                return [read(item, BedrockModel) for item in items]
        raise StoreError("the listing of models is being replaced all the time")

    async def put_override(self, override: CapabilityOverride) -> bool:
        """See `Catalog.put_override`."""
        item = {"pk": "override", "sk": _sort_key(override.key), **plain(override)}
        unless = ItemChange()
        if override.source == "learned":
            unless = ItemChange(
                condition="attribute_not_exists(pk) OR #source = :learned",
                names={"#source": "source"},
                values={":learned": "learned"},
            )
        if not await self._tables.put(self._state, item, unless):
            return False
        await self._changed()
        return True

    async def remove_override(self, key: tuple[str, str, str, str]) -> bool:
        """See `Catalog.remove_override`."""
        return await self._removed(self._state, {"pk": "override", "sk": _sort_key(key)})

    async def overrides(self) -> Sequence[CapabilityOverride]:
        """See `Catalog.overrides`."""
        items = await self._partition("override")
        found = [read(item, CapabilityOverride) for item in items]
        return sorted(found, key=lambda one: (one.kind, one.name, one.model, one.dialect))

    async def put_price(self, price: PriceRecord) -> None:
        """See `Catalog.put_price`."""
        item = {"pk": "price", "sk": _sort_key(price.key), **plain(price)}
        await self._tables.put(self._state, item)
        await self._changed()

    async def remove_price(self, key: tuple[str, str, int]) -> bool:
        """See `Catalog.remove_price`; a price of the predecessor under this key goes too."""
        gone = [await self._tables.remove(self._state, {"pk": "price", "sk": _sort_key(key)})]
        pricing = self._tables.names.model_pricing
        rows = [row async for row in self._tables.scan(pricing)]
        for row in rows:
            price = legacy.price_of(row)
            if price is not None and price.key == key:
                gone.append(await self._tables.remove(pricing, {"model_id": row["model_id"]}))
        if not any(gone):
            return False
        await self._changed()
        return True

    async def prices(self) -> Sequence[PriceRecord]:
        """See `Catalog.prices`."""
        found: dict[tuple[str, str, int], PriceRecord] = {}
        rows = [row async for row in self._tables.scan(self._tables.names.model_pricing)]
        # An id with the prefix of a profile is the same model: the row without a prefix wins.
        for row in sorted(rows, key=lambda row: (len(row["model_id"]), row["model_id"])):
            if (price := legacy.price_of(row)) is not None:
                found.setdefault(price.key, price)
        for item in await self._partition("price"):
            price = read(item, PriceRecord)
            found[price.key] = price
        return [found[key] for key in sorted(found)]

    async def put_synced_prices(self, prices: SyncedPrices) -> None:
        """See `Catalog.put_synced_prices`."""
        text = compress(prices.text.encode())
        await self._tables.put(self._state, {**_PRICE_LIST, **plain(prices), "text": text})
        await self._changed()

    async def synced_prices(self) -> SyncedPrices | None:
        """See `Catalog.synced_prices`."""
        item = await self._tables.get(self._state, _PRICE_LIST)
        if item is None:
            return None
        return read({**item, "text": decompress(item["text"]).decode()}, SyncedPrices)

    async def put_synced_mappings(self, mappings: SyncedMappings) -> None:
        """See `Catalog.put_synced_mappings`."""
        text = compress(msgspec.json.encode(mappings.mappings))
        item = {"source": mappings.source, "synced_at": mappings.synced_at, "mappings": text}
        await self._tables.put(self._state, {**_NAMES, **item})
        await self._changed()

    async def synced_mappings(self) -> SyncedMappings | None:
        """See `Catalog.synced_mappings`."""
        item = await self._tables.get(self._state, _NAMES)
        if item is None:
            return None
        mappings = msgspec.json.decode(decompress(item["mappings"]), type=dict[str, str])
        return read({**item, "mappings": mappings}, SyncedMappings)

    async def put_provider(self, provider: ProviderRecord) -> None:
        """See `Catalog.put_provider`."""
        await self._tables.put(self._state, {**_provider_key(provider.name), **plain(provider)})
        await self._changed()

    async def remove_provider(self, name: str) -> bool:
        """See `Catalog.remove_provider`."""
        return await self._removed(self._state, _provider_key(name))

    async def providers(self) -> Sequence[ProviderRecord]:
        """See `Catalog.providers`."""
        return [_provider(item) for item in await self._partition("provider")]

    async def provider(self, name: str) -> ProviderRecord | None:
        """See `Catalog.provider`."""
        item = await self._tables.get(self._state, _provider_key(name))
        return None if item is None else _provider(item)

    @property
    def _state(self) -> str:
        return self._tables.names.state

    async def _partition(self, name: str) -> list[Item]:
        """Returns the items of a partition in the order of their sort keys."""
        items = self._tables.query(self._state, "#pk = :pk", {":pk": name})
        return [item async for item in items]

    async def _removed(self, table: str, key: Item) -> bool:
        if not await self._tables.remove(table, key):
            return False
        await self._changed()
        return True

    async def _changed(self) -> None:
        one = ItemChange(
            update="ADD #version :one", names={"#version": "version"}, values={":one": 1}
        )
        await self._tables.update(self._state, _VERSION, one)


def _sort_key(key: tuple[Any, ...]) -> str:
    return msgspec.json.encode(key).decode()


def _mapping(item: Item) -> ModelMapping:
    updated_at = item.get("updated_at")  # the predecessor writes a date
    return ModelMapping(
        alias=item["anthropic_model_id"],
        bedrock_id=item["bedrock_model_id"],
        updated_at=updated_at if isinstance(updated_at, int) else 0,
        dialect=item.get("dialect"),
    )


def _provider_key(name: str) -> Item:
    return {"pk": "provider", "sk": name}


def _provider(item: Item) -> ProviderRecord:
    return read(item, ProviderRecord)
