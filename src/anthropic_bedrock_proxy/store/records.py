"""The rows that the stores keep. Pure values; money is integer nano-dollars, times are UTC epochs."""

from __future__ import annotations

import msgspec


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


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request that reached the model, told once. `id` is the request id."""

    id: str
    key_id: str
    at_ms: int  # epoch milliseconds when the request was admitted
    model: str  # as the client asked for it
    bedrock_model_id: str
    dialect: str
    stream: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_creation_5m_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0
    service_tier: str | None = None
    error: str | None = None  # Anthropic error type; None for a finished answer
    estimated: bool = False  # output tokens were estimated: the upstream never told them
    disconnected: bool = False  # the client left before the end
    latency_ms: int = 0
    ttft_ms: int | None = None  # time to first token
    cost_nano: int | None = None  # None: not priced


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
    cost_nano: int = 0
