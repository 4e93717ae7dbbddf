"""The admin API over a store. Imported when it is first asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

from ..admin.api import AdminAPI
from ..admin.call import HeldPrices, Site
from ..config import Settings
from ..models.prices import PriceList
from ..models.registry import Registry
from ..store.base.catalog import ModelMapping
from ..store.base.store import Store
from ..store.sealing import Seal
from ..telemetry.request_log.reader import find
from .models import load_prices


def build_admin(settings: Settings, store: Store) -> AdminAPI:
    """The API over an open store."""
    models, failover = settings.models, settings.failover
    folder, prices = settings.store.requests_path, load_prices()
    site = Site(
        registry=_registry(settings),
        find_request=lambda request_id: asyncio.to_thread(
            find, folder, request_id, keep_seconds=settings.store.request_log_hours * 3600
        ),
        prices=prices,
        unpriced=partial(_unpriced, prices, settings.aws.region),
        refuses_unpriced=settings.budgets.unpriced_models == "refuse",
        seal=Seal(failover.encryption_secret),
        model_mapping=models.default_model_mapping,
        providers=failover.providers,
        betas_passed=models.beta_headers_passthrough,
        betas_blocked=models.beta_headers_blocklist,
        betas_mapped=models.beta_header_mapping,
    )
    return AdminAPI(store, site)


def _unpriced(
    shipped: PriceList,
    region: str,
    registry: Registry,
    held: HeldPrices,
    allowed_models: Sequence[str],
) -> list[str]:
    """Lists the names without a price in a region: see `Site.unpriced`."""
    from ..gateway.admission.pricing import Pricing  # noqa: PLC0415  # seldom needed
    from ..gateway.admission.unpriced import unpriced_names  # noqa: PLC0415

    pricing = Pricing(registry.names.behind, lambda _: region, shipped, now=time.time)
    pricing.replace_stored(held.own, held.synced)
    return list(unpriced_names(registry, pricing, allowed_models))


def _registry(
    settings: Settings,
) -> Callable[[Sequence[ModelMapping], Mapping[str, str]], Registry]:
    """Makes registries: the models as a running proxy would see them under some mappings."""

    @cache
    def base() -> Registry:
        from .models import make_registry  # noqa: PLC0415  # heavy

        return make_registry(settings)

    def under(mappings: Sequence[ModelMapping], fetched: Mapping[str, str]) -> Registry:
        # One for all, as nobody keeps it: every operation puts its own mappings in first.
        registry = base()
        registry.replace_stored(
            {mapping.alias: mapping.bedrock_id for mapping in mappings},
            {mapping.alias: mapping.dialect for mapping in mappings if mapping.dialect},
        )
        registry.replace_fetched(fetched)
        return registry

    return under
