"""A public price list against the prices that hold, and its way here, for `prices sync`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import click

from ..models.prices import PriceList
from .values import usd_text

_MOST_BYTES: Final = 32 << 20
_SECONDS: Final = 30.0
_NAMES: Final = ("input", "output", "cache_read", "cache_write", "cache_write_1h")


def text_of(source: str) -> str:
    """Reads a list from a file or a URL. Raises `click.ClickException`."""
    scheme = urlsplit(source).scheme
    if scheme == "https":
        return _fetched(source)
    if scheme == "http":
        raise click.ClickException("a price list is fetched by https only")
    try:
        return Path(source).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{source} cannot be read: {error}") from error


def _fetched(url: str) -> str:
    try:
        with urlopen(Request(url), timeout=_SECONDS) as answer:  # noqa: S310  # https, see above
            body: bytes = answer.read(_MOST_BYTES + 1)
    except (URLError, OSError, ValueError) as error:
        raise click.ClickException(f"{url} cannot be fetched: {error}") from error
    if len(body) > _MOST_BYTES:
        raise click.ClickException(f"{url} has more than {_MOST_BYTES >> 20} MiB")
    return body.decode("utf-8", "replace")


def compared(table: str, rows: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Tells how a list differs from the synced and shipped `rows` of `GET prices`, in words."""
    held: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:  # the first of a model and place holds
        if row["source"] != "store":
            held.setdefault((row["model"], row["place"]), row)
    report: dict[str, list[str]] = {"new": [], "changed": [], "gone": []}
    seen = set()
    for price in PriceList(lambda: table):
        key = (price.model, price.place)
        seen.add(key)
        name = " ".join(key).rstrip()
        if key not in held:
            report["new"].append(name)
            continue
        was = {one: held[key][f"{one}_usd"] for one in _NAMES}
        now = {one: getattr(price, one) for one in _NAMES}
        differing = [one for one in _NAMES if _amount(was[one]) != _amount(now[one])]
        if differing:
            words = [f"{one} {usd_text(was[one])} -> {usd_text(now[one])}" for one in differing]
            report["changed"].append(f"{name}: {', '.join(words)}")
    report["gone"] = [" ".join(key).rstrip() for key in sorted(held.keys() - seen)]
    return report


def _amount(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))
