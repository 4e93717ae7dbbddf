"""The price list of `prices sync`, read here and now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import click

from ..app.bedrock import make_resolver, read_providers
from ..app.fetched import SyncError
from ..app.price_sync import TakenPrices, take_prices
from ..config import Settings, SettingsError


def taken(settings: Settings, regions: Iterable[str], source: str | None) -> TakenPrices:
    """Reads the list of `source`, else AWS's for `regions` and those of the settings.

    Raises `click.ClickException`.
    """

    async def read() -> TakenPrices:
        resolver = make_resolver(settings)
        own = [provider.region for provider in read_providers(settings).values()]
        used = [settings.aws.region, *own, *regions]
        try:
            return await take_prices(settings, resolver, used, source)
        finally:
            await resolver.close()

    try:
        return asyncio.run(read())
    except (SyncError, SettingsError) as error:
        raise click.ClickException(str(error)) from error
