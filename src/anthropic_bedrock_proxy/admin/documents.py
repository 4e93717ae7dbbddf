"""Records as the documents that operators see, and as the audit log keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..money import usd
from ..store.base.callers import Allowance
from .moments import timestamp

SECRET_FIELDS: Final = frozenset(("encrypted_credentials",))
_FIRST: Final = ("id", "name")
_LAST: Final = Allowance.__struct_fields__
_MOMENTS: Final = ("_at", "valid_from", "valid_until")


def document(record: msgspec.Struct) -> dict[str, Any]:
    """Renders a record for people and programs: times as ISO-8601, money in USD, no secrets."""
    return shown(recorded(record))


def recorded(record: msgspec.Struct) -> dict[str, Any]:
    """Renders a record as plain values, for the audit log: exact, and without secrets."""
    fields = msgspec.structs.asdict(record)
    names: list[str] = [name for name in _FIRST if name in fields]
    names += [name for name in fields if name not in (*_FIRST, *_LAST, *SECRET_FIELDS)]
    names += [name for name in _LAST if name in fields]
    plain: dict[str, Any] = msgspec.to_builtins({name: fields[name] for name in names})
    return plain


def shown(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Renders plain values of `recorded` with times as ISO-8601 and money in USD."""
    fields: dict[str, Any] = {}
    for name, value in plain.items():
        if name.endswith("_nano"):
            fields[f"{name.removesuffix('_nano')}_usd"] = usd(value)
        elif name == "valid_from" and not value:
            fields[name] = None  # valid since ever
        elif name.endswith(_MOMENTS):
            fields[name] = timestamp(value)
        else:
            fields[name] = value
    return fields
