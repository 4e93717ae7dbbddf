"""The records of callers: API keys, users and teams, and what they may use.

Keys and owners name each other in both of their ports, so their records stand here, below both. A
key's secret is in none of them.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

OwnerKind = Literal["user", "team"]


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

    kind: OwnerKind
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
# The fields of a key that are lists: empty, never None.
LISTS = ("allowed_models", "allowed_tools", "allowed_networks", "admin_scopes")
