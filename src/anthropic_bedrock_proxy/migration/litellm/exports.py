"""Answers of LiteLLM's API as they were saved: /key/list, /team/list and /user/list.

A listing comes in pages of 100 at most, so there may be several files of one kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from ..plan import MigrationError
from ..shape import entries, mapping, whole

_TOTALS: Final = ("total_count", "total")
_ASK: Final = {
    "keys": "/key/list?return_full_object=true&size=100&page=1",
    "teams": "/team/list",
    "users": "/user/list?page_size=100&page=1",
}
_ID: Final = {"keys": "token", "teams": "team_id", "users": "user_id"}


class LiteLLMExports(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of each kind, in the order of the files."""

    keys: Sequence[Mapping[str, Any]] = ()
    teams: Sequence[Mapping[str, Any]] = ()
    users: Sequence[Mapping[str, Any]] = ()


def read_rows(documents: Iterable[Any], kind: str) -> list[Mapping[str, Any]]:
    """Returns the rows of a kind: "keys", "teams" or "users". Raises `MigrationError`."""
    rows: list[Mapping[str, Any]] = []
    total = 0
    for document in documents:
        listed = document
        if isinstance(document, dict):
            if "error" in document:
                raise MigrationError(f"{kind}: the file holds an error that LiteLLM answered")
            listed = document.get(kind)
            if listed is None:
                raise MigrationError(f"{kind}: there is no {kind}; save the answer of {_ASK[kind]}")
            total = max(total, *(whole(document.get(name) or 0, name) for name in _TOTALS))
        for number, row in enumerate(entries(listed, kind)):
            if isinstance(row, str):
                raise MigrationError(
                    f"{kind}[{number}]: only a hash; save the answer of {_ASK[kind]}"
                )
            rows.append(mapping(row, f"{kind}[{number}]"))
    if more := len(rows) - len({str(row.get(_ID[kind])) for row in rows}):
        raise MigrationError(f"{kind}: {more} of {len(rows)} are there twice; save each page once")
    if len(rows) < total:
        raise MigrationError(
            f"{kind}: {len(rows)} of {total}; save the pages that follow {_ASK[kind]}, too"
        )
    return rows
