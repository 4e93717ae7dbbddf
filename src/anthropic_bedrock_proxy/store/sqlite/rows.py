"""Rows of keys and owners as their records, and back."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from ..base.callers import LISTS, KeyRecord, OwnerRecord


def key_record(row: sqlite3.Row) -> KeyRecord:
    """Makes the record of a row of `keys`."""
    fields = dict(row)
    for name in LISTS:
        # Most keys have none of the lists, and every request that is not cached comes by here.
        fields[name] = () if fields[name] == "[]" else tuple(msgspec.json.decode(fields[name]))
    fields["is_active"] = bool(fields["is_active"])
    return KeyRecord(**fields)


def key_row(key: KeyRecord) -> dict[str, Any]:
    """Makes the row of `keys` for a record; a list is a JSON array there."""
    row = msgspec.structs.asdict(key)
    return row | {name: msgspec.json.encode(row[name]).decode() for name in LISTS}


def owner_record(row: sqlite3.Row) -> OwnerRecord:
    """Makes the record of a row of `owners`."""
    return OwnerRecord(**{**dict(row), "is_active": bool(row["is_active"])})
