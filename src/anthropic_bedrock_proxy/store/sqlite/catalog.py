"""The catalog in the SQLite file: every change and its count are one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from ..base.catalog import (
    BedrockModel,
    CapabilityOverride,
    ModelMapping,
    PriceRecord,
    ProviderRecord,
    SyncedMappings,
    SyncedPrices,
)
from .file import SQLiteFile
from .schema import QUERIES, transaction

T = TypeVar("T")


class SQLiteCatalog:
    """A `Catalog` over a few small tables."""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file

    async def version(self) -> int:
        """See `Catalog.version`."""
        (version,) = await self._read("catalog_version", lambda row: int(row["version"]))
        return version

    async def put_mapping(self, mapping: ModelMapping) -> None:
        """See `Catalog.put_mapping`."""
        await self._change("put_mapping", msgspec.structs.asdict(mapping))

    async def remove_mapping(self, alias: str) -> bool:
        """See `Catalog.remove_mapping`."""
        return await self._change("remove_mapping", {"alias": alias})

    async def mappings(self) -> Sequence[ModelMapping]:
        """See `Catalog.mappings`."""
        return await self._read("list_mappings", lambda row: ModelMapping(**dict(row)))

    async def replace_models(self, models: Sequence[BedrockModel]) -> None:
        """See `Catalog.replace_models`."""

        def work(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                connection.execute(QUERIES["clear_models"])
                for model in models:
                    row = msgspec.structs.asdict(model)
                    row["profiles"] = msgspec.json.encode(model.profiles).decode()
                    connection.execute(QUERIES["add_model"], row)
                connection.execute(QUERIES["catalog_changed"])

        await self._file.run(work)

    async def models(self) -> Sequence[BedrockModel]:
        """See `Catalog.models`."""
        return await self._read("list_models", _model)

    async def put_override(self, override: CapabilityOverride) -> bool:
        """See `Catalog.put_override`."""
        row = msgspec.structs.asdict(override)
        row["witnesses"] = msgspec.json.encode(override.witnesses).decode()
        return await self._change("put_override", row)

    async def remove_override(self, key: tuple[str, str, str, str]) -> bool:
        """See `Catalog.remove_override`."""
        names = ("model", "dialect", "kind", "name")
        return await self._change("remove_override", dict(zip(names, key, strict=True)))

    async def overrides(self) -> Sequence[CapabilityOverride]:
        """See `Catalog.overrides`."""
        return await self._read("list_overrides", _override)

    async def put_price(self, price: PriceRecord) -> None:
        """See `Catalog.put_price`."""
        await self._change("put_price", msgspec.structs.asdict(price))

    async def remove_price(self, key: tuple[str, str, int]) -> bool:
        """See `Catalog.remove_price`."""
        names = ("model", "region", "valid_from")
        return await self._change("remove_price", dict(zip(names, key, strict=True)))

    async def prices(self) -> Sequence[PriceRecord]:
        """See `Catalog.prices`."""
        return await self._read("list_prices", lambda row: PriceRecord(**dict(row)))

    async def put_synced_prices(self, prices: SyncedPrices) -> None:
        """See `Catalog.put_synced_prices`."""
        await self._change("put_synced_prices", msgspec.structs.asdict(prices))

    async def synced_prices(self) -> SyncedPrices | None:
        """See `Catalog.synced_prices`."""
        found = await self._read("get_synced_prices", lambda row: SyncedPrices(**dict(row)))
        return next(iter(found), None)

    async def put_synced_mappings(self, mappings: SyncedMappings) -> None:
        """See `Catalog.put_synced_mappings`."""
        row = msgspec.structs.asdict(mappings)
        row["mappings"] = msgspec.json.encode(mappings.mappings).decode()
        await self._change("put_synced_mappings", row)

    async def synced_mappings(self) -> SyncedMappings | None:
        """See `Catalog.synced_mappings`."""
        return next(iter(await self._read("get_synced_mappings", _synced_mappings)), None)

    async def put_provider(self, provider: ProviderRecord) -> None:
        """See `Catalog.put_provider`."""
        await self._change("put_provider", msgspec.structs.asdict(provider))

    async def remove_provider(self, name: str) -> bool:
        """See `Catalog.remove_provider`."""
        return await self._change("remove_provider", {"name": name})

    async def providers(self) -> Sequence[ProviderRecord]:
        """See `Catalog.providers`."""
        return await self._read("list_providers", _provider)

    async def provider(self, name: str) -> ProviderRecord | None:
        """See `Catalog.provider`."""
        return next(iter(await self._read("get_provider", _provider, {"name": name})), None)

    async def _read(
        self, query: str, of: Callable[[sqlite3.Row], T], parameters: Mapping[str, Any] = {}
    ) -> list[T]:
        return await self._file.run(
            lambda connection: [of(row) for row in connection.execute(QUERIES[query], parameters)]
        )

    async def _change(self, query: str, parameters: Mapping[str, Any]) -> bool:
        """Runs a statement; counts, and tells, whether it changed a row."""

        def work(connection: sqlite3.Connection) -> bool:
            with transaction(connection):
                changed = connection.execute(QUERIES[query], parameters).rowcount > 0
                if changed:
                    connection.execute(QUERIES["catalog_changed"])
                return changed

        return await self._file.run(work)


def _model(row: sqlite3.Row) -> BedrockModel:
    return msgspec.convert(
        {**dict(row), "profiles": msgspec.json.decode(row["profiles"])}, BedrockModel
    )


def _override(row: sqlite3.Row) -> CapabilityOverride:
    witnesses = msgspec.json.decode(row["witnesses"], type=tuple[str, ...])
    fields = {**dict(row), "allowed": bool(row["allowed"]), "witnesses": witnesses}
    return CapabilityOverride(**fields)


def _provider(row: sqlite3.Row) -> ProviderRecord:
    return ProviderRecord(**{**dict(row), "is_enabled": bool(row["is_enabled"])})


def _synced_mappings(row: sqlite3.Row) -> SyncedMappings:
    mappings = msgspec.json.decode(row["mappings"], type=dict[str, str])
    return SyncedMappings(**{**dict(row), "mappings": mappings})
