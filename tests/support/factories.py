"""The parts of a proxy as tests need them: each with everything that a test does not care about."""

from __future__ import annotations

import time

from deliveries import Delivered
from working import search_tools

from anthropic_bedrock_proxy.app.models import load_prices
from anthropic_bedrock_proxy.fetch.base import NoFetcher
from anthropic_bedrock_proxy.gateway.admission.admission import Admission
from anthropic_bedrock_proxy.gateway.admission.authenticator import Authenticator, KeyOptions
from anthropic_bedrock_proxy.gateway.admission.budgets import Budgets
from anthropic_bedrock_proxy.gateway.admission.holds import Holds
from anthropic_bedrock_proxy.gateway.admission.lease import Counters
from anthropic_bedrock_proxy.gateway.admission.pricing import Pricing
from anthropic_bedrock_proxy.gateway.admission.rate_limits import LimitOptions, RateLimits
from anthropic_bedrock_proxy.gateway.answer.pacing import Pacing
from anthropic_bedrock_proxy.gateway.counting import Counting
from anthropic_bedrock_proxy.gateway.failover.failover import Failover
from anthropic_bedrock_proxy.gateway.messages import Messages
from anthropic_bedrock_proxy.gateway.model_list import ModelList
from anthropic_bedrock_proxy.gateway.overrides.overrides import Overrides
from anthropic_bedrock_proxy.gateway.sources import Sources
from anthropic_bedrock_proxy.http.admin import AdminRoutes
from anthropic_bedrock_proxy.http.anthropic.encoder import ANTHROPIC
from anthropic_bedrock_proxy.http.anthropic.files import FilesAPI
from anthropic_bedrock_proxy.http.anthropic.handlers import MessagesAPI
from anthropic_bedrock_proxy.http.application import Application
from anthropic_bedrock_proxy.http.authentication import Authentication
from anthropic_bedrock_proxy.http.docs_page import DocsPage
from anthropic_bedrock_proxy.http.health import Health
from anthropic_bedrock_proxy.http.metrics import MetricsRoutes
from anthropic_bedrock_proxy.http.sandbox_health import SandboxHealth
from anthropic_bedrock_proxy.http.search_health import SearchHealth
from anthropic_bedrock_proxy.limits.memory import MemoryLimiter
from anthropic_bedrock_proxy.protocol.request.policy import DEFAULT_POLICY
from anthropic_bedrock_proxy.store.memory.store import MemoryStore


def make_counters(
    recorder, registry, *, monotonic, store=None, limits=None, holds=False, serves_unpriced=True
) -> Counters:
    """No limits, no budgets spent, every price of the shipped table.

    `recorder` has an `append`; `limits` are `LimitOptions`.
    """
    ledger = (store or MemoryStore()).ledger
    pricing = Pricing(registry.names.behind, lambda _: "us-east-1", load_prices(), now=time.time)
    return Counters(
        recorder,
        pricing,
        RateLimits(MemoryLimiter(), limits or LimitOptions(enabled=False), now=time.time),
        Budgets(ledger, Delivered("w"), now=time.time, monotonic=monotonic),
        Holds("max" if holds else "off", pricing),
        monotonic,
        serves_unpriced,
    )


def make_messages(upstreams, registry, counters, *, monotonic, **parts) -> Messages:
    """Messages on `upstreams` (by provider); `parts` are those that differ from the usual."""
    usual = {
        "failover": Failover(monotonic=monotonic),
        "admission": Admission(counters),
        "pacing": Pacing(),
        "overrides": Overrides(registry.betas.needed_for),
        "sources": Sources(NoFetcher()),
        "resolve_profile": None,
        "policy": DEFAULT_POLICY,
        "toolset": search_tools(),
    }
    return Messages(upstreams=upstreams, registry=registry, monotonic=monotonic, **(usual | parts))


def make_counting(
    upstreams, registry, counters=None, *, monotonic, fetcher=None, toolset=None
) -> Counting:
    """Counts of tokens; without `counters`, for nobody who has limits."""
    sources = Sources(fetcher or NoFetcher())
    tools = toolset or search_tools()
    return Counting(upstreams, registry, sources, Admission(counters), tools, monotonic=monotonic)


def make_authentication(
    store, options, *, monotonic=time.monotonic, trusted_networks=()
) -> Authentication:
    """Authentication by the keys of a store and `options` (`KeyOptions`)."""
    return Authentication(
        Authenticator(store.keys, options, monotonic=monotonic, now=time.time),
        key_header=options.header,
        trusted_networks=trusted_networks,
    )


async def no_metrics(_) -> tuple[bytes, str]:
    """Renders no metrics."""
    return b"", "text/plain"


def make_routes(
    authentication=None,
    *,
    messages=None,
    counting=None,
    registry=None,
    health=None,
    sandbox_health=None,
    search_health=None,
    files=None,
    render_metrics=no_metrics,
    content=(),
    budget_status="auto",
    max_file_bytes=1 << 20,
    max_body_bytes=1 << 25,
    build_admin=None,
    admin_authentication=None,
):
    """Every route that the proxy serves; those of the admin API with `build_admin` alone."""
    authentication = authentication or make_authentication(MemoryStore(), KeyOptions())
    api = MessagesAPI(
        messages,
        counting,
        ModelList(registry),
        authentication,
        max_body_bytes=max_body_bytes,
        content=content,
        budget_status=budget_status,
    )
    health = health or Health(environment="development")
    sandbox_health = sandbox_health or SandboxHealth(None, {})
    search_health = search_health or SearchHealth(None, {})
    files_api = FilesAPI(files, authentication, max_file_bytes=max_file_bytes)
    routes = [
        *api.routes(),
        *files_api.routes(),
        *health.routes(),
        *sandbox_health.routes(),
        *search_health.routes(),
        *MetricsRoutes(render_metrics).routes(),
    ]
    if build_admin is not None:
        admin = AdminRoutes(
            build=build_admin,
            authentication=admin_authentication or authentication,
            forget=authentication.forget,
        )
        routes += admin.routes()
    docs = DocsPage(routes, openapi_path="/openapi.json", docs_path="/docs", key_header="x-api-key")
    return [*routes, *docs.routes()]


def make_application(*args, observers=(), cors=None, **parts) -> Application:
    """The application over `make_routes`, whose parameters these are."""
    routes = make_routes(*args, **parts)
    return Application(routes, ANTHROPIC, observers=observers, cors=cors)
