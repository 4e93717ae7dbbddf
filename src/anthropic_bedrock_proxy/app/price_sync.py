"""The price lists that can be taken over: AWS's own, or one in LiteLLM's public format."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from ..aws_errors import NO_CREDENTIALS, UpstreamRefusal
from ..config import Settings
from ..models.aws_price_list import PRICE_LIST_SERVICES, completed, read_aws_prices
from ..models.prices import PriceList, cells_of, written
from ..models.public_list import PublicListError, read_public_list
from ..redaction import redact
from .bedrock import make_wiring
from .fetched import SyncError, fetch_text, shown_url
from .models import load_model_table, load_prices

if TYPE_CHECKING:
    from ..aws.resolver.resolver import Resolver

_MOST_BYTES: Final = 32 << 20
_FETCH_SECONDS: Final = 60.0
AWS_SOURCE: Final = "AWS Price List"
_NEEDS_KEYS: Final = (
    "The AWS Price List API takes AWS keys only, no Amazon Bedrock API key: give the proxy some "
    "that may pricing:GetProducts, or sync from a file or URL"
)


class TakenPrices(msgspec.Struct, frozen=True, kw_only=True):
    """A price list in the form of prices.csv, where it came from, and what of it was left out.

    `examples` are a few names by reason.
    """

    source: str
    text: str
    skipped: Mapping[str, int] = {}
    examples: Mapping[str, Sequence[str]] = {}


async def take_prices(
    settings: Settings, resolver: Resolver, regions: Iterable[str], source: str | None
) -> TakenPrices:
    """Reads a list from a file or URL, or AWS's own for some regions. Raises `SyncError`."""
    if source is None:
        taken = await _from_aws(settings, resolver, sorted(set(regions)))
    else:
        text = await _text_of(settings, source)
        try:
            # In a thread, here and below: a worker that serves has no time for thousands of rows.
            listed = await asyncio.to_thread(read_public_list, text, settings.sync.prices_providers)
        except PublicListError as error:
            raise SyncError(f"{shown_url(source)} is no price list: {error}") from error
        taken = TakenPrices(source=shown_url(source), text=listed)
    if settings.sync.prices_create_missing:
        return taken
    return msgspec.structs.replace(taken, text=await asyncio.to_thread(_known, taken.text))


async def _text_of(settings: Settings, source: str) -> str:
    if "://" in source:
        return await fetch_text(
            settings, source, max_bytes=_MOST_BYTES, timeout_seconds=_FETCH_SECONDS
        )
    try:
        found = await asyncio.to_thread(_beginning, Path(source))
        if len(found) > _MOST_BYTES:
            raise SyncError(f"{source} is longer than {_MOST_BYTES >> 20} MB")
        return found.decode("utf-8")
    except (OSError, ValueError) as error:
        raise SyncError(f"{source} cannot be read: {error}") from error


def _beginning(path: Path) -> bytes:
    """Reads a file, of a device that never ends only so much that one sees it is too long."""
    with path.open("rb") as file:
        return file.read(_MOST_BYTES + 1)


async def _from_aws(settings: Settings, resolver: Resolver, regions: Sequence[str]) -> TakenPrices:
    api = make_wiring(settings, resolver).price_list(settings.aws.pricing_endpoint_url)
    entries: list[str] = []
    try:
        for region in regions:
            for service in PRICE_LIST_SERVICES:
                entries += await api.products(service, region)
    except UpstreamRefusal as refusal:
        why = redact(str(refusal))
        hint = f". {_NEEDS_KEYS}" if refusal.code == NO_CREDENTIALS else ""
        raise SyncError(f"the AWS Price List API gave no prices: {why}{hint}") from refusal
    finally:
        await api.close()
    return await asyncio.to_thread(_understood, entries, regions)


def _understood(entries: Sequence[str], regions: Sequence[str]) -> TakenPrices:
    found = read_aws_prices(entries, load_model_table())
    if not found.rows:
        raise SyncError(
            f"of {len(entries)} entries of the AWS price list for {', '.join(regions)} none is "
            "understood as a price of a known model"
        )
    return TakenPrices(
        source=AWS_SOURCE,
        text=completed(found.text, load_prices()),
        skipped=found.skipped,
        examples=found.examples,
    )


def _known(text: str) -> str:
    """Leaves out the models that the shipped list does not have. Raises `SyncError`."""
    shipped = {price.model for price in load_prices()}
    listed = PriceList(lambda: text)
    rows = {
        (price.model, price.place): cells_of(price) for price in listed if price.model in shipped
    }
    if not rows:
        raise SyncError(
            "it has no model of the shipped list, and PRICING_SYNC_CREATE_MISSING=false"
        )
    return written(rows)
