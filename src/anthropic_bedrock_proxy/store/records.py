"""The rows that the stores keep: pure values.

Money is integer nano-dollars, times are UTC epochs. A key's secret is in none of them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

# Checked when a record is decoded: a number that no store column can hold is refused there, so it
# cannot stand in the way of the records behind it.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Moment = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]  # ms; the year 9999 ends there


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An API key. The secret itself is never stored: only its SHA-256, beside this record."""

    id: str  # "key_" + 16 characters; stays the same through rotations
    name: str
    secret_hint: str  # "sk-...wxyz", enough to recognise a secret by
    created_at: int  # epoch seconds, like every *_at of this record
    updated_at: int
    user_id: str | None = None
    is_active: bool = True
    deactivated_reason: str | None = None
    expires_at: int | None = None
    rate_limit: int | None = None  # requests per minute
    tpm_limit: int | None = None  # tokens per minute
    monthly_budget_nano: int | None = None
    service_tier: str | None = None
    cache_ttl: str | None = None
    provider: str | None = None  # the place its requests go to; None: as routing says

    def changed(self, changes: dict[str, Any], *, now: int) -> KeyRecord:
        """The key with the named fields replaced; `ValueError` for a fixed or unknown one."""
        if refused := changes.keys() - CHANGEABLE:
            raise ValueError(f"a key has no changeable field {', '.join(sorted(refused))}")
        return msgspec.structs.replace(self, **changes, updated_at=now)

    def rotated(self, secret_hint: str, *, now: int) -> KeyRecord:
        """The key once a new secret belongs to it."""
        return msgspec.structs.replace(self, secret_hint=secret_hint, updated_at=now)


CHANGEABLE = frozenset(KeyRecord.__struct_fields__) - {
    "id",
    "secret_hint",
    "created_at",
    "updated_at",
}


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request that reached the model, told once. `id` is the request id."""

    id: str
    key_id: str
    at_ms: Moment  # epoch milliseconds when the request was admitted
    model: str  # as the client asked for it
    bedrock_model_id: str
    dialect: str
    stream: bool = False
    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_input_tokens: Count = 0
    cache_creation_input_tokens: Count = 0
    cache_creation_5m_input_tokens: Count = 0
    cache_creation_1h_input_tokens: Count = 0
    service_tier: str | None = None
    error: str | None = None  # Anthropic error type; None for a finished answer
    estimated: bool = False  # output tokens were estimated: the upstream never told them
    disconnected: bool = False  # the client left before the end
    latency_ms: Count = 0
    ttft_ms: Count | None = None  # time to first token
    cost_nano: Count | None = None  # None: not priced


class UsageTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over usage records that share the grouped-by columns; the others are None."""

    key_id: str | None = None
    model: str | None = None
    day: str | None = None  # UTC, YYYY-MM-DD
    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cost_nano: int | None = None  # None: none of the records is priced


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
    """A verdict on one beta flag, body field or service tier, over what models.toml says."""

    model: str  # Bedrock's id without a profile prefix, or `ANY`
    dialect: str  # or `ANY`
    kind: Literal["beta", "field", "tier"]
    name: str  # a flag; a dotted path with * for numbers; a tier
    allowed: bool
    source: Literal["learned", "operator"]  # learned: Bedrock refused it once
    updated_at: int
    reason: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What there is one verdict for: model, dialect, kind, name."""
        return (self.model, self.dialect, self.kind, self.name)


class ProviderRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A place to send requests to: a region, perhaps of another account."""

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
