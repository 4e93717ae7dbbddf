"""The port of the catalog, and its records: models, overrides, prices and providers.

Money is integer nano-dollars, times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

ANY = "*"  # in a `CapabilityOverride`: every model, every dialect


class ModelMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A name that the operator gave to a model."""

    alias: str  # what clients ask for
    bedrock_id: str  # another name, a Bedrock id, an inference profile or an ARN
    updated_at: int  # epoch seconds, like every *_at below
    dialect: str | None = None  # None: the best that the model has


class BedrockModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that Bedrock listed for our account and region."""

    id: str  # base id, without a profile prefix
    name: str
    provider: str
    synced_at: int
    profiles: tuple[str, ...] = ()  # ids of system profiles, ARNs of application profiles


class CapabilityOverride(msgspec.Struct, frozen=True, kw_only=True):
    """An override on one beta flag, body field or service tier, over what models.toml says."""

    model: str  # Bedrock's id without a profile prefix, or `ANY`
    dialect: str  # or `ANY`
    kind: Literal["beta", "field", "tier"]
    name: str  # a flag; a dotted path with * for numbers; a tier
    allowed: bool
    source: Literal["learned", "operator"]  # learned: from refusals of Bedrock's
    updated_at: int
    reason: str = ""
    # For learned ones, of which `allowed` means withdrawn:
    learned_at: int | None = None  # the first time
    confirmations: int = 0  # requests that were refused with it and answered without
    witnesses: tuple[str, ...] = ()  # ids of the first two keys that made them
    expires_at: int | None = None  # when its subject is tried again

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Identifies an override: there is one for each model, dialect, kind and name."""
        return (self.model, self.dialect, self.kind, self.name)


class PriceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's price of a model, over the shipped one. Nano-dollars per million tokens."""

    model: str  # our id, or Bedrock's without a profile prefix
    updated_at: int
    region: str = "*"
    valid_from: int = 0  # epoch seconds, inclusive
    valid_until: int | None = None  # exclusive
    input_nano: int
    output_nano: int
    cache_read_nano: int | None = None  # None: a tenth of input
    cache_write_nano: int | None = None  # five minutes; None: 1.25 times input
    cache_write_1h_nano: int | None = None  # None: twice input

    @property
    def key(self) -> tuple[str, str, int]:
        """Identifies a price: there is one for each model, region and beginning."""
        return (self.model, self.region, self.valid_from)


class SyncedPrices(msgspec.Struct, frozen=True, kw_only=True):
    """The price list of the last `prices sync`: under the operator's prices, over the shipped."""

    source: str  # where it came from, without credentials
    synced_at: int
    text: str  # in the form of models/prices.csv


class SyncedMappings(msgspec.Struct, frozen=True, kw_only=True):
    """The names of the last sync (MODEL_MAPPING_SYNC_URL): under the operator's own."""

    source: str  # where they came from, without credentials
    synced_at: int
    mappings: Mapping[str, str]  # alias -> Bedrock id


class ProviderRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A provider to send requests to: a region, perhaps of another account."""

    name: str
    region: str
    created_at: int
    updated_at: int
    endpoint_url: str | None = None  # bedrock-runtime; None: the region's own
    mantle_endpoint_url: str | None = None
    role_arn: str | None = None  # the role to assume there
    external_id: str | None = None
    profile: str | None = None  # of the AWS configuration files
    encrypted_credentials: bytes | None = None  # see store/sealing.py
    is_enabled: bool = True


class Catalog(Protocol):
    """The statements of the operator, and of Bedrock itself, about models and providers.

    Small enough to be read as a whole; who wants to know of changes polls `version`.
    """

    async def version(self) -> int:
        """Returns a number that grows with every change of the catalog by any process. Cheap."""
        ...

    async def put_mapping(self, mapping: ModelMapping) -> None:
        """Adds or replaces what an alias stands for."""
        ...

    async def remove_mapping(self, alias: str) -> bool:
        """Removes a mapping; returns False if there was none."""
        ...

    async def mappings(self) -> Sequence[ModelMapping]:
        """Lists every mapping, by alias."""
        ...

    async def replace_models(self, models: Sequence[BedrockModel]) -> None:
        """Replaces the last listing by a new one, all or nothing."""
        ...

    async def models(self) -> Sequence[BedrockModel]:
        """Lists the models of the last listing, by id."""
        ...

    async def put_override(self, override: CapabilityOverride) -> bool:
        """Adds or replaces an override; False if it is learned and the operator's word stands."""
        ...

    async def remove_override(self, key: tuple[str, str, str, str]) -> bool:
        """Forgets an override by its (model, dialect, kind, name); False if there was none."""
        ...

    async def overrides(self) -> Sequence[CapabilityOverride]:
        """Lists every override, by kind, name, model and dialect."""
        ...

    async def put_price(self, price: PriceRecord) -> None:
        """Adds or replaces a price."""
        ...

    async def remove_price(self, key: tuple[str, str, int]) -> bool:
        """Forgets the price of a (model, region, valid_from); False if there was none."""
        ...

    async def prices(self) -> Sequence[PriceRecord]:
        """Lists every price, by model, region and beginning."""
        ...

    async def put_synced_prices(self, prices: SyncedPrices) -> None:
        """Replaces the price list of the last sync."""
        ...

    async def synced_prices(self) -> SyncedPrices | None:
        """Returns the price list of the last sync; None before the first."""
        ...

    async def put_synced_mappings(self, mappings: SyncedMappings) -> None:
        """Replaces the names of the last sync."""
        ...

    async def synced_mappings(self) -> SyncedMappings | None:
        """Returns the names of the last sync; None before the first."""
        ...

    async def put_provider(self, provider: ProviderRecord) -> None:
        """Adds or replaces a provider."""
        ...

    async def remove_provider(self, name: str) -> bool:
        """Removes a provider; returns False if there was none."""
        ...

    async def providers(self) -> Sequence[ProviderRecord]:
        """Lists every provider, enabled or not, by name."""
        ...

    async def provider(self, name: str) -> ProviderRecord | None:
        """Returns the provider with this name."""
        ...
