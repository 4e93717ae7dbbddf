"""The models that the settings offer, and what the operator lays down for every request."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec import structs

from ..config import Settings, SettingsError
from ..gateway.failover.chains import parse_chains
from ..models.betas import BetaRules
from ..models.chain_gaps import chain_gaps
from ..models.prices import PriceList
from ..models.registry import Link, Registry, RoutingOptions
from ..models.table import ModelTable, parse_table
from ..protocol.request.policy import Guardrail, Policy
from ..upstream.provider import Provider
from .bedrock import read_providers

_MODELS: Final = Path(__file__).parents[1] / "models"


def load_model_table() -> ModelTable:
    """Loads the shipped models.toml, with lifecycles as they are today."""
    table = parse_table(tomllib.loads((_MODELS / "models.toml").read_text(encoding="utf-8")))
    today = datetime.now(UTC).date()
    models = [structs.replace(m, lifecycle=m.lifecycle_on(today)) for m in table.model]
    return structs.replace(table, model=tuple(models))


def load_prices() -> PriceList:
    """Returns the shipped prices.csv, which is read when a price is asked for."""
    return PriceList(lambda: (_MODELS / "prices.csv").read_text(encoding="utf-8"))


def make_registry(settings: Settings, regions: Mapping[str, str] | None = None) -> Registry:
    """Makes the registry of the configured region, with the operator's mapping and betas on top.

    `regions` are those of the providers beside the default one, now and later; without them,
    those of the settings. Raises `SettingsError`.
    """
    models = settings.models
    configured = read_providers(settings)
    if regions is None:
        regions = {name: provider.region for name, provider in configured.items()}
    return Registry(
        load_model_table(),
        RoutingOptions(
            region=settings.aws.region,
            providers=regions,
            chains=read_chains(settings, configured),
            mapping=models.default_model_mapping,
            dialects=models.model_dialects,
            geography=models.inference_geography,
        ),
        BetaRules(
            mapping=models.beta_header_mapping,
            passthrough=frozenset(models.beta_headers_passthrough),
            blocklist=frozenset(models.beta_headers_blocklist),
        ),
    )


def read_chains(
    settings: Settings, providers: Mapping[str, Provider]
) -> dict[str, tuple[Link, ...]]:
    """Reads FAILOVER_CHAINS, unless failover is off. Raises `SettingsError`."""
    if not settings.failover.enabled:
        return {}
    try:
        return parse_chains(settings.failover.chains, providers)
    except ValueError as error:
        problems = [f"FAILOVER_CHAINS, {line}" for line in str(error).splitlines()]
        raise SettingsError(problems) from error


def missing_targets(settings: Settings) -> list[str]:
    """Lists targets of FAILOVER_CHAINS that requests never reach; a line for each."""
    if not (settings.failover.enabled and settings.failover.chains):
        return []
    return [gap.line() for gap in chain_gaps(make_registry(settings))]


def make_policy(settings: Settings) -> Policy:
    """Makes the policy that the operator lays down for every request."""
    models = settings.models
    guardrail = None
    if models.guardrail_identifier is not None:
        guardrail = Guardrail(
            identifier=models.guardrail_identifier,
            version=models.guardrail_version,
            trace=models.guardrail_trace,
            stream_mode=models.guardrail_stream_mode,
        )
    return Policy(
        cache=models.prompt_caching_enabled,
        default_cache_ttl=models.default_cache_ttl,
        service_tier=models.default_service_tier,
        latency=models.performance_latency,
        guardrail=guardrail,
        drops_sampling=models.unsupported_sampling == "drop",
        forced_tools=models.forced_tools,
        request_metadata=models.request_metadata,
    )
