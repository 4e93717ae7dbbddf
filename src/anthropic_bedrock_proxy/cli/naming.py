"""Keys, users and teams by what people call them: an id, or a name that only one has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import click

from .client import Admin, pages
from .wire import UnknownIdError, segment

_PAGE: Final = 1000
_KEY_ID: Final = re.compile(r"key_[0-9a-z]{16}")


def call_one(
    client: Admin,
    method: str,
    kinds: str,
    text: str,
    path: str = "",
    *,
    body: Mapping[str, Any] | None = None,
) -> Any:
    """Calls an operation with `text` as an id; if there is none, with the id of what is named so.

    `kinds` is "keys", "users" or "teams"; `path` has {} for the id, and is KINDS/{} if it is empty.
    Raises `click.ClickException`.
    """

    def call(identifier: str) -> Any:
        return client.call(method, (path or f"{kinds}/{{}}").format(segment(identifier)), body=body)

    try:
        return call(text)
    except UnknownIdError as unknown:
        found = _id_of(client, kinds, text, otherwise=unknown)
    return call(found)


def id_for_filter(client: Admin, kinds: str, text: str) -> str:
    """Returns the id that a filter means: `text` is one, or names one; else `text` as it is.

    An id of the past is none that is listed. Raises `click.ClickException` for a name of several.
    """
    if kinds == "keys" and _KEY_ID.fullmatch(text):
        return text  # not worth a look at every key
    try:
        found = _listed(client, kinds)
    except click.ClickException:
        return text  # who may read usage need not be one who may read keys
    if any(row["id"] == text for row in found):
        return text
    return _only(kinds, text, found) or text


def _id_of(client: Admin, kinds: str, text: str, *, otherwise: UnknownIdError) -> str:
    try:
        rows = _listed(client, kinds)
    except click.ClickException:  # who may change keys need not be one who may read them
        raise otherwise from None
    found = _only(kinds, text, rows)
    if found is None:
        kind = kinds.removesuffix("s")
        raise click.ClickException(f"{otherwise.message}, and no {kind} is named so") from None
    return found


def _only(kinds: str, name: str, rows: list[dict[str, Any]]) -> str | None:
    ids = [str(row["id"]) for row in rows if row["name"] == name]
    if len(ids) > 1:
        raise click.ClickException(f"{len(ids)} {kinds} are named {name}: {', '.join(ids)}")
    return ids[0] if ids else None


def _listed(client: Admin, kinds: str) -> list[dict[str, Any]]:
    if kinds == "keys":
        return list(pages(client, kinds, kinds, limit=_PAGE))
    found: list[dict[str, Any]] = client.call("GET", kinds)[kinds]
    return found
