"""Records for the conformance suite of the stores.

Ids of usage records grow with their time, and a writer's batches are numbered in order, as in
production: a store may build on both.
"""

from __future__ import annotations

import itertools

from anthropic_bedrock_proxy.store.base.audit import AuditRecord
from anthropic_bedrock_proxy.store.base.callers import KeyRecord, OwnerRecord
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.secrets import hash_secret

DAY_MS = 86_400_000


NOVEMBER_30 = 1_795_996_800_000  # 2026-11-30T00:00Z in milliseconds


_numbers = itertools.count(1)


def a_key(**fields) -> KeyRecord:
    return KeyRecord(
        **{"id": "key_1", "name": "n", "secret_hint": "sk-...aaaa", "created_at": 10}
        | {"updated_at": 10}
        | fields
    )


def an_owner(kind: str = "user", identity: str = "u", **fields) -> OwnerRecord:
    return OwnerRecord(
        **{"kind": kind, "id": identity, "name": "n", "created_at": 1, "updated_at": 1} | fields
    )


def a_record(identity: str, **fields) -> UsageRecord:
    return UsageRecord(
        **{"id": identity, "key_id": "key_1", "at_ms": 1000, "model": "m", "dialect": "invoke"}
        | {"bedrock_model_id": "b"}
        | fields
    )


def batch(*records: UsageRecord, writer: str = "w") -> UsageBatch:
    """The next batch of a writer."""
    return UsageBatch(records, writer, next(_numbers))


def a_change(identity: str, **fields) -> AuditRecord:
    return AuditRecord(
        **{"id": identity, "at_ms": 1, "actor": "cli", "action": "keys.create", "object": "key_1"}
        | fields
    )


def digest(secret: str) -> bytes:
    return hash_secret(secret)


ALLOWANCE = {
    "rate_limit": 60,
    "tpm_limit": 10**9,
    "input_tpm_limit": 1,
    "output_tpm_limit": 2,
    "concurrency_limit": 3,
    "monthly_budget_nano": 2**62,
    "daily_budget_nano": 4,
    "total_budget_nano": 2**63 - 1,
}


class Refused(Exception):  # noqa: N818  # what a judge raises is its own
    """What the judges here raise."""


def standings(store, owner="key:key_1", now=0):
    return store.ledger.standings(owner, now=now)
