"""The limits and budgets that keys, users and teams have in common, as bodies carry them.

A field that is left out stays as it is; null takes it away.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..money import nano
from . import patterns
from .validation import field

Limit = Annotated[int, Meta(ge=1, le=10**12)]
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=patterns.SOMETHING)]
# Names of keys and owners: what a header, a log line and a path can carry.
Id = Annotated[str, Meta(min_length=1, max_length=128, pattern=patterns.VISIBLE)]


class AllowanceBody(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The fields of `Allowance` in a body, money in USD."""

    rate_limit: Limit | UnsetType | None = UNSET
    tpm_limit: Limit | UnsetType | None = UNSET
    input_tpm_limit: Limit | UnsetType | None = UNSET
    output_tpm_limit: Limit | UnsetType | None = UNSET
    concurrency_limit: Limit | UnsetType | None = UNSET
    monthly_budget_usd: Decimal | UnsetType | None = UNSET
    daily_budget_usd: Decimal | UnsetType | None = UNSET
    total_budget_usd: Decimal | UnsetType | None = UNSET


def changes(body: msgspec.Struct) -> dict[str, Any]:
    """Returns the fields that were given, money in nano-dollars. Raises `InvalidRequestError`."""
    found: dict[str, Any] = {}
    for name, value in msgspec.structs.asdict(body).items():
        if value is UNSET:
            continue
        if name.endswith("_usd"):
            amount = None if value is None else field(name, nano, value)
            found[f"{name.removesuffix('_usd')}_nano"] = amount
        elif name == "name":
            found[name] = value.strip()
        else:
            found[name] = value
    return found
