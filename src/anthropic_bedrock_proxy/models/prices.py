"""The shipped prices, as data: prices.csv, read at the first question.

A row is a model at a place. `place` is the prefix of an inference profile (`global`, `us`, …), a
region (`eu-west-1`), `mantle` or `mantle/REGION`; empty where a model is called by its base id in a
region that has no row of its own. Amounts are US dollars per million tokens. An empty cell of a
cache or tier has the customary ratio to input and output (protocol/answer/cost.py); `long_*` hold
for a whole request whose prompt has more than 200,000 tokens.

    anthropic.claude-sonnet-4-5-20250929-v1:0,us,3.3,16.5,0.33,4.125,6.6,6.6,24.75,0.66,8.25,,,,,,

Source: LiteLLM's public price list of November 2026 (1.110.2), reduced to text models on Bedrock;
evidence of second rank, over which the operator's and synced prices stand.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from .geography import near, prefix_of

_GOVERNMENT: Final = "us-gov"


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars per million tokens. `cache_write` is for five minutes."""

    model: str  # base id
    place: str
    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    long_input: Decimal | None = None
    long_output: Decimal | None = None
    long_cache_read: Decimal | None = None
    long_cache_write: Decimal | None = None
    batch_input: Decimal | None = None
    batch_output: Decimal | None = None
    flex_input: Decimal | None = None
    flex_output: Decimal | None = None
    priority_input: Decimal | None = None
    priority_output: Decimal | None = None


class PriceList:
    """Prices by model and place."""

    def __init__(self, read: Callable[[], str]) -> None:
        """`read` returns the text of prices.csv; it is called once, when a price is asked for."""
        self._read = read
        self._rows: dict[str, dict[str, dict[str, str]]] | None = None

    def find(self, model: str, dialect: str, region: str, *, called: str) -> Price | None:
        """Finds the price of a base id that is called in a region as `called`: an id or ARN.

        A place that is not listed costs what the dearest listed one does, so that a budget is
        never overspent for it.
        """
        listed = self._by_model().get(model)
        if listed is None:
            return None
        for place in places(called, dialect, region):
            if place in listed:
                return _price(listed[place])
        government = region.startswith(_GOVERNMENT)
        rows = [row for place, row in listed.items() if government or _GOVERNMENT not in place]
        return max(map(_price, rows or listed.values()), key=lambda price: price.input)

    def __iter__(self) -> Iterator[Price]:
        for listed in self._by_model().values():
            yield from map(_price, listed.values())

    def _by_model(self) -> dict[str, dict[str, dict[str, str]]]:
        if self._rows is None:
            self._rows = {}
            for row in csv.DictReader(self._read().splitlines()):
                self._rows.setdefault(row["model"], {})[row["place"]] = row
        return self._rows


def places(called: str, dialect: str, region: str) -> Sequence[str]:
    """Lists the places whose price may hold, best first."""
    if dialect == "mantle":  # dearer than elsewhere, as profiles of a geography are
        return (f"mantle/{region}", "mantle", *near(region))
    if prefix := prefix_of(called):
        return (prefix,)
    if called.startswith("arn:"):  # an application profile: what it is a copy of is not told
        return ()
    return (region, "")


def _price(row: dict[str, str]) -> Price:
    cells = {name: cell for name, cell in row.items() if cell or name == "place"}
    return msgspec.convert(cells, Price, strict=False)
