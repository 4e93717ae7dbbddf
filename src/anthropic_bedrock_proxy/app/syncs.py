"""The syncs that a worker runs by itself, as the settings enable them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..admin.call import counts
from ..config import Settings, SettingsError
from ..config.sections.sync import MAPPING_FLOOR_SECONDS, PRICE_PROVIDERS
from ..store.base.catalog import SyncedMappings, SyncedPrices
from ..store.base.store import Store
from .fetched import SyncError, fetch_text, shown_url
from .periodic import MachineTurn, PeriodicWork

if TYPE_CHECKING:
    from ..admin.api import AdminAPI
    from ..aws.resolver.resolver import Resolver

_HOUR: Final = 3600.0
_PRICES_SECONDS: Final = 300.0  # of one sync, with all its pages
_MOST_NAMES_BYTES: Final = 1 << 20
_STORE_SECONDS: Final = 30.0


def check_syncs(settings: Settings) -> None:
    """Raises `SettingsError` for syncs that could never be done."""
    sync, problems = settings.sync, []
    if sync.mapping_enabled and sync.mapping_url is None:
        problems.append(
            "MODEL_MAPPING_SYNC_ENABLED: there is nothing to fetch; set MODEL_MAPPING_SYNC_URL"
        )
    if unknown := sorted(set(sync.prices_providers).difference(PRICE_PROVIDERS)):
        problems.append(
            f"PRICING_SYNC_PROVIDERS: {', '.join(unknown)} is no provider of Bedrock's models; "
            f"they are {', '.join(PRICE_PROVIDERS)}"
        )
    if problems:
        raise SettingsError(problems)


def make_syncs(
    settings: Settings, store: Store, resolver: Resolver, regions: Callable[[], Iterable[str]]
) -> list[PeriodicWork]:
    """Makes the enabled syncs; `regions` are those of all providers, at the time of asking."""
    sync = settings.sync
    works = []

    @cache
    def api() -> AdminAPI:
        from .admin import build_admin  # noqa: PLC0415  # most workers never need it

        return build_admin(settings, store)

    if sync.prices_enabled:
        works.append(
            PeriodicWork(
                "the sync of prices",
                _Prices(settings, api, resolver, regions).sync,
                last_done=lambda: _synced_at(store.catalog.synced_prices),
                turn=_turn(settings, "prices"),
                interval_seconds=sync.prices_interval_hours * _HOUR,
                longest_seconds=_PRICES_SECONDS,
            )
        )
    if sync.mapping_enabled:
        works.append(
            PeriodicWork(
                "the sync of names of models",
                _Names(settings, api).sync,
                last_done=lambda: _synced_at(store.catalog.synced_mappings),
                turn=_turn(settings, "names"),
                interval_seconds=max(sync.mapping_interval_seconds, MAPPING_FLOOR_SECONDS),
                longest_seconds=sync.mapping_timeout_seconds + _STORE_SECONDS,
            )
        )
    return works


class _Prices:
    def __init__(
        self,
        settings: Settings,
        api: Callable[[], AdminAPI],
        resolver: Resolver,
        regions: Callable[[], Iterable[str]],
    ) -> None:
        self._settings = settings
        self._api = api
        self._resolver = resolver
        self._regions = regions

    async def sync(self) -> str:
        """Takes over the price list; returns what changed. Raises as `PeriodicWork` allows."""
        from .price_sync import take_prices  # noqa: PLC0415  # off by default

        settings = self._settings
        regions = {settings.aws.region, *self._regions()}
        taken = await take_prices(settings, self._resolver, regions, settings.sync.prices_url)
        body = {"source": taken.source, "text": taken.text}
        report = await _put(self._api(), "prices/synced", body)
        left_out = sum(taken.skipped.values())
        return (
            f"{report['rows']} rows of {report['source']}: {counts(report)}"
            f"{f', {left_out} entries left out' if left_out else ''}"
        )


class _Names:
    def __init__(self, settings: Settings, api: Callable[[], AdminAPI]) -> None:
        self._settings = settings
        self._api = api

    async def sync(self) -> str:
        """Takes over the names; returns what changed. Raises as `PeriodicWork` allows."""
        sync = self._settings.sync
        url = sync.mapping_url or ""  # which `check_syncs` refuses
        text = await fetch_text(
            self._settings,
            url,
            max_bytes=_MOST_NAMES_BYTES,
            timeout_seconds=sync.mapping_timeout_seconds,
        )
        try:
            names = msgspec.json.decode(text, type=dict[str, str])
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise SyncError(f"{shown_url(url)} is no JSON object of texts: {error}") from error
        body = {"source": shown_url(url), "mappings": names}
        report = await _put(self._api(), "models/mappings/synced", body)
        left_out = report["left_out"]
        unknown = f", left out as they cannot be routed here: {', '.join(left_out)[:500]}"
        return f"{report['mappings']} names: {counts(report)}{unknown if left_out else ''}"


async def _put(api: AdminAPI, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Runs an operation as `serve` itself, so that the audit log tells of it."""
    from ..admin.scopes import SCHEDULE  # noqa: PLC0415  # as above
    from ..admin.table import PREFIX  # noqa: PLC0415

    raw = msgspec.json.encode(body)
    _, report = await api.dispatch(SCHEDULE, "PUT", f"{PREFIX}{path}", {}, raw)
    found: Mapping[str, Any] = report
    return found


async def _synced_at(last: Callable[[], Awaitable[SyncedPrices | SyncedMappings | None]]) -> float:
    synced = await last()
    return 0.0 if synced is None else synced.synced_at


def _turn(settings: Settings, name: str) -> MachineTurn:
    own = settings.store.url.startswith("memory:")  # each process has a store of its own
    return MachineTurn(None if own else settings.store.data_path / f"sync-{name}")
