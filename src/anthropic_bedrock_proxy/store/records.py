"""The rows that the stores keep: pure values.

Money is integer nano-dollars, times are UTC epochs. A key's secret is in none of them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

# Checked when a record is decoded: a number that no store column can hold, or not its sum over a
# batch, is refused there, so it cannot stand in the way of the records behind it.
MOST = 2**53 - 1
Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
Moment = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]  # ms; the year 9999 ends there


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """The amounts that a key, a user or a team may use; None: no limit of its own.

    Limits apply at every level that has one, so the narrowest wins.
    """

    rate_limit: int | None = None  # requests per minute
    tpm_limit: int | None = None  # tokens per minute, input and output together
    input_tpm_limit: int | None = None  # without cache reads, as Anthropic counts
    output_tpm_limit: int | None = None
    concurrency_limit: int | None = None  # requests at once
    monthly_budget_nano: int | None = None  # per calendar month, UTC
    daily_budget_nano: int | None = None  # per day, UTC
    total_budget_nano: int | None = None  # ever


class KeyRecord(Allowance, frozen=True, kw_only=True):
    """An API key. The secret itself is never stored: only its SHA-256, beside this record."""

    id: str  # "key_" + 16 characters; stays the same through rotations
    name: str
    secret_hint: str  # "sk-...wxyz", enough to recognise a secret by
    created_at: int  # epoch seconds, like every *_at of this record
    updated_at: int
    user_id: str | None = None
    team_id: str | None = None
    is_active: bool = True
    deactivated_reason: str | None = None
    expires_at: int | None = None
    service_tier: str | None = None
    cache_ttl: str | None = None
    provider: str | None = None  # where its requests go; None: as routing says
    allowed_models: tuple[str, ...] = ()  # patterns with *; empty: every model
    allowed_tools: tuple[str, ...] = ()  # patterns of a tool's type or name; empty: every tool
    allowed_networks: tuple[str, ...] = ()  # CIDR of clients; empty: from anywhere
    admin_scopes: tuple[str, ...] = ()  # what it may do on the admin API; empty: nothing

    def changed(self, changes: dict[str, Any], *, now: int) -> KeyRecord:
        """Returns the key with the named fields replaced.

        Raises `ValueError` for a fixed or unknown one.
        """
        if refused := changes.keys() - CHANGEABLE:
            raise ValueError(f"a key has no changeable field {', '.join(sorted(refused))}")
        return msgspec.structs.replace(self, **changes, updated_at=now)

    def rotated(self, secret_hint: str, *, now: int) -> KeyRecord:
        """Returns the key as it is once a new secret belongs to it."""
        return msgspec.structs.replace(self, secret_hint=secret_hint, updated_at=now)

    def names(self, kind: str, owner_id: str) -> bool:
        """Tells whether the key belongs to this user or team."""
        return (self.user_id if kind == "user" else self.team_id) == owner_id


class NewSecret(msgspec.Struct, frozen=True):
    """A new secret of a key: its 32-byte SHA-256 and its hint.

    Earlier secrets stop working `overlap_seconds` later, 0 meaning at once.
    """

    hash: bytes
    hint: str
    overlap_seconds: int = 0


class OwnerRecord(Allowance, frozen=True, kw_only=True):
    """A user or a team, whose keys share its limits and budgets."""

    kind: Literal["user", "team"]
    id: str  # what keys name it by
    name: str
    created_at: int  # epoch seconds, like every *_at of this record
    updated_at: int
    is_active: bool = True
    deactivated_reason: str | None = None

    def changed(self, changes: dict[str, Any], *, now: int) -> OwnerRecord:
        """Returns the owner with the named fields replaced.

        Raises `ValueError` for a fixed or unknown one.
        """
        if refused := changes.keys() - CHANGEABLE_OF_OWNERS:
            fields = ", ".join(sorted(refused))
            raise ValueError(f"a {self.kind} has no changeable field {fields}")
        return msgspec.structs.replace(self, **changes, updated_at=now)


class Caller(msgspec.Struct, frozen=True):
    """A key with its user and team, if they are recorded."""

    key: KeyRecord
    user: OwnerRecord | None = None
    team: OwnerRecord | None = None


CHANGEABLE = frozenset(KeyRecord.__struct_fields__) - {
    "id",
    "secret_hint",
    "created_at",
    "updated_at",
}
CHANGEABLE_OF_OWNERS = frozenset(OwnerRecord.__struct_fields__) - {
    "kind",
    "id",
    "created_at",
    "updated_at",
}


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One request that reached the model; `id` is the request id."""

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
    user_id: str | None = None
    team_id: str | None = None
    place: str = ""  # the provider that served it (as stored and exported); empty: the default one
    upstream_request_id: str | None = None  # as in the logs of AWS
    web_search_requests: Count = 0
    web_fetch_requests: Count = 0
    code_execution_requests: Count = 0


class UsageTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over usage records that share the grouped-by columns; the others are None."""

    day: str | None = None  # UTC, YYYY-MM-DD
    key_id: str | None = None
    user_id: str | None = None  # also None for records that have none
    team_id: str | None = None
    model: str | None = None
    requests: int = 0
    errors: int = 0
    estimated: int = 0
    disconnected: int = 0
    unpriced: int = 0  # requests that no price is known for
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_creation_5m_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0
    web_search_requests: int = 0
    web_fetch_requests: int = 0
    code_execution_requests: int = 0
    cost_nano: int | None = None  # None: none of the records is priced


class UsageBatch(msgspec.Struct, frozen=True):
    """Records that are delivered together, and again as the same batch if in doubt."""

    records: tuple[UsageRecord, ...]
    writer: str = ""  # the process that admitted the requests; it may hold budget for them
    number: int = 0  # grows with every batch of a writer, and is the same when it comes again
    # The last number of several batches that come as one. Only of what no store has ever seen: the
    # delivering process wrote it and tries for the first time. Afterwards they come one by one.
    through: int | None = None


class Account(msgspec.Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """An account that budgets are spent from: an owner in a period."""

    owner: str  # "key:<id>", "user:<id>" or "team:<id>"
    period: str  # "2026-11", "2026-11-23" (UTC) or "total"


class Standing(msgspec.Struct, frozen=True):
    """The money spent from an account by recorded usage, and the holds of processes beside it."""

    account: Account
    spent_nano: int = 0
    held_nano: int = 0  # of holds that have not lapsed


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


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One change by an operator: the actor, the object, its state before and after."""

    id: str  # in the order of time
    at_ms: Moment
    actor: str  # "master", "cli" or a key id
    action: str  # "keys.create"
    object: str  # what was changed: "key_…"
    before: dict[str, Any] | None = None  # never a secret
    after: dict[str, Any] | None = None


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
