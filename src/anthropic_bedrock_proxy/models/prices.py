"""The shipped prices, as data: prices.csv, read at the first question.

A row is a model at a place. `place` is the prefix of an inference profile (`global`, `us`, …), a
region (`eu-west-1`) or `mantle`; of a prefix and of `mantle` also as called from one region
(`global/eu-west-1`); empty where a model is called by its base id in a region that has no row of
its own. Amounts are US dollars per million tokens. An empty cell of a
cache or tier has the customary ratio to input and output (protocol/answer/cost.py); `long_*` hold
for a whole request whose prompt has more than 200,000 tokens.

    anthropic.claude-sonnet-4-5-20250929-v1:0,us,3.3,16.5,0.33,4.125,6.6,6.6,24.75,0.66,8.25,,,,,,

Source: LiteLLM's public price list of November 2026 (1.110.2), reduced to text models on Bedrock;
evidence of second rank, over which the operator's and synced prices stand.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from .geography import GOVERNMENT, WORLDWIDE, is_government, near, prefix_of

_PER: Final = 1_000_000
# Those of Bedrock have fewer signs. A line break in a name would be another row.
_MODEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_PLACE: Final = re.compile(r"[a-z0-9-]{0,40}(/[a-z0-9-]{1,40})?")
_SMALLEST, _LARGEST = -20, 6  # powers of ten, of dollars for a token or a million of them


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


CELLS: Final = Price.__struct_fields__[2:]  # all but the model and the place


class PriceList:
    """Prices by model and place."""

    def __init__(self, read: Callable[[], str]) -> None:
        """`read` returns the text of prices.csv; it is called once, when a price is asked for."""
        self._read = read
        self._rows: dict[str, dict[str, dict[str, str]]] | None = None

    def at(self, model: str, places: Sequence[str]) -> Price | None:
        """Returns the price of a base id at the first of `places` that is listed."""
        listed = self._by_model().get(model, {})
        return next((_price(listed[place]) for place in places if place in listed), None)

    def dearest(self, model: str, region: str) -> Price | None:
        """Returns the highest listed price of a base id, in the region's partition if it can."""
        listed = self._by_model().get(model)
        if not listed:
            return None
        government = is_government(region)
        rows = [row for place, row in listed.items() if government or GOVERNMENT not in place]
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


def find_price(
    lists: Sequence[PriceList], models: Sequence[str], dialect: str, region: str, *, called: str
) -> Price | None:
    """Finds what a model, under any of its base ids, costs that is called in a region as `called`.

    `called` is an id or ARN. The first list that has the place holds. A place that none has costs
    what the dearest one of the first list does that has the model, so that a budget is never
    overspent for it.
    """
    wanted = places(called, dialect, region)
    exact = (prices.at(model, wanted) for prices in lists for model in models)
    dearest = (prices.dearest(model, region) for prices in lists for model in models)
    return next((found for way in (exact, dearest) for found in way if found is not None), None)


def places(called: str, dialect: str, region: str) -> Sequence[str]:
    """Lists the places whose price may hold, best first.

    The profile of a geography costs what its model costs in the region that calls it. Source:
    Amazon Bedrock user guide, "Increase throughput with cross-Region inference".
    """
    if dialect == "mantle":  # dearer than elsewhere, as profiles of a geography are
        return (f"mantle/{region}", "mantle", *near(region), region)
    if prefix := prefix_of(called):
        own = (f"{prefix}/{region}", prefix)
        return own if prefix == WORLDWIDE else (*own, region)
    if called.startswith("arn:"):  # an application profile: what it is a copy of is not told
        return ()
    return (region, "")


def wider(place: str) -> Sequence[str]:
    """Lists a place of a price and those that stand for it where it has no row, nearest first."""
    within, _, region = place.rpartition("/")
    return (place, within) if within else (place, *near(region))


def cells_of(price: Price) -> dict[str, str]:
    """Returns the cells of a price as `written` takes them: without its model and place."""
    return {name: f"{cell:f}" for name in CELLS if (cell := getattr(price, name)) is not None}


def written(rows: Mapping[tuple[str, str], Mapping[str, str]]) -> str:
    """Writes cells by (model, place) in the form of prices.csv."""
    table = io.StringIO()
    writer = csv.DictWriter(table, Price.__struct_fields__, restval="", lineterminator="\n")
    writer.writeheader()
    for model, place in sorted(rows):
        writer.writerow({"model": model, "place": place, **rows[model, place]})
    return table.getvalue()


def is_row_of(model: str, place: str) -> bool:
    """Tells whether a model and a place of somebody else's may be those of a row."""
    return bool(_MODEL.fullmatch(model) and _PLACE.fullmatch(place))


def is_plausible(amount: Decimal) -> bool:
    """Tells whether a number of somebody else's may be an amount of dollars.

    1e-999999999 is short to type, and a billion characters when it is written out.
    """
    if not amount.is_finite() or amount.is_signed():
        return False
    return not amount or _SMALLEST <= amount.adjusted() <= _LARGEST


def is_price(cell: str, amount: Decimal) -> bool:
    """Tells whether a number of somebody else's may stand in a cell.

    0 stands in public lists for what nobody knows, and no budget would count it; only caches may be
    free.
    """
    return is_plausible(amount) and (bool(amount) or "cache" in cell)


def per_million(amount: Decimal, tokens: int) -> str:
    """Writes a price of so many tokens as that of a million, exactly."""
    return f"{(amount * _PER / tokens).normalize():f}"


def _price(row: dict[str, str]) -> Price:
    cells = {name: cell for name, cell in row.items() if cell or name == "place"}
    return msgspec.convert(cells, Price, strict=False)
