"""Prices: the shipped ones, and the operator's over them. USD per million tokens."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..errors import InvalidRequestError, NotFoundError
from ..models.geography import base_model_id
from ..models.prices import Price, PriceList
from ..models.registry import Registry
from ..money import nano, nano_rounded_up, nano_rounded_up_or_none
from ..store.base.catalog import ANY, PriceRecord
from . import patterns
from .call import AdminCall, Change, Nothing, known_models
from .documents import document, recorded
from .moments import moment_ms, timestamp
from .validation import field

Region = Annotated[str, Meta(pattern=patterns.PRICE_REGION)]
# Short enough for the key of an item in any store: DynamoDB takes 1 KB of UTF-8.
ModelName = Annotated[str, Meta(min_length=1, max_length=200, pattern=patterns.NO_SPACES)]


class PriceQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A query of prices; `model`: only that one's, by any of its names."""

    model: str | None = None


class NewPrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price to set; amounts left out have Anthropic's ratio to `input_usd`."""

    model: ModelName
    input_usd: Decimal
    output_usd: Decimal
    cache_read_usd: Decimal | None = None
    cache_write_usd: Decimal | None = None
    cache_write_1h_usd: Decimal | None = None
    region: Region = ANY
    valid_from: str | None = None
    valid_until: str | None = None


class PriceKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key of one of the operator's prices; without `valid_from`, the one valid since ever."""

    model: ModelName
    region: Region = ANY
    valid_from: str | None = None


async def list_(call: AdminCall[Nothing, PriceQuery]) -> dict[str, Any]:
    """Lists the operator's prices, then those of the last sync and the shipped ones, as they hold.

    Of a model and place that several lists have, the first row holds.
    """
    catalog = call.store.catalog
    rows = [_set(price) for price in await catalog.prices()]
    if (synced := await catalog.synced_prices()) is not None:
        at = timestamp(synced.synced_at)
        rows += [_listed(price, "synced", at) for price in PriceList(lambda: synced.text)]
    rows += [_listed(price, "shipped", None) for price in call.site.prices]
    if (wanted := call.query.model) is not None:
        model = (await known_models(call)).names.behind(wanted)
        names = {wanted, base_model_id(wanted)}
        names.update((model.id, model.bedrock, *model.aliases) if model else ())
        rows = [row for row in rows if base_model_id(row["model"]) in names]
    return {"prices": rows}


async def set_(call: AdminCall[NewPrice, Nothing]) -> Change:
    """Adds a price, or replaces the one with the same model, region and beginning."""
    body = call.body
    _check_model(await known_models(call), body.model)
    valid_from = _moment("valid_from", body.valid_from) or 0
    valid_until = _moment("valid_until", body.valid_until)
    if valid_until is not None and valid_until <= valid_from:
        raise InvalidRequestError("valid_until: the price ends before it begins")
    price = PriceRecord(
        model=body.model,
        updated_at=call.now,
        region=body.region,
        valid_from=valid_from,
        valid_until=valid_until,
        input_nano=field("input_usd", nano, body.input_usd),
        output_nano=field("output_usd", nano, body.output_usd),
        cache_read_nano=_amount("cache_read_usd", body.cache_read_usd),
        cache_write_nano=_amount("cache_write_usd", body.cache_write_usd),
        cache_write_1h_nano=_amount("cache_write_1h_usd", body.cache_write_1h_usd),
    )
    before = await _stored(call, price.key)
    await call.store.catalog.put_price(price)
    return Change(
        document=_set(price),
        object=price.model,
        before=recorded(before) if before else None,
        after=recorded(price),
    )


async def remove(call: AdminCall[Nothing, PriceKey]) -> Change:
    """Forgets a price of the operator's; the shipped one holds again."""
    query = call.query
    valid_from = _moment("valid_from", query.valid_from) or 0
    key = (query.model, query.region, valid_from)
    before = await _stored(call, key)
    if before is None or not await call.store.catalog.remove_price(key):
        raise NotFoundError(f"no price of {query.model} was set for this region and beginning")
    return Change(
        document={**document(before), "removed": True}, object=before.model, before=recorded(before)
    )


async def _stored(call: AdminCall[Any, Any], key: tuple[str, str, int]) -> PriceRecord | None:
    prices = await call.store.catalog.prices()
    return next((price for price in prices if price.key == key), None)


def _check_model(registry: Registry, name: str) -> None:
    """Raises `InvalidRequestError` for a name whose price would never be looked up."""
    if registry.names.find(name) is not None:
        return
    if name in registry.names.mapping:
        raise InvalidRequestError(
            f"model: {name} stands for {registry.names.mapping[name]}; give that its price"
        )
    try:
        registry.route(name)
    except NotFoundError as error:
        raise InvalidRequestError(
            f"model: {name[:200]} is no model that can be routed{registry.names.did_you_mean(name)}"
        ) from error


def _moment(name: str, text: str | None) -> int | None:
    return None if text is None else field(name, moment_ms, text) // 1000


def _amount(name: str, amount: Decimal | None) -> int | None:
    return None if amount is None else field(name, nano, amount)


def _set(price: PriceRecord) -> dict[str, Any]:
    """Renders a price of the operator's."""
    return {**document(price), "place": "", "source": "store"}


def _listed(price: Price, source: str, updated_at: str | None) -> dict[str, Any]:
    """Renders a price of a list in the shape of the operator's."""
    record = PriceRecord(
        model=price.model,
        updated_at=0,
        input_nano=nano_rounded_up(price.input),
        output_nano=nano_rounded_up(price.output),
        cache_read_nano=nano_rounded_up_or_none(price.cache_read),
        cache_write_nano=nano_rounded_up_or_none(price.cache_write),
        cache_write_1h_nano=nano_rounded_up_or_none(price.cache_write_1h),
    )
    own = {"place": price.place, "updated_at": updated_at, "source": source}
    return {**document(record), **own}
