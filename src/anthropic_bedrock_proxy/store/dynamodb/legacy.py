"""The predecessor's items as our records. Pure.

Decisions:
- A key's id is "key_" and 16 hex digits of the SHA-256 of its secret: the same in every process,
  without anything being written.
- `tpm_limit` was stored and never enforced; the default that every key got (100000) would now
  refuse requests that nobody meant to refuse, so only another number is a limit.
- A key that was put out of use for its budget is in use: our ledger decides, and it knows what was
  spent (`spending_of_key`).
- A key got the service tier "default" when nobody chose one, so it counts as no choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any, Final

import msgspec

from ...aws.dynamodb_values import Item
from ...money import NANO_PER_USD
from ..base.callers import KeyRecord
from ..base.catalog import PriceRecord
from ..base.ledger import TOTAL, Account, owner_of
from ..base.usage import UsageRecord
from ..secrets import ID_PREFIX, hash_secret, hint_of

HASHED: Final = "sha256:"
_DEFAULT_TPM: Final = 100_000
_CACHE_TTLS: Final = frozenset(("5m", "1h"))
_PROFILE_PREFIXES: Final = frozenset(
    ("us", "us-gov", "eu", "apac", "au", "ca", "jp", "sa", "me", "il", "global")
)
_MOST_MS: Final = 253_402_300_799_999


def is_secret(api_key: str) -> bool:
    """Tells whether the hash key of an item is a secret: neither a hash of ours nor a key id."""
    return not api_key.startswith(HASHED)


def key_id_of(secret: str) -> str:
    """Returns the id of a key of the predecessor."""
    return f"{ID_PREFIX}{hash_secret(secret).hex()[:16]}"


def key_of(item: Item) -> KeyRecord:
    """Converts an item of the api-keys table to a record."""
    secret: str = item["api_key"]
    created_at = _whole(item.get("created_at")) or 0
    active = item.get("is_active") is True
    reason = _text(item.get("deactivated_reason"))
    if not active and reason == "budget_exceeded":
        active = True
    tpm_limit = _whole(item.get("tpm_limit"))
    tier, ttl = _text(item.get("service_tier")), _text(item.get("cache_ttl"))
    return KeyRecord(
        id=key_id_of(secret),
        name=_text(item.get("name")) or _text(item.get("owner_name")) or "",
        secret_hint=hint_of(secret),
        created_at=created_at,
        updated_at=_whole(item.get("updated_at")) or created_at,
        user_id=_text(item.get("user_id")),
        is_active=active,
        deactivated_reason=None if active else reason,
        rate_limit=_whole(item.get("rate_limit")) or None,
        tpm_limit=None if tpm_limit in {0, _DEFAULT_TPM} else tpm_limit,
        monthly_budget_nano=nano(item.get("monthly_budget")) or None,
        service_tier=None if tier == "default" else tier,
        cache_ttl=ttl if ttl in _CACHE_TTLS else None,
    )


def spending_of_key(item: Item) -> Iterator[tuple[Account, int]]:
    """Yields (account, nano-dollars) for each month in which a key spent something, and in all."""
    owner = owner_of("key", key_id_of(item["api_key"]))
    for month, spent in dict(_months(item)).items():
        if spent:
            yield Account(owner, month), spent
    if total := nano(item.get("budget_used")):
        yield Account(owner, TOTAL), total


def _months(item: Item) -> Iterator[tuple[str, int]]:
    history = item.get("budget_history")
    try:
        months = msgspec.json.decode(history or "{}", type=dict[str, float | str])
    except (msgspec.MsgspecError, TypeError):
        months = {}
    for month, spent in months.items():
        yield month, nano(spent) or 0
    if this_month := _text(item.get("budget_mtd_month")):
        yield this_month, nano(item.get("budget_used_mtd")) or 0


def price_of(item: Item) -> PriceRecord | None:
    """Converts an item of the model-pricing table; None for a price that is not in use."""
    prices = [nano(item.get(name)) for name in ("input_price", "output_price")]
    if item.get("status", "active") != "active" or None in prices:
        return None
    return PriceRecord(
        model=without_profile(item["model_id"]),
        updated_at=_whole(item.get("updated_at")) or 0,
        input_nano=prices[0] or 0,
        output_nano=prices[1] or 0,
        cache_read_nano=nano(item.get("cache_read_price")),
        cache_write_nano=nano(item.get("cache_write_price")),
    )


def without_profile(model_id: str) -> str:
    """Returns a Bedrock id without the prefix of an inference profile."""
    head, _, rest = model_id.partition(".")
    return rest if head in _PROFILE_PREFIXES and rest else model_id


def is_legacy_row(row: Item) -> bool:
    """Tells whether a usage row is the predecessor's: its timestamp is nothing but a number."""
    return "#" not in row["timestamp"]


def usage_of(row: Item, key_id: str) -> UsageRecord:
    """Converts a usage row of the predecessor, which knew neither price nor dialect."""
    written = _whole(row.get("cache_write_input_tokens")) or 0
    for_an_hour = row.get("cache_ttl") == "1h"
    model = _text(row.get("model")) or ""
    at_ms = min(_whole(row["timestamp"]) or 0, _MOST_MS)
    return UsageRecord(
        id=usage_id_of(row, key_id, at_ms),
        key_id=key_id,
        at_ms=at_ms,
        model=model,
        bedrock_model_id="",
        dialect="",
        input_tokens=_whole(row.get("input_tokens")) or 0,
        output_tokens=_whole(row.get("output_tokens")) or 0,
        cache_read_input_tokens=_whole(row.get("cached_tokens")) or 0,
        cache_creation_input_tokens=written,
        cache_creation_5m_input_tokens=0 if for_an_hour else written,
        cache_creation_1h_input_tokens=written if for_an_hour else 0,
        error=None if row.get("success", True) else "api_error",
    )


def usage_id_of(row: Item, key_id: str, at_ms: int) -> str:
    """Makes a request id that sorts by its time, as ours do: records are paged by it."""
    theirs = f"{key_id} {row['timestamp']} {row.get('request_id')}"
    return f"req_{at_ms:011x}{sha256(theirs.encode()).hexdigest()[:16]}"


def nano(dollars: Any) -> int | None:
    """Converts dollars to nano-dollars; None for anything that is no amount."""
    if dollars is None or isinstance(dollars, bool):
        return None
    try:
        amount = Decimal(str(dollars)) * NANO_PER_USD
        return max(0, int(amount.to_integral_value()))
    except (InvalidOperation, ValueError, OverflowError):
        return None


def _whole(value: Any) -> int | None:
    """Reads a number that is not negative, also one written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    try:
        return max(0, int(Decimal(value)))
    except (InvalidOperation, ValueError, OverflowError):
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
