"""The price list of the last sync: under the operator's prices, over the shipped ones."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from ..errors import InvalidRequestError
from ..models.prices import CELLS, Price, PriceList, is_price, is_row_of, wider
from ..store.base.catalog import SyncedPrices
from .call import AdminCall, Change, SyncQuery
from .moments import timestamp

_LONGEST_LIST: Final = 1 << 19  # characters; compressed it fits an item of DynamoDB


class NewPriceList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price list in the form of models/prices.csv, and where it came from."""

    source: Annotated[str, Meta(min_length=1, max_length=300)]
    text: Annotated[str, Meta(min_length=1, max_length=_LONGEST_LIST)]


async def sync(call: AdminCall[NewPriceList, SyncQuery]) -> Change | dict[str, Any]:
    """Replaces the price list of the last sync, and returns what changes by it.

    The operator's own prices stay over it. A list that says the same is no change to record.
    """
    body, catalog = call.body, call.store.catalog
    try:
        found = list(PriceList(lambda: body.text))
    except (KeyError, csv.Error, msgspec.ValidationError) as error:
        raise InvalidRequestError(f"text: not in the form of prices.csv: {error}") from error
    if not found:
        raise InvalidRequestError("text: it has no row")
    for price in found:
        _check(price)
    last = await catalog.synced_prices()
    before = [] if last is None else [PriceList(lambda: last.text)]
    report = {
        "source": body.source,
        "synced_at": timestamp(call.now),
        "rows": len(found),
        **_difference(before, call.site.prices, found),
        "stored": not call.query.dry_run,
    }
    if call.query.dry_run:
        return report
    await catalog.put_synced_prices(
        SyncedPrices(source=body.source, synced_at=call.now, text=body.text)
    )
    if last is not None and (last.source, last.text) == (body.source, body.text):
        return report
    return Change(
        document=report,
        object="prices",
        before={"source": last.source, "synced_at": last.synced_at} if last else None,
        after={"source": body.source, "synced_at": call.now, "rows": len(found)},
    )


def _check(price: Price) -> None:
    """Raises `InvalidRequestError` for what no request could be charged: below zero, no number.

    And for what is no model at a place.
    """
    if not is_row_of(price.model, price.place):
        raise InvalidRequestError(
            f"text: {price.model[:200]} {price.place[:50]}: no model and place of Bedrock's"
        )
    for name in CELLS:
        amount = getattr(price, name)
        if amount is not None and not is_price(name, amount):
            raise InvalidRequestError(
                f"text: {price.model[:200]} {price.place[:50]}: {name} is no amount of dollars"
            )


def _difference(
    synced: Sequence[PriceList], shipped: PriceList, found: Sequence[Price]
) -> dict[str, Any]:
    """Tells which rows are new, which differ from what holds today, and which of the last go.

    What goes falls back to the shipped list, or to a wider place.
    """
    new, changed = [], []
    for price in found:
        held = _held([*synced, shipped], price)
        about = {"model": price.model, "place": price.place}
        if held is None:
            new.append(about)
        elif cells := _cells(held, price):
            changed.append({**about, "cells": cells})
    kept = {(price.model, price.place) for price in found}
    gone = [
        {"model": price.model, "place": price.place}
        for prices in synced
        for price in prices
        if (price.model, price.place) not in kept
    ]
    return {"new": new, "changed": changed, "gone": gone}


def _held(lists: Sequence[PriceList], price: Price) -> Price | None:
    """Returns what a model costs at the place of a price, by the first list that says so."""
    places = wider(price.place)
    found = (prices.at(price.model, places) for prices in lists)
    return next((one for one in found if one is not None), None)


def _cells(held: Price, price: Price) -> Mapping[str, Any]:
    return {
        name: {"was_usd": getattr(held, name), "is_usd": getattr(price, name)}
        for name in CELLS
        if getattr(held, name) != getattr(price, name)
    }
